"""Continuations under views: batched over rows of different views, streamed, cancellable, seeded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from torch import Tensor

from editlab.model.frozen import FrozenModel
from editlab.model.reading import read
from editlab.model.sampling import Sampling
from editlab.model.tokens import UNREADABLE
from editlab.patches import View
from editlab.work import Cancel, never


def generate(
    model: FrozenModel,
    texts: Sequence[str],
    view: View | Sequence[View],
    max_tokens: int,
    sampling: Sampling,
    cancel: Cancel = never,
    first: Callable[[Tensor], None] | None = None,
) -> Iterator[list[str]]:
    """Yield all rows' continuations after every token, until all ended, `max_tokens` are reached or `cancel()`.

    `first` is given the logits `[rows, vocab]` from which the first token is chosen.
    """
    if cancel():
        return
    views = [view] * len(texts) if isinstance(view, View) else view
    for written in read(model, texts, views, max_tokens).write(max_tokens, sampling, cancel, first):
        yield [readable(model, row) for row in written]


def readable(model: FrozenModel, ids: Sequence[int]) -> str:
    """Return decoded text without the half of a character whose other bytes have yet to come."""
    return model.tok.decode(ids).rstrip(UNREADABLE)
