"""Adds the robust edit pathway (REP) to an edit of a workspace: its recipe, its threshold, and what it is trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import is_tensor

from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.methods.rep import Refined, RepConfig, refine
from editlab.patches import Patch, View
from editlab.probes import Ground, asked_of_model
from editlab.work import Cancel, Progress

RECIPES = ("default", "published")
OFF = "off"


def recipe_of(wanted: str | None) -> str | None:
    """The recipe that somebody asked for; None for an edit without REP. Raises `BadRequest` for another word."""
    if wanted in (None, "", OFF):
        return None
    if wanted not in RECIPES:
        raise BadRequest(f"REP has no recipe {wanted!r}. Choose {OFF} or one of: {', '.join(RECIPES)}.")
    return wanted


def threshold_of(recipe: str) -> float:
    """What a gate must exceed to fire, as long as nobody has chosen otherwise."""
    return RepConfig(recipe=recipe).threshold


def threshold_from(value: float) -> float:
    """A threshold that somebody chose. Raises `BadRequest` for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not 0 <= value <= 1:
        raise BadRequest(f"The threshold is {value!r}. Choose a number from 0 to 1.")
    return float(value)


def refined(
    ground: Ground,
    request: EditRequest,
    patches: Sequence[Patch],
    view: View,
    recipe: str,
    names: Sequence[str],
    progress: Progress,
    cancel: Cancel,
) -> Refined:
    """Train the pathways of one edit, computed on `view`, on `names` of its subject beside those that are known.

    Raises `BadRequest` where there is nothing to train on, or the result is not finite.
    """
    known = request.subject in ground.facts.by_subject
    asked = () if known else asked_of_model(ground.model, request.subject)
    lessons = ground.lessons(ground.case(request), (*names, *asked))
    result = refine(ground.model, lessons, patches, view, RepConfig(recipe=recipe), progress, cancel)
    if not all(
        value.isfinite().all() for pathway in result.pathways for value in vars(pathway).values() if is_tensor(value)
    ):
        raise BadRequest("REP came out infinite and was not kept. Apply the edit without REP, or with the other recipe.")
    return result
