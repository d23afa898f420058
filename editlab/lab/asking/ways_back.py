"""Ways to reverse an edit, and linked facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pandas import DataFrame

from editlab import probes
from editlab.facts import EditRequest
from editlab.lab.ledger.chain import EditRecord
from editlab.lab.workspaces.workspace import Workspace
from editlab.methods.svd import without_loudest
from editlab.model import LanguageModel
from editlab.patches import BASE, View, preamble_of
from editlab.probes import Ground
from editlab.work import Cancel, Progress


def ways(model: LanguageModel, record: EditRecord, workspace: Workspace) -> dict[str, View]:
    """Return the views that could restore the model's old answers, after the "edited" one.

    "removed": without the edit's patches; "svd": without the loudest direction of its layers' weights, if it has layers;
    "masked": under the reversal mask, if there is one.
    """
    view = workspace.view
    without = view.without(record.patches)
    views = {
        "edited": view,
        "removed": without if without.patches else BASE,
    }
    if record.layers:
        views["svd"] = view.with_patches([without_loudest(model, view, layer) for layer in record.layers])
    return views if workspace.mask_problem else views | {"masked": workspace.views_under(mask=True)["masked"]}


def ways_back(
    ground: Ground,
    request: EditRequest,
    ways: Mapping[str, View],
    others: Sequence[EditRequest],
    progress: Progress,
    cancel: Cancel,
) -> DataFrame:
    """Return how far each way restores the old answers, on all probes of an edit: the rows of `probes.ways_back`.

    `others`: what else is edited under the ways.
    """
    case = ground.case(request)
    return probes.ways_back(ground.model, case.request, ground.battery(case, others=others), ways, progress, cancel)


def linked(ground: Ground, request: EditRequest, views: Mapping[str, View]) -> DataFrame:
    """Return the answers to linked facts in every view: the rows of `probes.linked`.

    One more view, "told", is the unedited model with the new fact in front of each prompt.
    """
    case = ground.case(request)
    return probes.linked(ground.model, case, {**views, "told": View((preamble_of(case.request.sentence),))})
