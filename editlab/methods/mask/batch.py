"""The exact batched form: many edits, each with its own weight under one mask, in one pair of matrix products.

For rows with different low-rank edits of one weight W, the masked projection is

    Y = K (M . W)^T + sum_r B_r . ((A_r . K) M^T)                        "." element by element

so no weight is ever made for an edit. Keys at the lowest masked layer and the residual stream around it do not depend on the
mask: they are computed once, and every step runs only the layers above.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from editlab.facts import EditRequest
from editlab.model.replay import Replay, replay
from editlab.model.tokens import Located
from editlab.patches import BASE, LowRank, View

if TYPE_CHECKING:
    from editlab.model import LanguageModel

Scores = Mapping[int, Float[Tensor, "d_model d_ff"]]
"""For each masked layer M, soft (0 to 1) or binary."""


@dataclass(frozen=True, eq=False)
class Example:
    """An edit that a mask should reverse: its own patches, and the prompts that ask for its fact.

    Without patches it is a fact that was not edited, at which the mask should change nothing. The request needs its true
    object.
    """

    request: EditRequest
    patches: tuple[LowRank, ...] = ()
    paraphrases: tuple[str, ...] = ()

    @property
    def prompts(self) -> tuple[str, ...]:
        """The edit's own prompt, then its paraphrases."""
        return (self.request.text, *self.paraphrases)


@dataclass(frozen=True, eq=False)
class _Edits:
    """The edits of a batch's rows at one layer: `A` `[rows, rank, d_ff]`, `B` `[rows, rank, d_model]`, zeros where none."""

    A: Float[Tensor, "rows rank d_ff"]
    B: Float[Tensor, "rows rank d_model"]

    def project(
        self, K: Float[Tensor, "rows tokens d_ff"], W: Float[Tensor, "d_model d_ff"], M: Float[Tensor, "d_model d_ff"]
    ) -> Float[Tensor, "rows tokens d_model"]:
        """Return k under each row's edited weight and the mask, without the projection's bias."""
        Y = K @ (W * M).T
        for r in range(self.A.shape[1]):
            Y = Y + self.B[:, r, None] * ((self.A[:, r, None] * K) @ M.T)
        return Y


