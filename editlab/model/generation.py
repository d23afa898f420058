"""Continuations under views: batched over rows of different views, streamed, cancellable, seeded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers import DynamicCache

from editlab.errors import TooLong
from editlab.model.overlay import laid_over
from editlab.patches import View

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
    cancelled: Callable[[], bool] = lambda: False,
    first: Callable[[Tensor], None] | None = None,
) -> Iterator[list[str]]:
    """Yield all rows' continuations after every token, until all ended, `max_tokens` are reached or `cancelled()`.

    `first` is given the logits `[rows, vocab]` from which the first token is chosen.
    """
    for written in continuations(model, texts, view, max_tokens, sampling, cancelled, first):
        yield [_readable(model, row) for row in written]


def continuations(
    model: LanguageModel,
    texts: Sequence[str],
    view: View | Sequence[View],
    max_tokens: int,
    sampling: Sampling,
    cancelled: Callable[[], bool] = lambda: False,
    first: Callable[[Tensor], None] | None = None,
) -> Iterator[list[list[int]]]:
    """The same as ids, the lists growing from step to step: whoever reads the last alone spares decoding all others.

    Hooks are laid for each step and removed before the yield, so that others may use the model in between.
    """

    views = [view] * len(texts) if isinstance(view, View) else list(view)
    prompts = [model.tok.encode(own.asks(text)) for own, text in zip(views, texts, strict=True)]
    batch = model.tok.pad(prompts, "left", model.device)
    longest = batch.ids.shape[1]
    if longest + max_tokens > model.tok.context:
        raise TooLong(
            f"The longest text has {longest} tokens and {max_tokens} more are asked for; "
            f"the model's context holds {model.tok.context}. Shorten the text or ask for fewer."
        )
    ids, mask, positions = batch.ids, batch.mask, batch.positions
    cache = DynamicCache(config=model.hf.config)
    generator = torch.Generator().manual_seed(sampling.seed)
    written: list[list[int]] = [[] for _ in texts]
    ended = torch.zeros(len(texts), dtype=torch.bool, device=model.device)
    end = model.tokenizer.eos_token_id
    known = len(model.tokenizer)  # a vocabulary is often padded beyond it
    for _ in range(max_tokens):
        if cancelled():
            return
        with torch.no_grad(), laid_over(model.hf, model.arch, view):
            hidden = model.hf.base_model(
                input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
            ).last_hidden_state[:, -1]
            logits = model.head(hidden)
            if first is not None:
                first(logits)
                first = None
            token = sampling.draw(logits[:, :known], generator)
        if end is not None:
            ended |= token == end
        over = ended.tolist()
        for row, (new, stop) in enumerate(zip(token.tolist(), over, strict=True)):
            if not stop:
                written[row].append(new)
        yield written
        if all(over):
            return
        ids, positions = token[:, None], positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(texts), 1)], 1)


def _readable(model: LanguageModel, ids: list[int]) -> str:
    """Decoded text without the half of a character whose other bytes have yet to come."""
    return model.tok.decode(ids).rstrip("\ufffd")
