"""The handlers of the workspaces themselves and of the edits in the open one.

The page names workspaces by their handles. A handle is looked up among the workspaces that the visitor may enter.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from editlab.errors import BadRequest
from editlab.lab import Lab, Workspace, WorkspaceInfo
from editlab.lab.access.limits import FREE, Cost
from editlab.lab.workspaces import edits
from editlab.web.core.forms import Recipe
from editlab.web.core.handlers import CHANGED, Handlers, handler
from editlab.web.core.html import pieces
from editlab.web.core.inputs import Id, OwnProbes, Pressed
from editlab.web.core.language import gettext as _
from editlab.web.core.language import ngettext
from editlab.web.core.updates import Update, Updates, buttons, follow
from editlab.web.core.visit import Visit
from editlab.web.core.wording import number, tell
from editlab.web.workspace import words
from editlab.web.workspace.display import WorkspaceDisplay


class PressedWorkspace(Pressed):
    """A button of a workspace. `text`: the name in the field beside it; `was`: the name when the field was drawn."""

    press: Literal["enter", "new", "rename", "share", "private", "delete", "restore"]
    workspace: Id
    text: Annotated[str, Field(max_length=200)] = ""
    was: Annotated[str, Field(max_length=200)] = ""


class PressedEdit(Pressed):
    """A button of an edit in the table."""

    press: Literal["switch", "look", "rep", "remove", "up", "down"]
    edit: Id


class WorkspaceHandlers(Handlers):
    """The handlers of the list of workspaces, of the open one's name, and of its edits."""

    def __init__(self, lab: Lab, display: WorkspaceDisplay) -> None:
        super().__init__(lab)
        self.display, self.edit = display, display.edit

    @handler(cost=FREE)
    def workspace_open(self, visit: Visit) -> Updates:
        """Draw the tab when it is opened."""
        yield self.display.tab(visit)

    @handler(cost=CHANGED)
    def workspace_press(self, visit: Visit, own: OwnProbes, pressed: PressedWorkspace) -> Updates:
        """Open, make, rename, share, delete or restore a workspace."""
        directory, name = self.lab.directory, visit.visitor
        if pressed.press == "new":
            info = directory.make(name, pressed.text)
            yield from self.display.enter(visit, info, own, _("Created “{name}”. It is open now.").format(name=info.name))
            return
        info = directory.find(name, pressed.workspace, deleted=pressed.press == "restore")
        if pressed.press == "rename":
            renamed = directory.rename(name, info.id, pressed.text, pressed.was)
            visit.enter(renamed).note("renamed", name=renamed.name)
            text = _("Renamed “{old}” to “{new}”.").format(old=info.name, new=renamed.name)
            yield self.display.report(visit, text)
        elif pressed.press in ("share", "private"):
            yield self._share(visit, info, pressed.press == "share")
        elif pressed.press == "delete":
            directory.delete(name, info.id)
            text = _("Deleted “{name}”. You can restore it under “Deleted”.").format(name=info.name)
            yield from self.display.enter(visit, directory.current(name), own, text)
        else:
            info = directory.restore(name, info.id) if pressed.press == "restore" else info
            yield from self.display.enter(visit, info, own, _("“{name}” is open.").format(name=info.name))

    @handler(cost=CHANGED)
    def workspace_edit(self, visit: Visit, own: OwnProbes, rep: Recipe, pressed: PressedEdit) -> Updates:
        """Move an edit up or down, or do what the same button does on the Edit tab."""
        workspace = visit.workspace
        if pressed.press in ("up", "down"):
            yield self._move(workspace, pressed.edit, 1 if pressed.press == "down" else -1)
        else:
            yield from self.edit.press(workspace, pressed.press, pressed.edit, rep, own)

    @handler(cost=CHANGED)
    def workspace_undo(self, visit: Visit, own: OwnProbes) -> Updates:
        """Undo the latest change, whatever it was."""
        workspace = visit.workspace
        yield from self.edit.changed(workspace, _("Undone: {change}.").format(change=tell(workspace.undo())), own)

    @handler(cost=CHANGED)
    def workspace_redo(self, visit: Visit, own: OwnProbes) -> Updates:
        """Redo the change that was undone."""
        workspace = visit.workspace
        yield from self.edit.changed(workspace, _("Redone: {change}.").format(change=tell(workspace.redo())), own)

    @handler(cost=CHANGED)
    def workspace_remake(self, visit: Visit, own: OwnProbes) -> Updates:
        """Compute every edit that is on again, each under the earlier ones."""
        workspace = visit.workspace
        self.lab.limits.spend(Cost(edits=sum(len(record.requests) for record in workspace.records if record.on)))
        job = edits.remake(workspace)
        yield self.edit.running(_("Recomputing all edits."))
        yield from follow(workspace, job)
        n = sum(len(record.requests) for record in job.result())
        text = ngettext("Recomputed {n} edit.", "Recomputed {n} edits.", n).format(n=number(n))
        yield from self.edit.changed(workspace, text, own)

    @handler(cost=FREE)
    def workspace_stop(self, visit: Visit) -> Updates:
        """Stop the visitor's jobs. The handler that is stopped says the rest."""
        yield from self.stop_jobs(visit)

    def _share(self, visit: Visit, info: WorkspaceInfo, on: bool) -> Update:
        """Share a workspace or make it private."""
        shared = self.lab.directory.share(visit.visitor, info.id, on)
        visit.enter(shared).note("shared", on=shared.shared)
        if not shared.shared:
            return self.display.report(visit, _("“{name}” is private: only you can see it.").format(name=shared.name))
        return self.display.report(visit, words.shared(shared.name, self.lab.limits.demo))

    def _move(self, workspace: Workspace, id: str, step: int) -> Update:
        """Move an edit by one place."""
        ids = [record.id for record in workspace.records]
        if id not in ids:
            raise BadRequest(_("This edit is not in the list any more."))
        place = ids.index(id) + step
        workspace.move(id, place)
        text = _("Moved to place {n}. The order matters when the edits are recomputed.").format(n=place + 1)
        return {"message": pieces.message(text), **self.edit.edits(workspace), **buttons(workspace)}
