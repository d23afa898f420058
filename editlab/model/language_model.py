"""The frozen model: tokens in, and what it says under a view out. Nothing here changes a weight.

Every question goes the short way: the forward stops where the answer is known, and logits are computed only at the
positions that are read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from editlab.errors import BadRequest
from editlab.model.architectures import Architecture, architecture_of
from editlab.model.generation import Sampling, generate
from editlab.model.overlay import capturing_keys, capturing_residual, laid_over
from editlab.model.scoring import Score, in_chunks, score
from editlab.model.tokens import Located, TokenBatch, Tokens
from editlab.patches import BASE, View

Views = View | Sequence[View]


@dataclass(eq=False)
class LanguageModel:
    """A loaded causal language model, its tokenizer and what EditLab knows about it.

    `name` is what the user asked for; `preset` the hyperparameters of `presets/models/*.toml` that fit it, if any;
    `statistics` and `masks` where its key statistics and reversal masks are kept; `tokens_per_forward` what a batch may
    hold, on a CPU as much as its caches hold; `memo` what is computed once a model (contexts, norms).
    """

    hf: nn.Module
    tokenizer: PreTrainedTokenizerBase
    name: str = "unnamed"
    quantization: str = "none"
    preset: dict[str, Any] = field(default_factory=dict)
    statistics: tuple[Path, ...] = ()
    masks: tuple[Path, ...] = ()
    tokens_per_forward: int = 4_096
    memo: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.hf.eval().requires_grad_(False)

    @classmethod
    def load(cls, name: str = "atlas", **options: Any) -> LanguageModel:
        """Load `atlas`, a local folder, a hub id or `config:NAME`; options as in `editlab.model.loading.load`."""
        from editlab.model.loading import load

        return load(name, **options)

    # --- what it is -------------------------------------------------------------------------------------------------

    @cached_property
    def arch(self) -> Architecture:
        """Where this family keeps its parts."""
        return architecture_of(self.hf.config.model_type)

    @cached_property
    def tok(self) -> Tokens:
        """The tokenizer with the questions that editing asks of it."""
        return Tokens(self.tokenizer, self.hf.config.max_position_embeddings)

    @property
    def device(self) -> torch.device:
        """Where the token embedding lies: inputs go there."""
        return self.hf.get_input_embeddings().weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the activations."""
        return self.hf.get_input_embeddings().weight.dtype

    @cached_property
    def n_layers(self) -> int:
        """Number of transformer blocks."""
        return len(self.arch.block_list(self.hf))

    @cached_property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return self.hf.config.hidden_size

    @cached_property
    def d_ff(self) -> int:
        """Width of a key: the input of the MLP's output projection."""
        module = self.arch.projection_of(self.hf, 0)
        return module.nx if self.arch.transposed else module.in_features

    @cached_property
    def parameters(self) -> int:
        """Number of weights, tied ones counted once."""
        return sum(parameter.numel() for parameter in self.hf.parameters())

    @cached_property
    def fingerprint(self) -> str:
        """A short hash of configuration and weights (a sample of each tensor), the same wherever the model is loaded."""
        config = self.hf.config.to_diff_dict() | {"architectures": [type(self.hf).__name__]}  # unset until it is saved
        shape = {k: v for k, v in config.items() if k not in ("transformers_version", "dtype", "_name_or_path")}
        digest = hashlib.sha256(repr(_in_order(shape)).encode())
        for name, tensor in sorted(self.hf.state_dict().items()):
            flat = tensor.reshape(-1)
            sample = flat[:: max(1, flat.numel() // 512)][:512]
            digest.update(f"{name}{tuple(tensor.shape)}".encode())
            digest.update(sample.to(torch.bfloat16).float().cpu().numpy().tobytes())
        return digest.hexdigest()[:16]

    def weights_hash(self) -> str:
        """A hash of every byte of every weight: proof that nothing was written."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.hf.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().contiguous().flatten().view(torch.uint8).cpu().numpy().tobytes())
        return digest.hexdigest()

    def weight(self, layer: int) -> Float[Tensor, "d_model d_ff"]:
        """The projection of a layer as W `[d_model, d_ff]`, float32, whatever the module stores."""
        stored = self.arch.projection_of(self.hf, layer).weight
        return (stored.T if self.arch.transposed else stored).float()

    # --- asking it --------------------------------------------------------------------------------------------------

    def tokens(self, texts: Sequence[str], view: View = BASE, side: str = "right") -> TokenBatch:
        """Texts as one padded batch, the view's preamble in front of each."""
        return self.tok.pad([self.tok.encode(under(view, text)) for text in texts], side, self.device)

    @torch.no_grad()
    def hidden(self, batch: TokenBatch, views: Views = BASE) -> Float[Tensor, "rows tokens d_model"]:
        """The final hidden states, after the last norm."""
        with laid_over(self.hf, self.arch, views):
            return self.hf.base_model(
                input_ids=batch.ids, attention_mask=batch.mask, position_ids=batch.positions, use_cache=False
            ).last_hidden_state

    def head(self, hidden: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows vocab"]:
        """Final hidden states to float32 logits, with the family's soft-capping where it has one."""
        logits = self.hf.get_output_embeddings()(hidden).float()
        cap = getattr(self.hf.config, "final_logit_softcapping", None)
        return torch.tanh(logits / cap) * cap if cap else logits

    @torch.no_grad()
    def logits(self, texts: Sequence[str], view: Views = BASE, at: str = "last") -> Tensor:
        """Logits `[rows, vocab]` after each text's last token, or `[rows, tokens, vocab]` with `at="all"`.

        `view` is one for all rows or one a row.
        """
        batch = self._batch(texts, view)
        hidden = self.hidden(batch, view)
        if at == "last":
            hidden = hidden[torch.arange(len(texts), device=self.device), batch.last]
        return self.head(hidden)

    def top(self, text: str, view: View = BASE, k: int = 5) -> list[tuple[str, float]]:
        """The k likeliest next tokens with their probabilities."""
        return self.tops([text], view, k)[0]

    def tops(self, texts: Sequence[str], view: Views = BASE, k: int = 5) -> list[list[tuple[str, float]]]:
        """The k likeliest next tokens after each text."""
        return self.likeliest(self.logits(texts, view), k)

    def likeliest(self, logits: Float[Tensor, "rows vocab"], k: int = 5) -> list[list[tuple[str, float]]]:
        """The k likeliest tokens of each row of logits, with their probabilities."""
        p, ids = logits.softmax(-1).topk(k)
        return [
            [(self.tok.decode([i]), q) for i, q in zip(row_ids, row_p, strict=True)]
            for row_ids, row_p in zip(ids.tolist(), p.tolist(), strict=True)
        ]

    def score(self, prompts: Sequence[str], targets: Sequence[str], view: Views = BASE) -> list[Score]:
        """How likely each target is after its prompt, teacher-forced, and whether the model would say it."""
        return score(self, prompts, targets, view)

    def generate(
        self,
        texts: Sequence[str],
        view: Views = BASE,
        max_tokens: int = 20,
        sampling: Sampling | None = None,
        first: Callable[[Tensor], None] | None = None,
    ) -> Iterator[list[str]]:
        """Continuations so far, one string a row, after every token. Greedy unless `sampling` says otherwise.

        `first` is given the logits from which the first token is chosen.
        """
        return generate(self, texts, view, max_tokens, sampling or Sampling(), first=first)

    @torch.no_grad()
    def keys(
        self, rows: Sequence[Located], layers: Sequence[int], view: Views = BASE
    ) -> dict[int, Float[Tensor, "rows d_ff"]]:
        """Keys at each row's located token, for several layers in one forward that stops at the highest of them."""
        return self._at_located(rows, view, lambda: capturing_keys(self.hf, self.arch, layers))

    @torch.no_grad()
    def keys_everywhere(
        self, rows: Sequence[Sequence[int]], layer: int, views: Views = BASE
    ) -> Iterator[tuple[list[int], Float[Tensor, "tokens d_ff"]]]:
        """Keys at every token of rows of ids, a forward at a time: the rows' numbers, and their keys one row after another.

        The forwards stop at the layer. Keys keep the model's precision: a scan over a million of them copies none.
        """
        for chunk in in_chunks([len(row) for row in rows], self.tokens_per_forward):
            batch = self.tok.pad([rows[n] for n in chunk], device=self.device)
            own = views if isinstance(views, View) else [views[n] for n in chunk]
            with laid_over(self.hf, self.arch, own), capturing_keys(self.hf, self.arch, [layer]) as captured:
                self.hf.base_model(
                    input_ids=batch.ids, attention_mask=batch.mask, position_ids=batch.positions, use_cache=False
                )
            yield chunk, captured[layer][batch.mask]

    @torch.no_grad()
    def residuals(self, rows: Sequence[Located], layer: int, view: View = BASE) -> Float[Tensor, "rows d_model"]:
        """The residual stream behind a layer's block at each row's located token; the forward stops there."""
        return self._at_located(rows, view, lambda: capturing_residual(self.hf, self.arch, layer))[layer]

    def locate(self, prompt: str, subject: str, before: str = "") -> Located:
        """Ids of a prompt whose "{}" is filled with the subject, and where the subject's last token stands in it."""
        head, found, tail = prompt.partition("{}")
        if not found:
            raise BadRequest(f"The prompt {prompt!r} has no {{}}. Write {{}} where the subject stands.")
        start = len(before) + len(head)
        return self.tok.locate(f"{before}{head}{subject}{tail}", start, start + len(subject))

    def _at_located(
        self, rows: Sequence[Located], views: Views, capturing: Callable[[], AbstractContextManager[dict[int, Tensor]]]
    ) -> dict[int, Float[Tensor, "rows width"]]:
        """What is captured at each row's located token, in as many forwards as the token budget asks for."""
        found: dict[int, Tensor] = {}
        for chunk in in_chunks([len(row.ids) for row in rows], self.tokens_per_forward):
            batch = self.tok.pad([rows[n].ids for n in chunk], device=self.device)
            own = views if isinstance(views, View) else [views[n] for n in chunk]
            at = torch.tensor([rows[n].index for n in chunk], device=self.device)
            with laid_over(self.hf, self.arch, own), capturing() as captured:
                self.hf.base_model(
                    input_ids=batch.ids, attention_mask=batch.mask, position_ids=batch.positions, use_cache=False
                )
            for layer, hidden in captured.items():
                here = hidden[torch.arange(len(chunk), device=self.device), at].float()
                found.setdefault(layer, here.new_empty(len(rows), here.shape[1]))[chunk] = here
        return found

    def _batch(self, texts: Sequence[str], view: Views) -> TokenBatch:
        if not texts:
            raise BadRequest("There is nothing to ask: give at least one text.")
        if isinstance(view, View):
            return self.tokens(texts, view)
        ids = [self.tok.encode(under(v, text)) for v, text in zip(view, texts, strict=True)]
        return self.tok.pad(ids, device=self.device)


def _in_order(value: Any) -> Any:
    """A configuration with its keys sorted, at every depth: files keep them so, objects in memory do not."""
    return {key: _in_order(value[key]) for key in sorted(value, key=str)} if isinstance(value, dict) else value


def under(view: View, text: str) -> str:
    """A text as it is asked under a view: with the view's preamble in front."""
    return f"{view.preamble} {text}" if view.preamble else text
