"""REP's recipes and its threshold, as a person chooses them."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

from editlab.errors import BadRequest
from editlab.patches import THRESHOLD

Recipe = Literal["default", "published"]
"""Ours, or that of the paper."""
RECIPES: tuple[Recipe, ...] = get_args(Recipe)
OFF = "off"
"""What a person writes for an edit without REP."""
TUNED = 0.8
"""Where the default recipe reaches most at under two false firings in 1,000 tokens of prose: docs/results/tuning.md."""


def recipe_of(wanted: str | None) -> Recipe | None:
    """Return the recipe that a person asked for, None for an edit without REP. Raises `BadRequest` for another word."""
    if wanted in (None, "", OFF):
        return None
    if wanted not in RECIPES:
        raise BadRequest(f"REP has no recipe {wanted!r:.80}. Choose one of: {', '.join((OFF, *RECIPES))}.")
    return wanted


def threshold_of(recipe: Recipe) -> float:
    """Return what a gate must exceed to fire: the value at which the recipe was tuned, or the paper's constant."""
    return TUNED if recipe == "default" else THRESHOLD


def check_threshold(value: Any) -> float:
    """Return a threshold that a person chose. Raises `BadRequest` for anything but a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not 0 <= value <= 1:
        raise BadRequest(f"The threshold is {value!r:.80}. Choose a number from 0 to 1.")
    return float(value)
