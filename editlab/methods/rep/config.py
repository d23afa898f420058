"""REP's settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from editlab.methods._method import setting
from editlab.patches import THRESHOLD

TUNED = 0.8
"""Where the default recipe reaches most at under two false firings in 1,000 tokens of prose: docs/results/tuning.md."""


@dataclass(frozen=True)
class RepConfig:
    """Settings of both recipes. Those of the published one are constants of the paper and stand in `published.py`."""

    recipe: Literal["default", "published"] = setting(
        "default",
        "Ours: only the gate is learnt, and it also sees what must not open it. Published: the paper's projection, gate "
        "and constants.",
    )
    share: float = setting(1.3, "How much of the edit a key hears that heard nothing of it; 1 is what its own key hears.")
    hidden: int = setting(8, "Hidden units of the gate: they make the pathway's size.")
    steps: int = setting(100, "Optimisation steps for the gate.")
    learning_rate: float = setting(0.05, "Adam's learning rate for the gate, on standardised keys.")
    caution: float = setting(30.0, "How much heavier all negative keys weigh together than all positive ones.")
    contexts: int = setting(6, "Texts in front of the prompt under which each name is read, the empty one among them.")
    seed: int = setting(0, "Seed of the gate's first weights and of what is drawn.")

    @property
    def threshold(self) -> float:
        """What the gate should exceed to fire: where the recipe was tuned, or the paper's constant."""
        return TUNED if self.recipe == "default" else THRESHOLD
