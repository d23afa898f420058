"""What is looked at beside the present: the workspace at an earlier moment, and another one. Nothing is changed by it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from editlab.lab import Workspace
from editlab.lab.access.limits import Cost
from editlab.lab.workspaces import history
from editlab.web.core import forms
from editlab.web.core.handlers import Handlers, Turn, Update, Updates, handler
from editlab.web.workspace import rooms, table
from editlab.web.workspace.handlers import MOMENT, moments, number_at, place_of


class TravelHandlers(Handlers):
    """The handlers of the slider and of the comparison. The latest thing that is looked at ends the one before."""

    @handler(Cost(prompts=2))
    def moment(self, visitor: Any, place: Any, request: gr.Request) -> Updates:
        """The slider was moved. Updates: workspace-then, workspace-were."""
        workspace = self.workspace(visitor, request)
        found = moments(workspace)
        place = place_of(found, place)
        then = history.standing(workspace, number_at(found, place))
        were = table.were(then.records)
        yield {"workspace-then": rooms.moment(found[place - 1] if place else None), "workspace-were": were}
        question = workspace.request
        if question is None or place == len(found):
            return
        standings = {"then": then, "now": history.standing(workspace)}

        def draw(said: dict[str, Any]) -> Update:
            return {"workspace-were": were + table.answers(question.text, said)}

        yield from self._ask(workspace, question.text, standings, draw)

    @handler(Cost(prompts=2))
    def compare(self, visitor: Any, other: Any, place: Any, question: Any, request: gr.Request) -> Updates:
        """Another workspace, or this one at the slider's moment, is held against this one. Updates: workspace-compared."""
        workspace, text = self.workspace(visitor, request), forms.read_question(question)
        here = history.standing(workspace)
        if other in (None, "", MOMENT):
            name, there = "the earlier state", history.standing(workspace, number_at(moments(workspace), place))
        else:
            known = self.visitor(visitor, request)
            room = self.lab.directory.find(known, str(other))
            name = f"“{room.name}”"
            there = history.standing(self.lab.workspace(room.id, self.author(known, room, request)))
        rows = table.differences(history.differences(here.records, there.records), name)
        yield {"workspace-compared": rows}
        titles = {"here": "Here", "there": f"{name[:1].upper()}{name[1:]}"}

        def draw(said: dict[str, Any]) -> Update:
            return {"workspace-compared": rows + table.answers(text, said, titles)}

        yield from self._ask(workspace, text, {"here": here, "there": there}, draw)

    def _ask(self, workspace: Workspace, text: str, standings: dict[str, history.Standing], draw: Any) -> Updates:
        def show(turn: Turn) -> Updates:
            job = turn.asks(history.ask(self.lab.context, text, standings))
            yield from self.follow(workspace, job, draw)
            turn.check()
            yield {**draw(job.result()), "progress": ""}

        yield from self.in_turn(workspace, show)
