"""Short answers, written greedily behind texts that were read, up to where the script ends an answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from editlab.model.generation import readable
from editlab.model.reading import Reading
from editlab.model.sampling import Sampling
from editlab.probes.matching import ended, trimmed

if TYPE_CHECKING:
    from editlab.model import LanguageModel

ANSWER_TOKENS = 6
"""Tokens of an answer, unless an object that is asked for has more."""


def room_for(model: LanguageModel, objects: Collection[str]) -> int:
    """Return how many tokens an answer has room for."""
    return max(ANSWER_TOKENS, 1 + max((len(model.tok.chips(f" {o}")) for o in objects), default=0))


def write(
    reading: Reading,
    room: int,
    objects: Collection[str],
    enough: Callable[[Sequence[str]], Sequence[bool]] | None = None,
) -> list[str]:
    """Return each row's answer; nothing more is written once all have ended, or `enough` says of all answers so far."""
    written = [""] * len(reading.texts)
    for ids in reading.write(room, Sampling()):
        written = [readable(reading.model, row) for row in ids]
        over = [ended(text.strip(), objects) for text in written]
        told = enough([trimmed(text, objects) for text in written]) if enough and not all(over) else over
        if all(one or other for one, other in zip(over, told, strict=True)):
            break
    return [trimmed(text, objects) for text in written]
