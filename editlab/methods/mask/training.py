"""Learns which entries of a weight make edits loud: a mask over the edited weight under which the old facts return.

M = sigmoid(scores / temperature), nearly binary in the end; the loss wants the true object to lead the new one by a margin,
few entries pruned, and the unedited model's answers. Holmov et al. 2026, arXiv 2605.28839.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from editlab import storage
from editlab.errors import BadRequest
from editlab.methods.mask.batch import Batch, Example, Scores, batches, lead
from editlab.methods.mask.config import MaskConfig
from editlab.patches import BASE, Mask, View
from editlab.wording import noop
from editlab.work import Cancel, Progress, never, no_progress, stop_if

if TYPE_CHECKING:
    from editlab.model import LanguageModel

LEAST = 10
"""Fewer edits than this tell nothing about edits that were not among them."""


@dataclass(frozen=True)
class Epoch:
    """How the training stands after an epoch: the share of prompts at which the true object leads, and of what is pruned.

    `reversed_unseen` is None where nothing was held out.
    """

    number: int
    loss: float
    pruned: float
    reversed_train: float
    reversed_unseen: float | None


def train(
    model: LanguageModel,
    examples: Sequence[Example],
    held_out: Sequence[Example] = (),
    config: MaskConfig | None = None,
    view: View = BASE,
    keep: Path | None = None,
    progress: Progress = no_progress,
    cancel: Cancel = never,
) -> Iterator[tuple[Epoch, tuple[Mask, ...]]]:
    """Yield after every epoch its measures and the masks as they would be now; the last ones are the result.

    `view` lies under all of them (an edit of many facts at once). With `keep`, a file, the state is written there after
    every epoch, and a training of the same edits under the same settings goes on from it. Raises `BadRequest` where there
    are too few edits or they touch no such layer, `Cancelled` when stopped; what `keep` holds then stays.
    """
    config = config or MaskConfig()
    layers, masked = layers_of(examples, view, config)
    if len(examples) < LEAST:
        few = noop(f"A mask for all edits cannot be learnt from {len(examples)}")
        raise BadRequest(f"{few}. Give at least {LEAST} edits of facts that the model knows.")
    progress(0.0, f"mask: the keys of {len(examples):,} facts")
    lessons = list(batches(model, [*examples, *_unedited(examples, config)], layers, config.batch, view))
    config = replace(config, epochs=max(config.epochs, -(-config.steps // len(lessons))))
    unseen = list(batches(model, held_out, layers, config.batch, view)) if held_out else []
    state = _State(model, masked, config, _digest(model, examples, config), keep)
    for number in range(state.epoch, config.epochs):
        stop_if(cancel)
        losses: list[float] = []
        leads: list[Tensor] = []
        for place, batch in enumerate(state.order(lessons)):
            stop_if(cancel)
            state.move_to(place / len(lessons))
            loss, leading = _loss(batch, state.soft(), config, state.fraction)
            state.step(loss)
            losses.append(loss.item())
            leads.append(leading)
        state.finished_epoch()
        masks = state.masks()
        said = reversal(unseen, masks) if unseen else None
        pruned = sum(mask.pruned for mask in masks) / len(masks)
        epoch = Epoch(number + 1, sum(losses) / len(losses), pruned, torch.cat(leads).float().mean().item(), said)
        held = "" if said is None else noop(f", {100 * said:.0f} % of held-out prompts reversed")
        progress(epoch.number / config.epochs, f"mask: epoch {epoch.number} of {config.epochs}{held}")
        yield epoch, masks


@torch.no_grad()
def reversal(lessons: Sequence[Batch], masks: Sequence[Mask]) -> float:
    """Return the share of edited prompts at which, under binary masks, the true object's first token leads the new one's."""
    M = {mask.layer: mask.kept.float() for mask in masks}
    leads = [batch.leads(M)[batch.edited > 0] > 0 for batch in lessons]
    return torch.cat(leads).float().mean().item()


def _loss(batch: Batch, M: Scores, config: MaskConfig, fraction: float) -> tuple[Float[Tensor, ""], Tensor]:
    """Return the loss of a batch under soft masks M, and the lead of the true object at each row."""
    logits = batch.logits(M)
    ahead, edited = lead(logits, batch), batch.edited
    restoration = (torch.relu(config.margin - ahead) * edited).sum() / edited.sum().clamp(min=1)
    T = _between(config.softening, fraction)
    teacher, student = (batch.unedited() / T).log_softmax(-1), (logits / T).log_softmax(-1)
    distance = T**2 * torch.nn.functional.kl_div(student, teacher, reduction="batchmean", log_target=True)
    pruned = torch.stack([1 - m.mean() for m in M.values()]).mean()
    sparsity = torch.relu(pruned - config.budget)
    weight = _between(config.sparsity, fraction)
    return restoration + weight * sparsity + config.kl * distance, ahead.detach()[edited > 0] > 0


def _between(ends: tuple[float, float], fraction: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * fraction


class _State:
    """Scores, optimiser and place in the schedule: what a stopped training goes on from."""

    def __init__(
        self, model: LanguageModel, layers: Sequence[int], config: MaskConfig, digest: str, keep: Path | None
    ) -> None:
        self.config, self.digest, self.keep, self.epoch, self.fraction = config, digest, keep, 0, 0.0
        generator = torch.Generator().manual_seed(config.seed)
        mean, spread = config.start
        self.scores = {
            layer: (mean + spread * torch.randn(model.d_model, model.d_ff, generator=generator)).to(model.device)
            for layer in layers
        }
        for theta in self.scores.values():
            theta.requires_grad_(True)
        self.adam = torch.optim.AdamW(self.scores.values(), lr=config.learning_rate, weight_decay=0.0)
        self._read()

    def move_to(self, part: float) -> None:
        """Set the schedules for a part (0 to 1) of this epoch; the published ones stand still within it."""
        if self.config.recipe == "published":
            self.fraction = self.epoch / max(1, self.config.epochs - 1)
        else:
            self.fraction = min(1.0, (self.epoch + part) / self.config.epochs)

    @property
    def temperature(self) -> float:
        """The sigmoid's, falling exponentially."""
        first, last = self.config.temperature
        return first * (last / first) ** self.fraction

    def soft(self) -> dict[int, Tensor]:
        """Return M of every layer as the loss sees it."""
        return {layer: torch.sigmoid(theta / self.temperature).clamp(1e-9, 1 - 1e-9) for layer, theta in self.scores.items()}

    @torch.no_grad()
    def masks(self) -> tuple[Mask, ...]:
        """Return the binary masks as they stand: above the threshold, or without one as many pruned as the budget allows."""
        soft = {layer: torch.sigmoid(theta / self.temperature) for layer, theta in self.scores.items()}
        limit = self.config.threshold
        if limit is None:
            every = torch.cat([M.flatten() for M in soft.values()])
            limit = every.kthvalue(max(1, int(self.config.budget * len(every)))).values.item()
        return tuple(Mask(layer, limit < M) for layer, M in soft.items())

    def order(self, lessons: list[Batch]) -> Iterator[Batch]:
        """Return the batches in this epoch's order, drawn with the seed."""
        generator = torch.Generator().manual_seed(self.config.seed * 100_003 + self.epoch)
        return (lessons[n] for n in torch.randperm(len(lessons), generator=generator).tolist())

    def step(self, loss: Tensor) -> None:
        """Take one step of AdamW with its gradient clipped to a norm of 1."""
        self.adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.scores.values(), 1.0)
        self.adam.step()

    def finished_epoch(self) -> None:
        """Count it, and keep all of it where that is wanted; behind the last one there is nothing to go on with."""
        self.epoch += 1
        if self.keep is None or self.epoch == self.config.epochs:
            return
        tensors = {f"scores{layer}": theta.detach() for layer, theta in self.scores.items()}
        for layer, theta in self.scores.items():
            own = self.adam.state[theta]
            tensors |= {f"{name}{layer}": own[name] for name in ("exp_avg", "exp_avg_sq", "step")}
        self.keep.parent.mkdir(parents=True, exist_ok=True)
        header = {"digest": self.digest, "epoch": str(self.epoch)}
        with storage.new_file(self.keep) as part:
            save_file({k: v.cpu().contiguous() for k, v in tensors.items()}, part, header)

    def _read(self) -> None:
        """Go on from what was kept, where it is of the same training; anything else there is left alone until then."""
        if self.keep is None or not self.keep.is_file():
            return
        try:
            with safe_open(self.keep, "pt") as file:
                header = file.metadata()
                if header["digest"] != self.digest:
                    return
                for layer, theta in self.scores.items():
                    with torch.no_grad():
                        theta.copy_(file.get_tensor(f"scores{layer}"))
                    names = ("exp_avg", "exp_avg_sq", "step")
                    self.adam.state[theta] = {
                        n: file.get_tensor(f"{n}{layer}").to(theta.device if n != "step" else "cpu") for n in names
                    }
                self.epoch = int(header["epoch"])
        except (OSError, SafetensorError, KeyError, ValueError, TypeError):
            return


