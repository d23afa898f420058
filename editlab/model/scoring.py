"""How likely targets are after prompts, teacher-forced, in as few rows as possible.

A row is forwarded once, however many targets are read from it; logits are computed only at target positions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from editlab.model.beginnings import length, read_on
from editlab.model.frozen import FrozenModel
from editlab.model.tokens import in_chunks
from editlab.patches import View

LOGITS_AT_ONCE = 2**24
"""Most logits that are computed in one go: 64 MB in float32, some times over."""


@dataclass(frozen=True)
class Score:
    """One target after one prompt.

    `log_p`: log-probability of the whole target (sum over its tokens); `first`: probability of its first token; `hit`:
    every token of it is the arg max, teacher-forced; `said`: those arg max token ids, one a target token.
    """

    log_p: float
    first: float
    hit: bool
    said: tuple[int, ...]

    @property
    def p(self) -> float:
        """Probability of the whole target."""
        return math.exp(self.log_p)


@dataclass(frozen=True)
class _Asked:
    """One target: `number` in the caller's order, its ids, and the column behind which the first of them is read."""

    number: int
    before: int
    labels: tuple[int, ...]

    def moved(self, by: int) -> _Asked:
        """Return the same where the row stands so many columns further right."""
        return replace(self, before=self.before + by)


Row = tuple[int, ...]
"""Ids that are forwarded."""


@torch.no_grad()
def score(model: FrozenModel, prompts: Sequence[str], targets: Sequence[str], view: View | Sequence[View]) -> list[Score]:
    """Score each target after its prompt. `view` is one for all or one a prompt.

    A row that is asked under several views runs once through the layers below the lowest patched one. What the base model
    said before is remembered.
    """
    views = [view] * len(prompts) if isinstance(view, View) else list(view)
    asked: dict[Row, dict[View, list[_Asked]]] = {}
    results: list[Score | None] = [None] * len(prompts)
    for number, (prompt, target, own) in enumerate(zip(prompts, targets, views, strict=True)):
        ids, start = model.tok.with_target(own.asks(prompt), target)
        item = _Asked(number, start - 1, tuple(ids[start:]))
        if not own.laid and (known := model.remembered.get((tuple(ids), start))):
            results[number] = known
            continue
        asked.setdefault(tuple(ids[:-1]), {}).setdefault(own, []).append(item)
    alike: dict[tuple[View, ...], list[Row]] = {}
    behind: list[tuple[Row, View]] = []
    for row, by_view in asked.items():
        if _beginning(asked[row]):
            behind += [(row, own) for own in by_view]
        else:
            alike.setdefault(tuple(by_view), []).append(row)
    shared = {own: rows for own, rows in alike.items() if len(own) > 1 and len(rows) > 1}
    alone = [(row, own) for key, rows in alike.items() if key not in shared for row in rows for own in key]
    for own, rows in shared.items():
        for chunk in in_chunks([len(row) for row in rows], model.tokens_per_forward):
            chosen = [rows[place] for place in chunk]
            batch = model.tok.pad(chosen, device=model.device)
            for one, hidden in zip(own, model.hidden_under(batch, own), strict=True):
                _fill(model, hidden, [asked[row][one] for row in chosen], results)
    for chunk in in_chunks([len(row) for row, _ in alone], model.tokens_per_forward):
        pairs = [alone[place] for place in chunk]
        batch = model.tok.pad([row for row, _ in pairs], device=model.device)
        hidden = model.hidden(batch, [one for _, one in pairs])
        _fill(model, hidden, [asked[row][one] for row, one in pairs], results)
    for chunk in in_chunks([len(row) for row, _ in behind], model.tokens_per_forward):
        pairs = [behind[place] for place in chunk]
        lengths = [_beginning(asked[row]) for row, _ in pairs]
        _, hidden, _ = read_on(model, [row for row, _ in pairs], [one for _, one in pairs], lengths)
        moved = [[item.moved(hidden.shape[1] - len(row)) for item in asked[row][one]] for row, one in pairs]
        _fill(model, hidden, moved, results)
    for row, by_view in asked.items():
        for item in (item for own, items in by_view.items() if not own.laid for item in items):
            model.remembered.keep(((*row, item.labels[-1]), item.before + 1), results[item.number])
    return [result for result in results if result is not None]


def _beginning(by_view: Mapping[View, Sequence[_Asked]]) -> int:
    """Return how many tokens of a row stand before all that is read of it, in whole blocks; 0 where it is short."""
    return length(min(item.before for items in by_view.values() for item in items))


def _fill(
    model: FrozenModel,
    hidden: Float[Tensor, "rows tokens d_model"],
    asked: Sequence[Sequence[_Asked]],
    results: list[Score | None],
) -> None:
    """Read the targets that are asked of each row off its final hidden states."""
    found = scores_of(model, hidden, [[(item.before, item.labels) for item in items] for items in asked])
    for item, one in zip((item for items in asked for item in items), found, strict=True):
        results[item.number] = one


def scores_of(
    model: FrozenModel,
    hidden: Float[Tensor, "rows tokens d_model"],
    asked: Sequence[Sequence[tuple[int, tuple[int, ...]]]],
) -> list[Score]:
    """Return scores read off final hidden states: for each row its targets as (column before the first token, ids)."""
    reads = [(place, before, labels) for place, items in enumerate(asked) for before, labels in items]
    where = [(place, before + t) for place, before, labels in reads for t in range(len(labels))]
    at = torch.tensor(where, device=hidden.device)
    flat = torch.tensor([label for _, _, labels in reads for label in labels], device=hidden.device)
    picked, best = _read(model, hidden[at[:, 0], at[:, 1]], flat)
    found, done = [], 0
    for _, _, labels in reads:
        own, said = picked[done : done + len(labels)], tuple(best[done : done + len(labels)])
        found.append(Score(sum(own), math.exp(own[0]), said == labels, said))
        done += len(labels)
    return found


def _read(
    model: FrozenModel, hidden: Float[Tensor, "reads d_model"], labels: Int[Tensor, "reads"]
) -> tuple[list[float], list[int]]:
    """Return the labels' log-probabilities and the likeliest ids after final hidden states, in parts of few logits."""
    picked, best = [], []
    size = max(1, LOGITS_AT_ONCE // model.hf.config.vocab_size)
    for part, own in zip(hidden.split(size), labels.split(size), strict=True):
        logits = model.head(part)
        picked.append(logits.gather(1, own[:, None])[:, 0] - logits.logsumexp(-1))
        best.append(logits.argmax(-1))
    return torch.cat(picked).tolist(), torch.cat(best).tolist()
