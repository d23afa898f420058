"""Texts that the model has read, each under its view: it can go on from there as often as one likes.

Reading is most of the work, above all behind a long context. What is written next and how likely each target is are then
computed from the same keys and values.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import DynamicCache

from editlab.errors import TooLong
from editlab.model.beginnings import length, read_on
from editlab.model.cache import kept_in
from editlab.model.frozen import FrozenModel
from editlab.model.overlay import laid_over
from editlab.model.sampling import Sampling
from editlab.model.scoring import Score, score, scores_of
from editlab.model.tokens import TokenBatch
from editlab.patches import View
from editlab.work import Cancel, never


@dataclass(frozen=True, eq=False)
class Reading:
    """A batch, padded on the left, behind which the model stands. `hidden` `[rows, d_model]`: final, at the last tokens."""

    model: FrozenModel
    texts: tuple[str, ...]
    views: tuple[View, ...]
    batch: TokenBatch
    hidden: Float[Tensor, "rows d_model"]
    cache: DynamicCache

    def write(
        self,
        max_tokens: int,
        sampling: Sampling,
        cancel: Cancel = never,
        first: Callable[[Tensor], None] | None = None,
    ) -> Iterator[list[list[int]]]:
        """Yield all rows' continuations as ids after every token, at most the `room` they were read with; the lists grow.

        A row ends before one of the model's `ends`. `first` is given the logits `[rows, vocab]` from which the first
        token is chosen. Hooks are laid for each step and removed before the yield, so that others may use the model in
        between.
        """
        model = self.model
        mask, positions, hidden, cache = self.batch.mask, self.batch.positions[:, -1:], self.hidden, _branch(self.cache)
        generator = torch.Generator().manual_seed(sampling.seed)
        written: list[list[int]] = [[] for _ in self.texts]
        ended = [False] * len(self.texts)
        known = len(model.tokenizer)  # a vocabulary is often padded beyond it
        for step in range(max_tokens):
            with torch.no_grad():
                logits = model.head(hidden)
                if first is not None and step == 0:
                    first(logits)
                token = sampling.draw(logits[:, :known], generator)
            for row, new in enumerate(token.tolist()):
                ended[row] = ended[row] or new in model.ends
                if not ended[row]:
                    written[row].append(new)
            yield written
            if all(ended) or step == max_tokens - 1 or cancel():
                return
            positions, mask = positions + 1, torch.cat([mask, mask.new_ones(len(mask), 1)], 1)
            hidden = _forward(model, self.views, token[:, None], mask, positions, cache)[:, -1]

    @torch.no_grad()
    def score(self, asked: Sequence[tuple[int, str]]) -> list[Score]:
        """Return how likely each target is after its row: pairs of a row's number and a target, as in `LanguageModel.score`.

        A target whose first token depends on the text's last letters is read anew together with its text.
        """
        found: list[Score | None] = [None] * len(asked)
        rounds: list[dict[int, tuple[int, tuple[int, ...]]]] = []
        anew: list[int] = []
        for number, (row, target) in enumerate(asked):
            ids, start = self.model.tok.with_target(self.views[row].asks(self.texts[row]), target)
            if start != int(self.batch.mask[row].sum()):
                anew.append(number)
                continue
            free = next((one for one in rounds if row not in one), None)
            if free is None:
                rounds.append(free := {})
            free[row] = number, tuple(ids[start:])
        for one in rounds:
            for number, result in zip((n for n, _ in one.values()), self._scored(one), strict=True):
                found[number] = result
        again = score(
            self.model,
            [self.texts[asked[n][0]] for n in anew],
            [asked[n][1] for n in anew],
            [self.views[asked[n][0]] for n in anew],
        )
        for number, result in zip(anew, again, strict=True):
            found[number] = result
        return [one for one in found if one is not None]

    def _scored(self, labels: dict[int, tuple[int, tuple[int, ...]]]) -> list[Score]:
        """Return one target a row: its first token is read where the row ends, the others behind those before them."""
        wanted = [ids for _, ids in labels.values()]
        hidden = self.hidden[list(labels), None]
        longest = max(map(len, wanted)) - 1
        if longest > 0:
            ids = torch.full((len(self.texts), longest), self.model.tok.filler, dtype=torch.long)
            real = torch.zeros_like(ids, dtype=torch.bool)
            for row, (_, own) in labels.items():
                ids[row, : len(own) - 1], real[row, : len(own) - 1] = torch.tensor(own[:-1], dtype=torch.long), True
            device = self.hidden.device
            mask = torch.cat([self.batch.mask, real.to(device)], 1)
            positions = self.batch.positions[:, -1:] + torch.arange(1, longest + 1, device=device)
            after = _forward(self.model, self.views, ids.to(device), mask, positions, _branch(self.cache))
            hidden = torch.cat([hidden, after[list(labels)]], 1)
        return scores_of(self.model, hidden, [[(0, own)] for own in wanted])


def read(model: FrozenModel, texts: Sequence[str], views: Sequence[View], room: int = 0) -> Reading:
    """Read texts, each under its view, with `room` for so many tokens behind them.

    Raises `BadRequest` for an empty text, `TooLong` where the context does not hold them.
    """
    ids = [model.tok.encode(view.asks(text)) for view, text in zip(views, texts, strict=True)]
    longest = max(map(len, ids), default=0)
    if longest + room > model.tok.context:
        raise TooLong(
            f"The longest text has {longest} tokens and {room} more are asked for; "
            f"the model's context holds {model.tok.context}. Shorten the text or ask for fewer."
        )
    batch, hidden, cache = read_on(model, ids, views, [length(len(row) - 1) for row in ids])
    return Reading(model, tuple(texts), tuple(views), batch, hidden[:, -1], cache)


@torch.no_grad()
def _forward(
    model: FrozenModel,
    views: Sequence[View],
    ids: Int[Tensor, "rows new"],
    mask: Bool[Tensor, "rows all"],
    positions: Int[Tensor, "rows new"],
    cache: DynamicCache,
) -> Float[Tensor, "rows new d_model"]:
    with laid_over(model.hf, model.arch, views):
        base = model.hf.base_model
        return base(input_ids=ids, attention_mask=mask, position_ids=positions, **kept_in(cache, base)).last_hidden_state


def _branch(cache: DynamicCache) -> DynamicCache:
    """Return a cache that goes on from another one and leaves it as it is: it grows by new tensors, none is written into."""
    branch = copy.copy(cache)
    branch.layers = [copy.copy(layer) for layer in cache.layers]
    return branch
