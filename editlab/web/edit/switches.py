"""The switches of a workspace: their state, and what mask and guard change in the answers at the prompt."""

from __future__ import annotations

from collections.abc import Mapping

import gradio as gr

from editlab.errors import EditLabError
from editlab.facts import EditRequest
from editlab.lab import METHODS, Workspace
from editlab.lab.asking.answers import find_applied
from editlab.web.core.answers import Answers
from editlab.web.core.engine import said
from editlab.web.core.updates import Update
from editlab.web.edit import answers as answer_columns
from editlab.web.edit import reversal


def set_all(workspace: Workspace, wanted: Mapping[str, bool], method: str | None) -> str:
    """Set the switches as a link wants them; return why that is not possible, else nothing."""
    setters = {"mask": workspace.set_masked, "guard": workspace.set_guarded}
    try:
        for name, on in wanted.items():
            setters[name](on, method if method in METHODS else "rome")
    except EditLabError as error:
        return said(error)
    return ""


def state(workspace: Workspace) -> Update:
    """Return how the switches are set, which masks are applied while one is on, and how everything is asked."""
    edited = any(record.on for record in workspace.records)
    status = ""
    if workspace.masked or workspace.guarded:
        problem = workspace.mask_problem
        masks = workspace.masks("rome") if edited and not problem else ()
        status = reversal.status(masks, problem, edited)
    return {
        "mask": "on" if workspace.masked else "off",
        "guard": "on" if workspace.guarded else "off",
        "form": workspace.form,
        "mask-said": status,
        "train-mask": gr.update(visible=False),
    }


def places(workspace: Workspace) -> tuple[str, ...]:
    """Return the views that have a column from the beginning."""
    guarded = workspace.guarded and not workspace.mask_problem
    return answer_columns.GUARDED_PLACES if guarded else answer_columns.PLACES


def verdict(workspace: Workspace, request: EditRequest, answers: Answers) -> Update:
    """Return the verdict of mask or guard on a request; empty without them."""
    if "guarded" in answers:
        return {"verdict": reversal.guard(request, answers)}
    if "masked" not in answers:
        return {"verdict": ""}
    edit = find_applied(workspace.records, request)
    mask = next((mask for mask in workspace.masks("rome") if edit is not None and mask.method == edit.method), None)
    return {"verdict": reversal.verdict(request, answers, mask)}
