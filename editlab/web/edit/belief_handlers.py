"""The handler that asks whether the model believes the fact that is shown."""

from __future__ import annotations

import gradio as gr

from editlab.errors import BadRequest, Cancelled
from editlab.lab.access.limits import Cost
from editlab.lab.asking import belief
from editlab.lab.asking.belief import BeliefAnswers
from editlab.lab.workspaces.workspace import Workspace
from editlab.web.core.handlers import BATTERY, Handlers, handler
from editlab.web.core.language import gettext as _
from editlab.web.core.updates import Update, Updates, buttons, follow
from editlab.web.core.visit import Visit
from editlab.web.edit import belief_table, words


class BeliefHandlers(Handlers):
    """The handler of "Does the model believe it?"."""

    @handler(cost=Cost(prompts=2 * BATTERY))
    def ask_belief(self, visit: Visit) -> Updates:
        """Ask each kind of question under every view, and draw each as soon as it is answered.

        What the visitor looks at or edits meanwhile ends it: no late answer stands beside another edit.
        """
        workspace = visit.workspace
        if workspace.request is None:
            raise BadRequest(_(words.NO_BELIEF))
        job = belief.ask(workspace, workspace.request)

        def draw(answers: BeliefAnswers) -> Update:
            if belief.is_current(workspace, answers):
                return {"belief": belief_table.table(answers)}
            job.cancel()
            return {}

        yield {"belief": belief_table.asking(), "stop": gr.update(interactive=True)}
        try:
            yield from follow(workspace, job, draw)
            update = draw(job.result())
        except Cancelled:
            update = _stopped(workspace, job.partial)
        yield {**update, "progress": "", **buttons(workspace)}


def _stopped(workspace: Workspace, answers: BeliefAnswers | None) -> Update:
    """Return what is shown of answers that were stopped; nothing of those about what is no longer shown."""
    if answers is None:
        return {"belief": belief_table.hint()}
    return {"belief": belief_table.table(answers, stopped=True)} if belief.is_current(workspace, answers) else {}
