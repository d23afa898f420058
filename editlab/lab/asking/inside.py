"""What an edit does between its layer and the answer, as jobs of the model's worker: each computes one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pandas import DataFrame

from editlab import insight, probes
from editlab.errors import BadFile, Cancelled, MissingMask
from editlab.facts import EditRequest
from editlab.insight import Question
from editlab.insight.loudness import Loudness, rows
from editlab.lab.asking.keys import Keys
from editlab.lab.jobs.worker import Cancel, Job, Progress
from editlab.lab.ledger.chain import EditRecord
from editlab.lab.workspaces.workspace import Workspace
from editlab.methods.mask import find, lessons, need
from editlab.patches import View

if TYPE_CHECKING:
    from editlab.lab.lab import Lab


class Inside:
    """What the Inside tab asks of one lab. All raise `BadRequest` where no edit is on the bench, but for `loudness`."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def edit(self, workspace: Workspace) -> EditRecord:
        """The edit on the bench: that of the question which is looked at, the latest of them."""
        return Keys(self._lab).edit(workspace)

    def request(self, workspace: Workspace) -> EditRequest:
        """The edit's request, with the true object where the facts know one that nobody gave."""
        return probes.case_for(self.edit(workspace).request, self._lab.facts).request

    def question(self, workspace: Workspace, text: str | None = None, at: int = 1) -> Question:
        """What is looked at: a text, by default the edit's own, and a token of it, counted from its end."""
        return Question.of(self._lab.model, self.request(workspace), text, at)

    def views(self, workspace: Workspace) -> dict[str, View]:
        """What is held against each other: the workspace's views and, where there is a mask, what lies under it.

        The mask is looked at whether its switch is on or not: that is what the tab is for.
        """
        try:
            return workspace.views_under(mask=True) | workspace.views
        except (MissingMask, BadFile):
            return workspace.views

    def lens(self, workspace: Workspace, question: Question) -> Job[DataFrame]:
        """What the model would say behind each layer: `insight.logit_lens`."""
        return self._looked_into(workspace, question, insight.logit_lens, "logit lens: what each layer would say")

    def contributions(self, workspace: Workspace, question: Question) -> Job[DataFrame]:
        """What each part adds to the objects' logits: `insight.contributions`."""
        return self._looked_into(workspace, question, insight.contributions, "contributions: what each part adds")

    def attention(self, workspace: Workspace, question: Question) -> Job[DataFrame]:
        """How much each head looks at the subject: `insight.attention`."""
        return self._looked_into(workspace, question, insight.attention, "attention: who looks at the subject")

    def mask_structure(self, workspace: Workspace) -> Job[DataFrame]:
        """What the mask takes away: `insight.mask_structure`. Raises `MissingMask` or `BadFile` saying what to do."""
        mask = need(self._lab.model, self.edit(workspace).method)
        return workspace.submit(lambda progress, cancel: insight.mask_structure(mask.masks))

    def loudness(self, workspace: Workspace, count: int, method: str = "rome") -> Job[list[Loudness]]:
        """Edit so many facts that the model knows, each alone, and look at each: `insight.loudness`; shown as they come."""

        def work(progress: Progress, cancel: Cancel) -> list[Loudness]:
            model, found = self._lab.model, []
            progress(0.0, "many edits: facts that the model knows")
            chosen = [own.request for own in lessons(model, self._lab.facts, count, (), self._lab.seed, cancel)]
            for row in rows(model, chosen, method, find(model, method), cancel=cancel):
                if cancel():
                    raise Cancelled("Stopped before all edits were made; those that were are shown.")
                found.append(row)
                progress(len(found) / len(chosen), f"many edits: {len(found)} of {len(chosen)}, {row.subject}")
                progress.show(list(found))
            return found

        return workspace.submit(work, "inside")

    def _looked_into(
        self, workspace: Workspace, question: Question, picture: Callable[..., DataFrame], said: str
    ) -> Job[DataFrame]:
        """A picture of `insight` for a question in all views."""
        views = self.views(workspace)

        def work(progress: Progress, cancel: Cancel) -> DataFrame:
            progress(0.0, said)
            return picture(self._lab.model, views, question, cancel)

        return workspace.submit(work, "inside")
