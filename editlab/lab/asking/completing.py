"""Completions of a prompt under a view by its name: what other programs ask."""

from __future__ import annotations

from editlab.answers import ViewName
from editlab.errors import BadFile, BadRequest, MissingMask
from editlab.lab.context import Context
from editlab.lab.job import Job
from editlab.lab.workspaces.workspace import Workspace
from editlab.model.completion import Completion, Prompt
from editlab.patches import BARE, BASE, Form, View

NONE_OF_IT = {ViewName.REP: "no REP: no edit that is on has pathways", ViewName.GUARDED: "no edit that is on"}


def complete(
    context: Context, prompt: Prompt, workspace: Workspace | None, name: ViewName, form: Form = BARE
) -> Job[Completion]:
    """Submit a prompt in a form, and return the job of its completion. Without a workspace, the base model is asked."""
    if workspace is None:
        return context.completions.ask(prompt, lambda: BASE.in_form(form), context.loaded.fingerprint)
    return context.completions.ask(
        prompt, lambda: view_of(workspace, name).in_form(form), workspace.fingerprint, workspace.name
    )


def view_of(workspace: Workspace, name: ViewName) -> View:
    """Return a view of a workspace as it is now: the base model where no edit is on.

    Raises `BadRequest` or `MissingMask` where there is none of this name.
    """
    masked = name in (ViewName.MASKED, ViewName.BASE_MASKED)
    views = workspace.views_under(mask=masked, guard=name is ViewName.GUARDED)
    if name in views:
        return views[name]
    if name is ViewName.EDITED or list(views) == [ViewName.BASE]:
        return BASE
    raise BadRequest(f"This workspace has {NONE_OF_IT.get(name, 'no such view')}. Ask another of its views.", "model")


def views_of(workspace: Workspace) -> tuple[ViewName, ...]:
    """Return the names of the views that a workspace has now, without the base model."""
    names = [ViewName.EDITED, *(ViewName(name) for name in workspace.views if name not in (ViewName.BASE, ViewName.EDITED))]
    for switches in ({"mask": True}, {"guard": True}):
        try:
            names += [ViewName(name) for name in workspace.views_under(**switches)]
        except (MissingMask, BadFile):
            break
    return tuple(name for name in ViewName if name in names and name is not ViewName.BASE)
