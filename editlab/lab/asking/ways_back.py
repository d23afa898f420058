"""What an edit reached and what leads back from it, as jobs of the model's worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pandas import DataFrame

from editlab import probes
from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.lab.jobs.worker import Cancel, Job, Progress
from editlab.lab.ledger.chain import EditRecord
from editlab.lab.workspaces.looking import Looking
from editlab.methods.svd import without_loudest
from editlab.patches import BASE, Preamble, View

if TYPE_CHECKING:
    from editlab.lab.lab import Lab


class Reversing:
    """What the Edit tab asks of one lab about an edit that is on."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def ways_back(self, workspace: Looking, request: EditRequest) -> Job[DataFrame]:
        """What brings the model's old answers back, and how far, on all probes of an edit: the rows of `probes.ways_back`.

        The ways: "removed" (the patch is taken out), "svd" (the loudest direction of its layers' weights is), and "masked"
        where there is a mask. Raises `BadRequest` where the request's edit is not on.
        """
        record = _lying(workspace, request)

        def work(progress: Progress, cancel: Cancel) -> DataFrame:
            lab, view = self._lab, workspace.view
            progress(0.0, "ways back: the loudest direction is taken out")
            loudest = [without_loudest(lab.model, view, layer) for layer in record.layers]
            without = view.without(record.patches)
            ways = {
                "edited": view,
                "removed": without if without.patches else BASE,
                "svd": view.with_patches(loudest),
            }
            if not workspace.mask_problem:
                ways["masked"] = workspace.views_under(mask=True)["masked"]
            case = probes.case_for(request, lab.facts)
            asked = probes.battery(lab.model, case, lab.passages, lab.seed)
            return probes.ways_back(lab.model, case.request, asked, ways, progress, cancel)

        return workspace.submit(work, "ways back")

    def linked(self, workspace: Looking, request: EditRequest) -> Job[DataFrame]:
        """Whether facts that are linked to a request's follow it, in every view: the rows of `probes.linked`.

        One more view, "told", is the unedited model that was told the new fact in front of each question.
        """

        def work(progress: Progress, cancel: Cancel) -> DataFrame:
            progress(0.0, "linked facts: what follows from the edit")
            case = probes.case_for(request, self._lab.facts)
            told = View((Preamble(f"{case.request.text} {case.request.target_new}."),))
            return probes.linked(self._lab.model, case, workspace.views | {"told": told})

        return workspace.submit(work, "ways back")


def _lying(workspace: Looking, request: EditRequest) -> EditRecord:
    """The latest edit of a request that is on. Raises `BadRequest` where none is."""
    found = next((record for record in reversed(workspace.records) if record.on and request in record.requests), None)
    if found is None:
        raise BadRequest("This edit does not lie over the model. Apply it, or switch it on in the list of edits.")
    return found