@dataclass(frozen=True, eq=False)
class Batch:
    """Prompts of several examples, `ids` each, forwarded once up to the lowest masked layer.

    `owner` `[rows]` is the number of the example a row belongs to; `true` and `new` `[rows]` the first token in which the
    two objects differ, which is read behind what they share; `edited` `[rows]` whether its example has an edit (0 or 1).
    `teacher` `[rows, d_model]` is the unedited model's last hidden state there.
    """

    replay: Replay
    ids: tuple[tuple[int, ...], ...]
    weights: Mapping[int, Float[Tensor, "d_model d_ff"]]
    edits: Mapping[int, _Edits]
    owner: Int[Tensor, "rows"]
    true: Int[Tensor, "rows"]
    new: Int[Tensor, "rows"]
    edited: Float[Tensor, "rows"]
    teacher: Float[Tensor, "rows d_model"]

    def unedited(self) -> Float[Tensor, "rows vocab"]:
        """Return what the unedited model says there."""
        return self.replay.model.head(self.teacher)

    def leads(self, M: Scores) -> Float[Tensor, "rows"]:
        """Return by how much the true object's logit leads the new one's at each row."""
        return lead(self.logits(M), self)

    def logits(self, M: Scores) -> Float[Tensor, "rows vocab"]:
        """Return what each row says at its last token, under its own edit and the mask; gradients reach M."""
        lowest = self.replay.layer
        out = self._masked(lowest, self.replay.keys.float(), M.get(lowest))
        hidden = self.replay.with_outputs(out)
        with self._above(M):
            return self.replay.finish(hidden, torch.arange(len(self.owner), device=hidden.device), self.replay.lengths - 1)

    def _masked(self, layer: int, K: Tensor, M: Tensor | None) -> Tensor:
        W = self.weights[layer]
        Y = self.edits[layer].project(K, W, torch.ones_like(W) if M is None else M)
        bias = self.replay.model.arch.projection_of(self.replay.model.hf, layer).bias
        return Y if bias is None else Y + bias

    @contextmanager
    def _above(self, M: Scores) -> Iterator[None]:
        """Yield the layers above the lowest, under their masks and edits."""
        model = self.replay.model

        def hook(layer: int) -> Callable[..., Tensor]:
            def replaced(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
                return self._masked(layer, inputs[0].float(), M.get(layer)).to(output.dtype)

            return replaced

        with ExitStack() as stack:
            for layer in self.weights:
                if layer != self.replay.layer:
                    projection = model.arch.projection_of(model.hf, layer)
                    stack.callback(projection.register_forward_hook(hook(layer)).remove)
            yield


def lead(logits: Float[Tensor, "rows vocab"], batch: Batch) -> Float[Tensor, "rows"]:
    """Return by how much the true object's logit leads the new one's in a batch's logits."""
    return (logits.gather(1, batch.true[:, None]) - logits.gather(1, batch.new[:, None]))[:, 0]


def batches(
    model: LanguageModel, examples: Sequence[Example], layers: Sequence[int], size: int, view: View = BASE
) -> Iterator[Batch]:
    """Yield all prompts of the examples in batches of at most `size`, those of similar length together.

    `layers` are all that any mask or edit touches. `view` lies under everything: an edit of many facts at once, say.
    """
    W = {layer: model.weight(layer) + _edits_of(view, layer) for layer in layers}
    rows = [
        _Row(number, *_where_they_differ(model, prompt, example.request))
        for number, example in enumerate(examples)
        for prompt in example.prompts
    ]
    rows.sort(key=lambda row: len(row.ids))
    for start in range(0, len(rows), size):
        yield _batch(model, examples, rows[start : start + size], W)


@dataclass(frozen=True)
class _Row:
    """A prompt of the example with a number: its ids up to where the objects part, and their tokens there."""

    owner: int
    ids: tuple[int, ...]
    true: int
    new: int


@torch.no_grad()
def _batch(model: LanguageModel, examples: Sequence[Example], rows: Sequence[_Row], weights: Mapping[int, Tensor]) -> Batch:
    below = replay(model, [Located(row.ids, 0) for row in rows], min(weights), BASE)
    teacher = below.last(below.residual, torch.arange(len(rows), device=model.device), below.lengths - 1)
    own = [examples[row.owner].patches for row in rows]
    columns = [[row.owner for row in rows], [row.true for row in rows], [row.new for row in rows]]
    owner, true, new = torch.tensor(columns, device=model.device)
    edited = torch.tensor([float(bool(patches)) for patches in own], device=model.device)
    edits = {layer: _stacked(model, own, layer) for layer in weights}
    return Batch(below, tuple(row.ids for row in rows), weights, edits, owner, true, new, edited, teacher)


def _where_they_differ(model: LanguageModel, prompt: str, request: EditRequest) -> tuple[tuple[int, ...], int, int]:
    """Return the ids up to the place where true and new object part, and their tokens there."""
    true, start = model.tok.with_target(prompt, request.target_true or "")
    new, other = model.tok.with_target(prompt, request.target_new)
    at = next((i for i, (a, b) in enumerate(zip(true, new, strict=False)) if a != b), None)
    if at is None or at < min(start, other):
        at = min(start, other)
        return tuple(true[:at]), true[start], new[other]
    return tuple(true[:at]), true[at], new[at]


def _stacked(model: LanguageModel, edits: Sequence[Sequence[LowRank]], layer: int) -> _Edits:
    """Return one edit a row at a layer, zeros where it has none there."""
    own = [[patch for patch in patches if patch.layer == layer] for patches in edits]
    rank = max(1, *(sum(len(patch.A) for patch in patches) for patches in own))
    A = torch.zeros(len(own), rank, model.d_ff, device=model.device)
    B = torch.zeros(len(own), rank, model.d_model, device=model.device)
    for row, patches in enumerate(own):
        if patches:
            a, b = torch.cat([patch.A for patch in patches]), torch.cat([patch.B for patch in patches], 1).T
            A[row, : len(a)], B[row, : len(b)] = a, b
    return _Edits(A, B)


def _edits_of(view: View, layer: int) -> Tensor | float:
    laid = view.laid.get(layer)
    return laid.dense() if laid is not None and laid.adds else 0.0
