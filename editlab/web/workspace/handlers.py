"""What happens on the Workspace tab: a workspace is opened or made, its edits are ordered, an earlier state comes back.

Whatever changes there is shown on the Edit tab as well: these are its handlers and more. A page names workspaces by their
handles, which are looked up among those that the visitor may enter; what it says of anything else is not believed.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from editlab.errors import BadRequest
from editlab.lab import Lab, Moment, Workspace, WorkspaceInfo
from editlab.lab.access.limits import FREE
from editlab.lab.workspaces import history
from editlab.web.core import forms, render
from editlab.web.core.handlers import CHANGED, Handlers, Update, Updates, handler
from editlab.web.edit.display import Own
from editlab.web.edit.handlers import EditHandlers
from editlab.web.workspace import rooms, table, words

ROOM_ACTIONS = ("enter", "new", "rename", "share", "private", "delete", "restore")
MOMENT = "moment"
"""What the other side of a comparison is called that is this workspace at an earlier time."""


class WorkspaceHandlers(EditHandlers):
    """The handlers of the Edit tab, and those that are about a workspace as a whole.

    `beside`: the Edit tab's own. Of what the two show about a question, the later one counts.
    """

    def __init__(self, lab: Lab, beside: Handlers) -> None:
        super().__init__(lab)
        self._turns = beside._turns

    @handler(FREE)
    def workspace_open(self, visitor: Any, request: gr.Request) -> Updates:
        """The tab was opened. Updates: all of it."""
        room, workspace = self.here(visitor, request)
        yield {**self._room(visitor, room, workspace, request), **self._stack(workspace), **self.buttons(workspace)}

    @handler(CHANGED)
    def room(self, visitor: Any, rephrases: Any, neighbours: Any, event: gr.EventData, request: gr.Request) -> Updates:
        """A button beside a workspace's name was pressed: see `ROOM_ACTIONS`. Updates: all of the tab, and as `open`."""
        action, handle = forms.read_pressed(event, "press"), forms.read_pressed(event, "room")
        if action not in ROOM_ACTIONS:
            raise BadRequest("This button is not on the page any more. Reload the page.")
        name, known, own = self.visitor(visitor, request), self.lab.directory, (rephrases, neighbours)
        if action == "new":
            made = known.make(name, forms.read_pressed(event, "text"))
            yield from self._enter(visitor, made, own, f"“{made.name}” is made and open.", request)
            return
        room = known.find(name, handle, deleted=action == "restore")
        if action == "rename":
            now = known.rename(name, room.id, forms.read_pressed(event, "text"), forms.read_pressed(event, "was"))
            self._in(now, name, request).note("renamed", name=now.name)
            yield from self._told(visitor, f"“{room.name}” is now called “{now.name}”.", request)
        elif action in ("share", "private"):
            now = known.share(name, room.id, action == "share")
            self._in(now, name, request).note("shared", on=now.shared)
            seen = (
                f"“{now.name}” is shared: {self._visitors} find it in their list." if now.shared else "Only you see it now."
            )
            yield from self._told(visitor, seen, request)
        elif action == "delete":
            known.delete(name, room.id)
            yield from self._enter(
                visitor, known.current(name), own, f"“{room.name}” is deleted. “Deleted” brings it back.", request
            )
        else:
            room = known.restore(name, room.id) if action == "restore" else room
            yield from self._enter(visitor, room, own, f"“{room.name}” is open.", request)

    @handler(CHANGED)
    def row(
        self, visitor: Any, rephrases: Any, neighbours: Any, rep: Any, event: gr.EventData, request: gr.Request
    ) -> Updates:
        """A button of an edit's row was pressed: up or down, or what `change` knows. Updates as `apply`."""
        action, id = forms.read_pressed(event, "press"), forms.read_pressed(event, "edit")
        if action not in ("up", "down"):
            yield from self.change(visitor, rephrases, neighbours, rep, event, request)
            return
        _, workspace = self.here(visitor, request)
        ids = [record.id for record in workspace.records]
        if id not in ids:
            raise BadRequest("This edit is not in the list any more.")
        place = ids.index(id) + (1 if action == "down" else -1)
        workspace.move(id, place)
        text = f"Now at place {place + 1}. The order counts when the edits are re-made."
        yield {"message": render.message(text), **self._stack(workspace), **self.buttons(workspace)}

    @handler(CHANGED)
    def return_to(self, visitor: Any, rephrases: Any, neighbours: Any, place: Any, request: gr.Request) -> Updates:
        """What lay there at the moment of the slider shall lie there again. Updates as `apply`."""
        _, workspace = self.here(visitor, request)
        told = workspace.return_to(number_at(moments(workspace), place))
        yield self._time(workspace)
        yield from self._changed(workspace, f"You have {told}. Undo takes that back.", (rephrases, neighbours))

    @handler(CHANGED)
    def branch(self, visitor: Any, rephrases: Any, neighbours: Any, place: Any, name: Any, request: gr.Request) -> Updates:
        """A new workspace shall begin with what lay there at the moment of the slider. Updates as `room`."""
        room, workspace = self.here(visitor, request)
        number = number_at(moments(workspace), place)
        made = history.branch(
            self.lab.workspaces,
            self.visitor(visitor, request),
            workspace,
            room,
            str(name or ""),
            number,
        )
        text = f"“{made.name}” begins as “{room.name}” was then; what you do here changes nothing there."
        yield {"workspace-branch-name": ""}
        yield from self._enter(visitor, made, (rephrases, neighbours), text, request)

    # --- parts ------------------------------------------------------------------------------------------------------

    def here(self, visitor: Any, request: gr.Request) -> tuple[WorkspaceInfo, Workspace]:
        """The workspace that the visitor has open, as people know it and as the ledger has it."""
        name = self.visitor(visitor, request)
        room = self.lab.directory.current(name)
        return room, self._in(room, name, request)

    def _in(self, room: WorkspaceInfo, name: str, request: gr.Request) -> Workspace:
        return self.lab.workspace(room.id, self.author(name, room, request))

    def _enter(self, visitor: Any, room: WorkspaceInfo, own: Own, text: str, request: gr.Request) -> Updates:
        """Open a workspace, and show on the Edit tab what was looked at in it last; in a new one, the first preset."""
        self.lab.directory.enter(self.visitor(visitor, request), room.id)
        yield from self._told(visitor, text, request)
        workspace = self.here(visitor, request)[1]
        text = f"{text} {workspace.notice or ''}".strip()
        if workspace.request is None and self.lab.scenarios:
            yield from self._present(workspace, self.lab.scenarios[0], own, text)
        else:
            yield from self._changed(workspace, text, own)

    def _told(self, visitor: Any, text: str, request: gr.Request) -> Updates:
        room, workspace = self.here(visitor, request)
        yield {
            "message": render.message(text),
            **self._room(visitor, room, workspace, request),
            **self._stack(workspace),
            **self.buttons(workspace),
        }

    def _room(self, visitor: Any, room: WorkspaceInfo, workspace: Workspace, request: gr.Request) -> Update:
        """Everything about the open workspace but its edits."""
        name, known = self.visitor(visitor, request), self.lab.directory
        own = known.rooms(name)
        others = [(other.title, other.handle) for other in own if other.id != room.id]
        asked = "" if workspace.request is None else workspace.request.text
        lies = words.lies(workspace.records, self.lab.about()["model"])
        return {
            "workspace-rooms": rooms.rooms(own, room, known.rooms(name, deleted=True)),
            "workspace-head": rooms.head(room, lies, self._visitors),
            "workspace-other": gr.update(choices=[("Here, at the moment chosen above", MOMENT), *others], value=MOMENT),
            "workspace-question": asked,
            "workspace-compared": "",
            "workspace-verified": "",
            **self._jobs(name),
            **self._time(workspace),
        }

    def _jobs(self, name: str) -> Update:
        return {"workspace-jobs": table.jobs(self.lab.jobs.rows(name), self.lab.downloads.offered)}

    def _time(self, workspace: Workspace) -> Update:
        """The slider at its end."""
        found = moments(workspace)
        most = max(1, len(found))
        slider = gr.update(minimum=0, maximum=most, value=most if found else 0, interactive=bool(found))
        return {
            "workspace-moment": slider,
            "workspace-then": rooms.moment(found[-1] if found else None),
            "workspace-were": "",
        }

    @property
    def _visitors(self) -> str:
        return "everybody who visits this page" if self.lab.limits.demo else "everybody who may use this EditLab"

    def _beside(self, workspace: Workspace) -> Update:
        """The edits here, whenever those of the Edit tab are drawn."""
        return {"workspace-edits": table.edits(workspace.records, self.lab.monitor.scores(workspace))}


def moments(workspace: Workspace) -> tuple[Moment, ...]:
    """The moments between which the slider moves: the changes of what lies over the model."""
    return tuple(moment for moment in history.timeline(workspace) if moment.changed)


def place_of(found: tuple[Moment, ...], place: Any) -> int:
    """Where the slider stands: 0 before everything. Raises `BadRequest`."""
    if isinstance(place, bool) or not isinstance(place, int | float) or not 0 <= place <= len(found) or place % 1:
        raise BadRequest("There is no such moment. Move the slider.")
    return int(place)


def number_at(found: tuple[Moment, ...], place: Any) -> int:
    """The number of the event at which the slider stands. Raises `BadRequest`."""
    place = place_of(found, place)
    return found[place - 1].number if place else 0
