"""Adds the robust edit pathway to an edit: which lessons it gets, which recipe, and what a person may choose."""

from __future__ import annotations

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
