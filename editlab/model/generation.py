"""Continuations under views: batched over rows of different views, streamed, cancellable, seeded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from editlab.model.reading import read
from editlab.patches import View
from editlab.work import Cancel, never

if TYPE_CHECKING:
    from editlab.model.language_model import LanguageModel


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen: the likeliest, or drawn from the `top_k` likeliest with a seed."""

    top_k: int = 1
    temperature: float = 1.0
    seed: int = 0

    def draw(self, logits: Tensor, generator: torch.Generator) -> Tensor:
        """One token a row from logits `[rows, vocab]`."""
        if self.top_k == 1:
            return logits.argmax(-1)
        best, ids = (logits / self.temperature).topk(self.top_k)
        drawn = torch.multinomial(best.softmax(-1).cpu(), 1, generator=generator).to(ids.device)
        return ids.gather(1, drawn)[:, 0]


def generate(
    model: LanguageModel,
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


def readable(model: LanguageModel, ids: Sequence[int]) -> str:
    """Decoded text without the half of a character whose other bytes have yet to come."""
    return model.tok.decode(ids).rstrip("\ufffd")
