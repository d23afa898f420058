"""Causal tracing: which states recall a fact (Meng et al. 2022, arXiv 2202.05262, section 2).

Noise on the subject's embeddings makes the model forget a fact. One clean state at a time is put back, and what the true
object's probability regains is that state's indirect effect: p(true | restored) - p(true | corrupted).

A restoration at a token and a layer changes nothing before that token and nothing below that layer. So all restorations at
a token, of every kind, layer and sample of the noise, are rows of one batch that goes up the layers once: a row joins at its
own layer with what was kept of the corrupted run there, and the keys and values of earlier tokens are the corrupted run's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import DynamicCache

from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.model.cache import kept_in
from editlab.model.overlay import first_of, recording_blocks
from editlab.model.scoring import LOGITS_AT_ONCE
from editlab.wording import noop
from editlab.work import Cancel, Progress, never, no_progress, stop_if

if TYPE_CHECKING:
    from editlab.model import LanguageModel

Kind = Literal["hidden", "mlp", "attention"]
KINDS: tuple[Kind, ...] = ("hidden", "mlp", "attention")
NOISE = 3.0
"""The noise's standard deviation, in standard deviations of the subjects' embeddings."""
SAMPLES = 10
"""Samples of the noise, whose probabilities are averaged."""
WINDOW = 10 / 48
"""The share of the layers in which an MLP's or an attention's outputs are restored together: 10 of GPT-2 XL's 48."""


