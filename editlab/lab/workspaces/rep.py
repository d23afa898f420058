"""The training of an edit's robust edit pathways (REP), on the names of its subject."""

from __future__ import annotations

from collections.abc import Sequence

from torch import is_tensor

from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.methods.rep import Refined, RepConfig, refine
from editlab.patches import Form, Patch, View
from editlab.probes import Ground, asked_of_model
from editlab.work import Cancel, Progress


def train_pathways(
    ground: Ground,
    request: EditRequest,
    patches: Sequence[Patch],
    view: View,
    recipe: str,
    names: Sequence[str],
    form: Form,
    progress: Progress,
    cancel: Cancel,
) -> Refined:
    """Train the pathways of one edit, computed on `view` in a form, on known names of its subject and on `names`.

    Raises `BadRequest` where there are no names, or the result is not finite.
    """
    known = request.subject in ground.facts.by_subject
    generated = () if known else asked_of_model(ground.model, request.subject)
    lessons = ground.lessons(ground.case(request), (*names, *generated))
    result = refine(ground.model, lessons, patches, view, RepConfig(recipe=recipe), progress, cancel, form=form)
    if not all(
        value.isfinite().all() for pathway in result.pathways for value in vars(pathway).values() if is_tensor(value)
    ):
        raise BadRequest(
            "REP has infinite values and was not applied. Apply the edit without REP, or with the other recipe."
        )
    return result
