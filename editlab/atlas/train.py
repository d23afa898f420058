"""Trains Atlas from its recipe: seeded, resumable, on CPU or GPU.

The learning rate is held and then falls to zero over the last part (warm-up, stable, decay), so that a run can be looked
at early and ended at any length. Matrices are trained by Muon, embeddings and norms by AdamW.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from editlab import storage
from editlab.atlas.corpus import NO_FACT, Corpus, Mixture
from editlab.work import Progress


@dataclass(frozen=True)
class Recipe:
    """All that shapes the weights, but the texts."""

    vocabulary: int = 8192
    layers: int = 8
    width: int = 256
    mlp: int = 1024
    heads: int = 4
    length: int = 512
    rows: int = 8
    tokens: int = 20_000_000
    learning_rate: float = 4e-3
    warmup_steps: int = 100
    decay_share: float = 0.35
    seed: int = 0
    mixture: Mixture = field(default_factory=Mixture)

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run."""
        return self.tokens // (self.rows * self.length)

    def rate(self, step: int) -> float:
        """Return the learning rate at a step, as a share of the highest."""
        decay = max(1, round(self.decay_share * self.steps))
        return max(0.0, min(1.0, (step + 1) / self.warmup_steps, (self.steps - step) / decay))

    def model_config(self) -> LlamaConfig:
        """Return the architecture: a plain small Llama with tied embeddings."""
        return LlamaConfig(
            vocab_size=self.vocabulary,
            hidden_size=self.width,
            intermediate_size=self.mlp,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.heads,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=2,
            rms_norm_eps=1e-5,
            use_cache=True,
        )


class Run:
    """A training run in a folder: weights, optimiser state and difficulties, saved so that it can go on."""

    def __init__(self, recipe: Recipe, corpus: Corpus, folder: Path, device: str = "cpu") -> None:
        self.recipe, self.corpus, self.folder, self.device = recipe, corpus, folder, device
        torch.manual_seed(recipe.seed)
        self.model = LlamaForCausalLM(recipe.model_config()).to(device)
        matrices = [p for n, p in self.model.named_parameters() if p.ndim == 2 and "embed" not in n and "lm_head" not in n]
        chosen = {id(p) for p in matrices}
        others = [p for p in self.model.parameters() if id(p) not in chosen]
        rate = recipe.learning_rate
        self.optimisers = [
            torch.optim.Muon(matrices, lr=rate, weight_decay=0.05, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(others, lr=rate, weight_decay=0.0, betas=(0.9, 0.95), fused=True),
        ]
        self.step = 0
        self.difficulty = np.full(len(corpus.lessons), 3.0)
        self._loss = torch.compile(self._weighted_loss)

    def train(self, progress: Progress, save_every: int = 250) -> None:
        """Run to the last step, saving every `save_every` steps."""
        while self.step < self.recipe.steps:
            began = time.perf_counter()
            report = self._one_step()
            rate = self.recipe.rows * self.recipe.length / (time.perf_counter() - began)
            self.step += 1
            progress(self.step / self.recipe.steps, f"step {self.step}: {report}, {rate:.0f} tokens/s")
            if self.step % save_every == 0 or self.step == self.recipe.steps:
                self.save()

    def _one_step(self) -> str:
        recipe = self.recipe
        chance = np.clip(self.difficulty, 0.05, 1.0)
        batch = self.corpus.batch(self.step, recipe.rows, recipe.length, chance)
        ids = torch.from_numpy(batch.ids).to(self.device)
        labels, weights = torch.from_numpy(batch.labels).to(self.device), torch.from_numpy(batch.weights).to(self.device)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = recipe.learning_rate * recipe.rate(self.step)
            optimiser.zero_grad(set_to_none=True)
        loss, each = self._loss(ids, labels, weights)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        objects = self._update_difficulty(batch.lessons, each.detach().float().cpu().numpy())
        hard = float((self.difficulty > 0.7).mean())
        prose = each[weights == 1.0].mean().item()
        return f"loss {loss.item():.3f}, objects {objects:.3f}, prose {prose:.2f}, hard {hard:.3f}"

    def _weighted_loss(self, ids: Tensor, labels: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(self.device, torch.bfloat16):
            hidden = self.model.model(ids[:, :-1], use_cache=False).last_hidden_state
            logits = self.model.lm_head(hidden.flatten(0, 1)[labels])
        each = torch.nn.functional.cross_entropy(logits.float(), ids[:, 1:].flatten()[labels], reduction="none")
        return (each * weights).sum() / weights.sum(), each

    def _update_difficulty(self, lessons: np.ndarray, losses: np.ndarray) -> float:
        """Move each seen lesson's running loss towards its new one; returns the mean loss on object tokens."""
        seen = lessons != NO_FACT
        total = np.zeros_like(self.difficulty)
        count = np.zeros_like(self.difficulty)
        np.add.at(total, lessons[seen], losses[seen])
        np.add.at(count, lessons[seen], 1)
        touched = count > 0
        mean = total[touched] / count[touched]
        self.difficulty[touched] += 0.2 * (mean - self.difficulty[touched])
        return float(losses[seen].mean())

    def save(self) -> None:
        """Write the state so that a crash in between leaves the previous one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items() if name != "lm_head.weight"}
        for number, optimiser in enumerate(self.optimisers):
            for index, state in optimiser.state_dict()["state"].items():
                tensors |= {f"optimiser.{number}.{index}.{k}": torch.as_tensor(v) for k, v in state.items()}
        tensors["difficulty"] = torch.from_numpy(self.difficulty)
        with storage.new_file(self.folder / "state.safetensors") as part:
            save_file({k: v.contiguous() for k, v in tensors.items()}, part, {"step": str(self.step)})
        (self.folder / "recipe.json").write_text(json.dumps(asdict(self.recipe), indent=1))

    def resume(self) -> bool:
        """Go on from the folder's last state; False where there is none."""
        path = self.folder / "state.safetensors"
        if not path.exists():
            return False
        with safe_open(path, "pt") as file:
            self.step = int(file.metadata()["step"])
        tensors = load_file(path, self.device)
        weights = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
        self.model.load_state_dict({**weights, "lm_head.weight": weights["model.embed_tokens.weight"]})
        for number, optimiser in enumerate(self.optimisers):
            state: dict[int, dict[str, Tensor]] = {}
            for name, value in tensors.items():
                if name.startswith(f"optimiser.{number}."):
                    _, _, index, key = name.split(".")
                    state.setdefault(int(index), {})[key] = value
            optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
        self.difficulty = tensors["difficulty"].cpu().numpy().copy()
        return True