@dataclass(frozen=True)
class Tracing:
    """How a fact is traced. `deviation`: of the embeddings' entries, as `deviation_of` measures it.

    `window`: in layers, None for the published share of them; `layers`: where states are restored, all where it is empty.
    """

    deviation: float
    noise: float = NOISE
    samples: int = SAMPLES
    window: int | None = None
    layers: tuple[int, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1 or not 0 < self.noise < math.inf or (self.window is not None and self.window < 1):
            raise BadRequest("Tracing needs noise above 0, at least one sample and a window of at least one layer.")

    def width(self, n_layers: int) -> int:
        """Return how many layers' outputs are restored together."""
        return self.window or max(1, round(WINDOW * n_layers))

    def windows(self, kind: Kind, n_layers: int) -> dict[int, range]:
        """Return by layer the layers that are restored with it: none but itself for hidden states, else those around it."""
        width = 1 if kind == "hidden" else self.width(n_layers)
        lowest = {layer: layer - width // 2 for layer in self.layers or range(n_layers)}
        return {layer: range(max(0, low), min(n_layers, low + width)) for layer, low in lowest.items()}

    def noises(self, tokens: int, width: int) -> Float[Tensor, "samples tokens width"]:
        """Return the noise on the embeddings of a subject's tokens."""
        generator = torch.Generator().manual_seed(self.seed)
        return self.noise * self.deviation * torch.randn(self.samples, tokens, width, generator=generator)


@dataclass(frozen=True)
class Traced:
    """A fact's prompt as ids, where its subject's tokens stand, and the first token of its true object."""

    ids: tuple[int, ...]
    first: int
    last: int
    label: int

    @classmethod
    def of(cls, model: LanguageModel, request: EditRequest) -> Traced:
        """Return the fact of a request. Raises `BadRequest` where it has no true object or the subject no token."""
        if request.target_true is None:
            raise BadRequest("Tracing follows the true object, and this request has none. Give the original answer.")
        head = request.prompt.partition("{}")[0]
        ids, spans = model.tok.spans(request.text)
        last = model.locate(request.prompt, request.subject).index
        covering = [place for place, (start, end) in enumerate(spans) if start < end and end > len(head)]
        both, shared = model.tok.with_target(request.text, request.target_true)
        if last >= shared:
            raise BadRequest(
                "The true object begins within the subject's last token. Write a prompt with a word between them."
            )
        return cls(tuple(ids[:shared]), min(covering), last, both[shared])


@torch.no_grad()
def deviation_of(model: LanguageModel, subjects: Iterable[str]) -> float:
    """Return the standard deviation of the entries of the embeddings of all tokens of some subjects."""
    ids = sorted({i for subject in subjects for i in model.tokenizer(f" {subject}", add_special_tokens=False)["input_ids"]})
    if not ids:
        raise BadRequest("No subject was given whose embeddings could be measured.")
    return model.hf.get_input_embeddings()(torch.tensor([ids], device=model.device)).float().std().item()


def trace(
    model: LanguageModel,
    request: EditRequest,
    how: Tracing,
    progress: Progress = no_progress,
    cancel: Cancel = never,
) -> pd.DataFrame:
    """Return a row a kind, layer and token from the subject's first on: its indirect effect on the true object.

    Columns: `kind`; `layer`; `back`, the token's place from the end, 1 for the last; `token`; `place`: "subject", "last
    subject", "between" or "last"; `p`, the mean over samples with this state restored; `effect`, that minus the corrupted
    run's. `attrs`: `clean` and `corrupted`, the object's probabilities, and `window`. Earlier tokens have no effect, as
    nothing there is corrupted. Raises `BadRequest` and `Cancelled`.
    """
    *_, frame = traced_so_far(model, request, how, progress, cancel)
    return frame


def traced_so_far(
    model: LanguageModel,
    request: EditRequest,
    how: Tracing,
    progress: Progress = no_progress,
    cancel: Cancel = never,
) -> Iterator[pd.DataFrame]:
    """Yield what `trace` returns, with one token more each time."""
    fact = Traced.of(model, request)
    progress(0.0, noop("tracing: the corrupted runs"))
    runs, rows = _Runs.of(model, fact, how), []
    corrupted, count = runs.p[1:].mean().item(), len(fact.ids) - fact.first
    for number, token in enumerate(range(fact.first, len(fact.ids)), start=1):
        stop_if(cancel, "Stopped before every token was traced.")
        progress((number - 1) / count, f"tracing: token {number} of {count}")
        said = model.tok.decode([fact.ids[token]]).replace(" ", "␣").replace("\n", "↵")
        for (kind, layer), p in _restored(model, fact, how, runs, token).items():
            rows.append((kind, layer, len(fact.ids) - token, said, _place(fact, token), p, p - corrupted))
        frame = pd.DataFrame(rows, columns=["kind", "layer", "back", "token", "place", "p", "effect"])
        frame.attrs |= {"clean": runs.p[0].item(), "corrupted": corrupted, "window": how.width(model.n_layers)}
        yield frame


def _place(fact: Traced, token: int) -> str:
    if token <= fact.last:
        return "last subject" if token == fact.last else "subject"
    return "last" if token == len(fact.ids) - 1 else "between"


class _Earlier(DynamicCache):
    """Keys and values of the tokens before those that run. With `rows`, whose each row of a batch reads, none is added."""

    rows: Tensor | None = None

    def update(self, key: Tensor, value: Tensor, layer_idx: int, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Return earlier keys and values, of each row its own, followed by the given ones."""
        if self.rows is None:
            return super().update(key, value, layer_idx, *args, **kwargs)
        if layer_idx >= len(self.layers):
            return key, value
        kept = self.layers[layer_idx]
        return torch.cat([kept.keys[self.rows], key], -2), torch.cat([kept.values[self.rows], value], -2)

    def followed(self, tokens: int, rows: slice = slice(None), copies: int = 1) -> _Earlier:
        """Return a cache of the first `tokens` of some rows."""
        cache = _Earlier()
        for number, layer in enumerate(self.layers if tokens else ()):
            key, value = (own[rows, :, :tokens].repeat(copies, 1, 1, 1) for own in (layer.keys, layer.values))
            cache.update(key, value, number)
        return cache


@dataclass(frozen=True, eq=False)
class _Runs:
    """The clean run (row 0) and the corrupted ones, from the subject's first token on.

    `entering`: each block's input, and last the output of the last block. `clean`: the MLPs' and attentions' outputs of the
    clean run, by kind and layer. `p`: the true object's probability.
    """

    cache: _Earlier
    entering: list[Float[Tensor, "runs tokens d_model"]]
    clean: dict[Kind, list[Float[Tensor, "tokens d_model"]]]
    p: Float[Tensor, "rows"]

    @classmethod
    @torch.no_grad()
    def of(cls, model: LanguageModel, fact: Traced, how: Tracing) -> _Runs:
        """Run the model once on what stands before the subject, and once on the rest, clean and under each noise."""
        before = _Earlier()
        if fact.first:
            _forward(model, fact.ids[: fact.first], before, 0)
        cache = before.followed(fact.first, copies=1 + how.samples)
        noise = how.noises(fact.last + 1 - fact.first, model.d_model).to(model.device, model.dtype)
        entering: list[Tensor] = []
        clean: dict[Kind, list[Tensor]] = {"mlp": [], "attention": []}

        def corrupt(_module: nn.Module, _inputs: tuple, output: Tensor) -> Tensor:
            output = output.clone()
            output[1:, : noise.shape[1]] += noise
            return output

        def enter(_block: nn.Module, inputs: tuple, named: dict[str, Any]) -> None:
            entering.append(inputs[0] if inputs else named["hidden_states"])

        def leave(_block: nn.Module, _inputs: tuple, output: Any) -> None:
            entering.append(first_of(output))

        with ExitStack() as stack:
            stack.callback(model.hf.get_input_embeddings().register_forward_hook(corrupt).remove)
            blocks = model.arch.block_list(model.hf)
            for block in blocks:
                stack.callback(block.register_forward_pre_hook(enter, with_kwargs=True).remove)
                for kind, part in _parts(model, block).items():
                    hook = lambda _module, _inputs, output, kind=kind: clean[kind].append(first_of(output)[0])  # noqa: E731
                    stack.callback(part.register_forward_hook(hook).remove)
            stack.callback(blocks[-1].register_forward_hook(leave).remove)
            _forward(model, fact.ids[fact.first :], cache, fact.first, 1 + how.samples)
        return cls(cache, entering, clean, _p(model, entering[-1], fact.label))


@torch.no_grad()
def _restored(model: LanguageModel, fact: Traced, how: Tracing, runs: _Runs, token: int) -> dict[tuple[Kind, int], float]:
    """Return the mean p of all restorations at a token, by kind and layer."""
    column, layers = token - fact.first, model.n_layers
    cache = runs.cache.followed(token, slice(1, None))
    cache.rows = torch.zeros(1, dtype=torch.long, device=model.device)
    with recording_blocks(model.hf, model.arch, 0) as recorded:
        _forward(model, fact.ids[token:], cache, token)
    rows = [
        _Row(kind, layer, window, layer + 1 if kind == "hidden" else window.start, sample)
        for kind in KINDS
        for layer, window in how.windows(kind, layers).items()
        for sample in range(how.samples)
    ]
    rows.sort(key=lambda row: row.start)
    size, p = max(1, model.tokens_per_forward // len(fact.ids)), []
    for first in range(0, len(rows), size):
        chunk = rows[first : first + size]
        hidden = runs.entering[0][:0, column:]
        for layer in range(chunk[0].start, layers + 1):
            joining = [row for row in chunk if row.start == layer]
            hidden = torch.cat([hidden, _joining(runs, joining, layer, column)])
            if layer == layers:
                break
            cache.rows = torch.tensor([row.sample for row in chunk[: len(hidden)]], device=model.device)
            with _restoring(model, runs, chunk[: len(hidden)], layer, column):
                hidden = recorded.calls[layer](hidden)
        p += _p(model, hidden, fact.label).tolist()
    found: dict[tuple[Kind, int], float] = {}
    for row, own in zip(rows, p, strict=True):
        found[row.kind, row.layer] = found.get((row.kind, row.layer), 0.0) + own / how.samples
    return found


@dataclass(frozen=True)
class _Row:
    """A restoration under one sample of the noise. It runs from block `start` on."""

    kind: Kind
    layer: int
    window: range
    start: int
    sample: int


def _joining(runs: _Runs, rows: Sequence[_Row], layer: int, column: int) -> Float[Tensor, "rows tokens d_model"]:
    """Return the corrupted states with which rows enter a block, the hidden state that is restored in its place."""
    entering = runs.entering[layer]
    states = entering[[1 + row.sample for row in rows], column:]
    states[[n for n, row in enumerate(rows) if row.kind == "hidden"], 0] = entering[0, column]
    return states


@contextmanager
def _restoring(model: LanguageModel, runs: _Runs, rows: Sequence[_Row], layer: int, column: int) -> Iterator[None]:
    """Put the clean outputs of a block's MLP and attention at the token, in the rows that restore them there."""
    with ExitStack() as stack:
        for kind, part in _parts(model, model.arch.block_list(model.hf)[layer]).items():
            own = [n for n, row in enumerate(rows) if row.kind == kind and layer in row.window]

            def restore(
                _module: nn.Module, _inputs: tuple, output: Any, own: list[int] = own, kind: Kind = kind
            ) -> Tensor | tuple:
                hidden = first_of(output)
                hidden[own, 0] = runs.clean[kind][layer][column]
                return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

            if own:
                stack.callback(part.register_forward_hook(restore).remove)
        yield


def _parts(model: LanguageModel, block: nn.Module) -> dict[Kind, nn.Module]:
    return {"mlp": block.get_submodule(model.arch.mlp), "attention": block.get_submodule(model.arch.attention)}


def _forward(model: LanguageModel, ids: Sequence[int], cache: DynamicCache, before: int, rows: int = 1) -> None:
    """Run equal rows of ids that stand behind `before` tokens of a cache."""
    body, device = model.hf.base_model, model.device
    body(
        input_ids=torch.tensor([ids], device=device).expand(rows, -1),
        attention_mask=torch.ones(rows, before + len(ids), dtype=torch.bool, device=device),
        position_ids=torch.arange(before, before + len(ids), device=device)[None].expand(rows, -1),
        **kept_in(cache, body),
    )


def _p(model: LanguageModel, hidden: Float[Tensor, "rows tokens d_model"], label: int) -> Float[Tensor, "rows"]:
    """Return a token's probability behind the last hidden state of each row."""
    norm, found = model.hf.get_submodule(model.arch.norm), []
    for part in hidden[:, -1].split(max(1, LOGITS_AT_ONCE // model.hf.config.vocab_size)):
        logits = model.head(norm(part))
        found.append((logits[:, label] - logits.logsumexp(-1)).exp())
    return torch.cat(found)
