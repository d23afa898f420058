"""What the base model was asked before: it never changes, so no row is read twice for the same answer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

MOST = 20_000
"""Answers that are remembered."""


class Remembered(OrderedDict[Hashable, Any]):
    """Answers by question; of more than `MOST`, the latest."""

    def __deepcopy__(self, memo: Any) -> Remembered:
        return Remembered()  # a copied model may get other weights

    def keep(self, question: Hashable, answer: Any) -> None:
        """Remember an answer."""
        self[question] = answer
        if len(self) > MOST:
            self.popitem(last=False)
