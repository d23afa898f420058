"""Adds the robust edit pathway (REP) to an edit of a workspace: its recipe, its threshold, and what it is trained on."""

from __future__ import annotations

from collections.abc import Sequence

from torch import is_tensor

from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.methods.rep import Refined, RepConfig, refine
from editlab.patches import Patch, View
from editlab.probes import Ground, asked_of_model
from editlab.work import Cancel, Progress


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