def _unedited(examples: Sequence[Example], config: MaskConfig) -> list[Example]:
    """Return a share of the facts as they stand in the unedited model: there the mask should change nothing."""
    chosen = random.Random(config.seed).sample(examples, round(config.plain * len(examples)))
    return [replace(example, patches=(), paraphrases=()) for example in chosen]


def layers_of(examples: Sequence[Example], view: View, config: MaskConfig) -> tuple[list[int], list[int]]:
    """Return all layers that the edits touch, and those of them that are masked.

    Raises `BadRequest` where a layer is to be masked that they do not touch.
    """
    touched = sorted({patch.layer for example in examples for patch in example.patches} | set(view.laid))
    masked = sorted(config.layers or touched)
    if not touched or not set(masked) <= set(touched):
        raise BadRequest(f"The edits touch layers {touched}, so none but these can be masked; given: {list(config.layers)}.")
    return touched, masked


def _digest(model: LanguageModel, examples: Sequence[Example], config: MaskConfig) -> str:
    digest = hashlib.sha256(json.dumps([model.fingerprint, asdict(config)]).encode())
    for example in examples:
        digest.update(json.dumps([example.request.as_dict(), example.paraphrases]).encode())
        for patch in example.patches:
            digest.update(patch.A.cpu().numpy().tobytes() + patch.B.cpu().numpy().tobytes())
    return digest.hexdigest()
