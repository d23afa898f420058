"""What a model read and said before: its weights never change, so that nothing need be computed twice."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

TOKENS_KEPT = 8_192
"""Most tokens of long texts whose keys and values are kept: as many as two dozen passages have."""
MOST = 20_000
"""Answers that are remembered."""


class Remembered(OrderedDict[Hashable, Any]):
    """The base model's answers by question; of more than `MOST`, the latest."""

    def __deepcopy__(self, memo: Any) -> Remembered:
        return Remembered()  # a copied model may get other weights

    def keep(self, question: Hashable, answer: Any) -> None:
        """Remember an answer."""
        self[question] = answer
        if len(self) > MOST:
            self.popitem(last=False)


@dataclass(eq=False)
class Beginnings:
    """The beginnings of long texts that were read last (`model.beginnings`), by their ids and what else shaped them.

    At most `most` tokens under the base model, and as many under other views.
    """

    most: int = TOKENS_KEPT
    bases: OrderedDict[tuple[tuple[int, ...], Hashable], Any] = field(default_factory=OrderedDict, repr=False)
    made: OrderedDict[tuple[tuple[int, ...], Hashable], Any] = field(default_factory=OrderedDict, repr=False)

    def __deepcopy__(self, memo: Any) -> Beginnings:
        return Beginnings(self.most)  # a copied model may get other weights

    def clear(self) -> None:
        """Forget all of them."""
        self.bases.clear()
        self.made.clear()

    def keep(
        self, kept: OrderedDict[tuple[tuple[int, ...], Hashable], Any], key: tuple[tuple[int, ...], Hashable], found: Any
    ) -> None:
        """Keep one as the latest, and no more than there is room for."""
        kept[key] = found
        kept.move_to_end(key)
        while kept and sum(len(ids) for ids, _ in kept) > self.most:
            kept.popitem(last=False)
