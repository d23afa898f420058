"""The handlers of the history and of the comparison. Answers to an earlier choice are not drawn after a later one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import Field

from editlab.answers import Answers
from editlab.errors import BadRequest
from editlab.lab import Lab, Moment, Workspace
from editlab.lab.access.limits import Cost
from editlab.lab.ledger.names import LONGEST_NAME
from editlab.lab.workspaces import history
from editlab.web.core import forms
from editlab.web.core.handlers import CHANGED, Handlers, handler
from editlab.web.core.inputs import Name, OwnProbes, Place, Question
from editlab.web.core.language import gettext as _
from editlab.web.core.turns import Turn, Turns
from editlab.web.core.updates import Update, Updates, follow
from editlab.web.core.visit import Visit
from editlab.web.core.wording import capitalize
from editlab.web.workspace import table, words
from editlab.web.workspace.display import MOMENT, WorkspaceDisplay, changes, moment

BranchName = Annotated[str, Field(max_length=LONGEST_NAME)]


class HistoryHandlers(Handlers):
    """The handlers of the slider, of what is done from there, and of the comparison."""

    def __init__(self, lab: Lab, display: WorkspaceDisplay) -> None:
        super().__init__(lab)
        self.display, self.past, self.comparisons = display, Turns(), Turns()

    @handler(cost=Cost(prompts=2))
    def workspace_moment(self, visit: Visit, workspace_moment: Place) -> Updates:
        """Show the edits at the slider's moment, and the answers to the question then and now."""
        workspace = visit.workspace
        moments = changes(workspace)
        then = history.snapshot(workspace, number_at(moments, workspace_moment))
        edits = table.edits_then(then.records)
        yield {
            "workspace-then": moment(moments[workspace_moment - 1] if workspace_moment else None),
            "workspace-were": edits,
        }
        question = workspace.request
        if question is None or workspace_moment == len(moments):
            return

        def draw(answers: Answers) -> Update:
            titles = {"then": _("Then"), "now": _("Now")}
            return {"workspace-were": edits + table.answers(question.text, answers, titles)}

        snapshots = {"then": then, "now": history.snapshot(workspace)}
        yield from self.past.take(workspace, lambda turn: self._ask(turn, workspace, question.text, snapshots, draw))

    @handler(cost=CHANGED)
    def workspace_return(self, visit: Visit, own: OwnProbes, workspace_moment: Place) -> Updates:
        """Return to the edits of the slider's moment."""
        workspace = visit.workspace
        number = number_at(changes(workspace), workspace_moment)
        workspace.return_to(number)
        yield self.display.slider(workspace)
        yield from self.display.edit.changed(workspace, words.returned(number), own)

    @handler(cost=CHANGED)
    def workspace_branch(
        self, visit: Visit, own: OwnProbes, workspace_moment: Place, workspace_branch_name: BranchName
    ) -> Updates:
        """Make a workspace that begins with the edits of the slider's moment, and open it."""
        info, workspace = visit.workspace_info, visit.workspace
        number = number_at(changes(workspace), workspace_moment)
        branch = history.branch(self.lab.workspaces, visit.visitor, workspace, info, workspace_branch_name, number)
        text = _("“{branch}” begins with the edits of “{name}” at that moment. Changes do not affect “{name}”.")
        text = text.format(branch=branch.name, name=info.name)
        yield {"workspace-branch-name": ""}
        yield from self.display.enter(visit, branch, own, text)

    @handler(cost=Cost(prompts=2))
    def workspace_compare(
        self, visit: Visit, workspace_other: Name | None, workspace_moment: Place, workspace_question: Question
    ) -> Updates:
        """Compare the open workspace with another one, or with its own edits at the slider's moment."""
        workspace, text = visit.workspace, forms.read_question(workspace_question)
        if workspace_other in (None, "", MOMENT):
            name = _(words.THE_MOMENT)
            there = history.snapshot(workspace, number_at(changes(workspace), workspace_moment))
        else:
            other = self.lab.directory.find(visit.visitor, workspace_other)
            name, there = _("“{name}”").format(name=other.name), history.snapshot(visit.enter(other))
        here = history.snapshot(workspace)
        differences = table.differences(history.differences(here.records, there.records), name)
        yield {"workspace-compared": differences}

        def draw(answers: Answers) -> Update:
            titles = {"here": _("Here"), "there": capitalize(name)}
            return {"workspace-compared": differences + table.answers(text, answers, titles)}

        snapshots = {"here": here, "there": there}
        yield from self.comparisons.take(workspace, lambda turn: self._ask(turn, workspace, text, snapshots, draw))

    def _ask(
        self,
        turn: Turn,
        workspace: Workspace,
        text: str,
        snapshots: Mapping[str, history.Snapshot],
        draw: Callable[[Any], Update],
    ) -> Updates:
        """Draw the answers to a text under each snapshot as they grow."""
        job = turn.asks(history.ask(self.lab.context, text, snapshots))
        yield from follow(workspace, job, draw)
        turn.check()
        yield {**draw(job.result()), "progress": ""}


def number_at(moments: tuple[Moment, ...], place: int) -> int:
    """Return the number of the event at a place of the slider; 0 is before all of them. Raises `BadRequest`."""
    if not 0 <= place <= len(moments):
        raise BadRequest(_("There is no such moment. Move the slider."))
    return moments[place - 1].number if place else 0
