"""How well a view reads plain prose: nats a token on passages, behind the first words of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from editlab.patches import BASE, View

if TYPE_CHECKING:
    from editlab.model import LanguageModel

Halves = tuple[str, str]
"""The beginning of a passage, and the rest, on which the loss is read."""


def halved(text: str) -> Halves:
    """Return a passage's first words, a tenth of it, and the rest."""
    words = text.split()
    at = max(1, len(words) // 10)
    return " ".join(words[:at]), " ".join(words[at:])


def losses(
    model: LanguageModel, passages: Sequence[Halves], view: View = BASE, rest: Callable[[], None] = lambda: None
) -> list[tuple[float, int]]:
    """Return of each passage the nats of its rest and how many tokens it has. `rest()` is called between two of them."""
    found = []
    for begin, end in passages:
        (score,) = model.score([begin], [end], view)
        found.append((-score.log_p, len(score.said)))
        rest()
    return found


def mean_loss(found: Sequence[tuple[float, int]]) -> float:
    """Return nats a token over all passages."""
    return sum(nats for nats, _ in found) / sum(tokens for _, tokens in found)
