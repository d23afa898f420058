"""Whether a model believes an edit: its views, the fact told and the fact retrieved, under the same questions."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from editlab import methods
from editlab.answers import ViewName
from editlab.errors import TooLong
from editlab.facts import EditRequest
from editlab.lab.asking.answers import Asked, find_applied
from editlab.lab.job import Job, JobProgress, Parts
from editlab.lab.kinds import Kind
from editlab.lab.workspaces.workspace import Workspace
from editlab.patches import BASE, View
from editlab.probes import belief, judged
from editlab.work import Cancel, stop_if

IN_PROMPT = ("told", "note")
"""The methods whose views stand beside those of the workspace: the fact told, and retrieved."""

Row = Mapping[str, Any]
"""A row of `probes.belief.ask`: a question with the findings of each view."""


@dataclass(frozen=True, eq=False)
class BeliefAnswers:
    """The questions of each kind that were asked so far, under `views`.

    `edited`: the view by which the edit is judged, "" where none of the fact is on; `waiting`: the kinds that are still to
    be asked; `chain`: the digest of the edits that were on.
    """

    request: EditRequest
    views: tuple[str, ...]
    edited: str
    chain: str
    rows: tuple[Row, ...] = ()
    waiting: tuple[str, ...] = tuple(belief.KINDS)

    def of_kind(self, kind: str) -> list[Row]:
        """Return the questions of a kind."""
        return [row for row in self.rows if row["kind"] == kind]

    @cached_property
    def telling(self) -> list[Row]:
        """The questions that tell something of the edit, of the fact told and of the fact retrieved alike."""
        views = [f"{view}.generated" for view in (*IN_PROMPT, self.edited) if view]
        return [row for row in self.rows if row["known"] and all(row[view] is not None for view in views)]

    def believed(self, view: str) -> int:
        """Return how many of `telling` a view answers as a believer writes."""
        return sum(bool(row[f"{view}.generated"]) for row in self.telling)


def ask(workspace: Workspace, request: EditRequest) -> Job[BeliefAnswers]:
    """Submit a job that asks each kind of question about a request, with a partial result after each kind.

    Nothing in the workspace changes. Between two kinds others get the model.
    """
    context = workspace.context
    request = context.ground.case(request).request

    def work(progress: JobProgress, cancel: Cancel) -> Parts[BeliefAnswers]:
        ground, views = context.ground, views_of(workspace, request)
        on = find_applied(workspace.records, request) is not None
        edited = judged([name for name in views if name not in IN_PROMPT]) if on else ""
        result = BeliefAnswers(request, tuple(views), edited, workspace.view.digest)
        around = belief.Around.of(ground, ground.case(request))
        asked = Asked(ground, request, views)
        for place, (name, kind) in enumerate(belief.KINDS.items()):
            stop_if(cancel, "Stopped before all questions were asked.")
            progress(place / len(belief.KINDS), f"belief: {kind.title}")
            questions = belief.questions([kind], around)

            rows: list[Row] = []

            def read(questions: tuple[belief.Asked, ...] = questions) -> list[Row]:
                return belief.ask(ground.model, questions, views, cancel).to_dict("records")

            with suppress(TooLong):  # such a kind stands there as one that cannot be asked
                rows = context.shared.once(asked.key("belief", name), read) if questions else []
            waiting = tuple(belief.KINDS)[place + 1 :]
            result = BeliefAnswers(request, result.views, edited, result.chain, (*result.rows, *rows), waiting)
            progress.show(result)
            yield
        return result

    return workspace.submit(work, Kind.ANSWERS)


def views_of(workspace: Workspace, request: EditRequest) -> dict[str, View]:
    """Return the views to compare, then the unedited model with the fact told, and with it retrieved."""
    views = {name: view for name, view in workspace.question_views.items() if name != ViewName.BASE_MASKED}
    model = workspace.context.model
    for name in IN_PROMPT:
        method = methods.get(name)
        patch = method.patch(model, request, method.config_for(model))
        views |= workspace.in_form({name: BASE.with_patches([patch])})
    return views


def is_current(workspace: Workspace, answers: BeliefAnswers) -> bool:
    """Return whether answers are still about the fact that the visitor looks at, and about the edits that are on."""
    return workspace.request == answers.request and workspace.view.digest == answers.chain
