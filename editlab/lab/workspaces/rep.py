"""Adds the robust edit pathway to an edit: which lessons it gets, which recipe, and what a person may choose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import is_tensor

from editlab import probes
from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.lab.jobs.worker import Cancel
from editlab.methods.rep import Refined, RepConfig, refine
from editlab.patches import Patch, View

if TYPE_CHECKING:
    from collections.abc import Callable

    from editlab.lab.lab import Lab

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


def _asked(lab: Lab, subject: str) -> tuple[str, ...]:
    """What an instruct model calls a subject that no table has."""
    return () if subject in lab.facts.by_subject else probes.asked_of_model(lab.model, subject)


def refined(
    lab: Lab,
    request: EditRequest,
    patches: Sequence[Patch],
    view: View,
    recipe: str,
    names: Sequence[str],
    progress: Callable[[float, str], None],
    cancel: Cancel,
) -> Refined:
    """Learn the pathways of one edit, computed on `view`; `names` are taught beside those that are known.

    Raises `BadRequest` where there is nothing to learn from, or what was learnt is no number.
    """
    case = probes.case_for(request, lab.facts, lab.seed)
    taught = (*names, *_asked(lab, request.subject))
    lessons = probes.lessons(lab.model, case, lab.passages, lab.facts, lab.seed, taught)
    made = refine(lab.model, lessons, patches, view, RepConfig(recipe=recipe), progress, cancel)
    if not all(value.isfinite().all() for pathway in made.pathways for value in vars(pathway).values() if is_tensor(value)):
        raise BadRequest("REP came out infinite and was not kept. Apply the edit without REP, or with the other recipe.")
    return made
