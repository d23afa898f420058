"""The training of one matrix: exact, and only what it changes is computed.

The layers below it are read once. The matrix changes what its layer puts out at every token, so that the layers above run
on all tokens, with logits at the labels alone; there is a gradient for one matrix and for no other weight.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from editlab.methods._rows import Reads, Row
from editlab.model.replay import replay
from editlab.model.tokens import Located, in_chunks
from editlab.patches import View
from editlab.work import Cancel, Progress, never, no_progress, stop_if

if TYPE_CHECKING:
    from editlab.model import LanguageModel


class MiniBatch:
    """Rows that take a step together, in as many forwards as the token budget asks for."""

    def __init__(self, model: LanguageModel, rows: Sequence[Row], layer: int, view: View) -> None:
        lengths = [len(row.ids) + 1 for row in rows]
        self.size = len(rows)
        self.parts = [
            (chunk, _Part(model, [rows[n] for n in chunk], layer, view))
            for chunk in in_chunks(lengths, model.tokens_per_forward)
        ]

    def losses(self, D: Float[Tensor, "d_model d_ff"], train: bool = True) -> Float[Tensor, "rows"]:
        """Return each row's mean negative log-likelihood of its labels, in nats; add the gradient of their mean to `D`."""
        found = D.new_zeros(self.size)
        for chunk, part in self.parts:
            losses = part(D)
            found[chunk] = losses.detach().to(found)
            if train:
                (losses.sum() / self.size).backward()
        return found


class _Part:
    """Rows of one forward. `keys`: what the trained matrix reads, at every token."""

    def __init__(self, model: LanguageModel, rows: Sequence[Row], layer: int, view: View) -> None:
        self.replay = replay(model, [Located(row.ids, 0) for row in rows], layer, view)
        self.keys = self.replay.keys.to(exact(model))
        self.reads = Reads.of(rows, model.device)
        self.count = len(rows)

    def __call__(self, D: Float[Tensor, "d_model d_ff"]) -> Float[Tensor, "rows"]:
        start = self.replay.with_added(self.keys @ D.T)
        reads = self.reads
        log_p = self.replay.finish(start, reads.rows, reads.columns).log_softmax(-1)
        said = -log_p[reads.places, reads.labels] * reads.weights
        return said.new_zeros(self.count).index_add(0, reads.owners, said)


def exact(model: LanguageModel) -> torch.dtype:
    """Return the precision of the training: float32, and float64 where the model has it."""
    return torch.promote_types(model.dtype, torch.float32)


@dataclass
class Trained:
    """What the training of some rows came to: the matrix, and of each row its last loss and in how many steps it was."""

    D: Float[Tensor, "d_model d_ff"]
    losses: list[float]
    steps: list[int]


def fit(
    batches: Sequence[tuple[Sequence[int], MiniBatch]],
    D: Float[Tensor, "d_model d_ff"],
    learning_rate: float,
    epochs: int,
    stop_below: float,
    constraint: float = float("inf"),
    order: torch.Generator | None = None,
    progress: Progress = no_progress,
    cancel: Cancel = never,
) -> Trained:
    """Return the matrix after Adam's `epochs` over mini-batches, which are pairs of the rows' numbers and the rows.

    A batch whose mean loss is under `stop_below` takes no step, and an epoch of such a mean is the last one. After each
    step no entry differs from where it began by more than `constraint`. With an `order`, each epoch has its own.
    """
    begun = D
    D = D.clone().requires_grad_()
    adam = torch.optim.Adam([D], lr=learning_rate)
    count = sum(len(own) for own, _ in batches)
    losses, steps = [0.0] * count, [0] * count
    with torch.enable_grad():
        for epoch in range(epochs):
            progress(epoch / epochs, f"training: epoch {epoch + 1} of at most {epochs}")
            for number in _ordered(len(batches), order):
                stop_if(cancel)
                own, batch = batches[number]
                adam.zero_grad()
                found = batch.losses(D)
                takes = bool(found.mean() >= stop_below)
                if takes:
                    adam.step()
                    if constraint < float("inf"):
                        with torch.no_grad():
                            D.copy_(D.clamp(begun - constraint, begun + constraint))
                for n, loss in zip(own, found.tolist(), strict=True):
                    losses[n] = loss
                    steps[n] += takes
            if sum(losses) / count < stop_below:
                break
    return Trained(D.detach(), losses, steps)


def _ordered(count: int, order: torch.Generator | None) -> Iterator[int]:
    """Yield numbers from 0 on, shuffled where there is an `order`."""
    yield from range(count) if order is None else torch.randperm(count, generator=order).tolist()
