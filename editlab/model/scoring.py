"""How likely targets are after prompts, teacher-forced, in as few rows as possible.

A row is forwarded once, however many targets are read from it; logits are computed only at target positions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from editlab.patches import View

if TYPE_CHECKING:
    from editlab.model.language_model import LanguageModel


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
    row: int
    start: int
    labels: tuple[int, ...]


@torch.no_grad()
def score(model: LanguageModel, prompts: Sequence[str], targets: Sequence[str], view: View | Sequence[View]) -> list[Score]:
    """Score each target after its prompt. `view` is one for all or one a prompt."""
    from editlab.model.language_model import under

    views = [view] * len(prompts) if isinstance(view, View) else list(view)
    rows: dict[tuple[int, tuple[int, ...]], int] = {}
    row_views: list[View] = []
    asked: list[_Asked] = []
    for prompt, target, own in zip(prompts, targets, views, strict=True):
        ids, start = model.tok.with_target(under(own, prompt), target)
        key = (id(own), tuple(ids[:-1]))
        if key not in rows:
            rows[key] = len(rows)
            row_views.append(own)
        asked.append(_Asked(rows[key], start, tuple(ids[start:])))
    inputs = [ids for _, ids in rows]
    by_row: dict[int, list[int]] = {}
    for number, item in enumerate(asked):
        by_row.setdefault(item.row, []).append(number)
    results: list[Score | None] = [None] * len(asked)
    for chunk in in_chunks([len(ids) for ids in inputs], model.tokens_per_forward):
        batch = model.tok.pad([inputs[row] for row in chunk], device=model.device)
        chosen = [row_views[row] for row in chunk]
        hidden = model.hidden(batch, chosen[0] if all(v is chosen[0] for v in chosen) else chosen)
        reads = [(place, number) for place, row in enumerate(chunk) for number in by_row[row]]
        where = [(place, asked[n].start - 1 + t) for place, n in reads for t in range(len(asked[n].labels))]
        at = torch.tensor(where, device=hidden.device)
        log_p = model.head(hidden[at[:, 0], at[:, 1]]).log_softmax(-1)
        labels = torch.tensor([label for _, n in reads for label in asked[n].labels], device=log_p.device)
        picked = log_p.gather(1, labels[:, None])[:, 0].tolist()
        best, wanted = log_p.argmax(-1).tolist(), labels.tolist()
        done = 0
        for _, n in reads:
            size = len(asked[n].labels)
            own, said = picked[done : done + size], tuple(best[done : done + size])
            results[n] = Score(sum(own), math.exp(own[0]), said == tuple(wanted[done : done + size]), said)
            done += size
    return [result for result in results if result is not None]


def in_chunks(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Row numbers, shortest rows first, in chunks whose padded size stays within `budget` tokens.

    A row beyond the budget goes alone. Short rows do not share a chunk with long ones: padding would cost more than
    another forward.
    """
    chunk: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: lengths[row]):
        too_many = (len(chunk) + 1) * lengths[row] > budget
        if chunk and (too_many or lengths[row] > 2 * lengths[chunk[0]] + 32):
            yield chunk
            chunk = []
        chunk.append(row)
    if chunk:
        yield chunk
