"""The switches of mask and guard: how they stand, what an address makes of them, and what they change in the picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from editlab.errors import EditLabError
from editlab.facts import EditRequest
from editlab.lab import METHODS, Workspace
from editlab.web.core import forms
from editlab.web.core.handlers import Update
from editlab.web.edit import mask_panel, picture


def turn(workspace: Workspace, url: Mapping[str, str]) -> str:
    """Turn the switches as an address has them; what cannot be done, in a sentence."""
    method = url.get("method") if url.get("method") in METHODS else "rome"
    try:
        for name, turn in (("mask", workspace.set_masked), ("guard", workspace.set_guarded)):
            if url.get(name) in forms.SWITCHED:
                turn(forms.read_switch(url.get(name)), method)
    except EditLabError as error:
        return str(error)
    return ""


def shown(workspace: Workspace) -> Update:
    """How both stand, and what lies over the edits while one is on. Updates: mask, guard, mask-said, train-mask."""
    off, on = forms.SWITCHED
    edits = any(record.on for record in workspace.records)
    said = ""
    if workspace.masked or workspace.guarded:
        problem = workspace.mask_problem
        masks = workspace.masks("rome") if edits and not problem else ()
        said = mask_panel.status(masks, problem, edits)
    return {
        "mask": on if workspace.masked else off,
        "guard": on if workspace.guarded else off,
        "mask-said": said,
        "train-mask": gr.update(visible=False),
    }


def places(workspace: Workspace) -> tuple[str, ...]:
    """Views whose columns are kept free in the picture."""
    guarded = workspace.guarded and not workspace.mask_problem
    return picture.GUARDED_PLACES if guarded else picture.KEPT_PLACES


def verdict(workspace: Workspace, request: EditRequest, said: Mapping[str, Any]) -> Update:
    """What mask or guard makes of the question that is looked at, nothing without them. Updates: verdict."""
    if "guarded" in said:
        return {"verdict": mask_panel.guard(request, said)}
    if "masked" not in said:
        return {"verdict": ""}
    method = next((r.method for r in reversed(workspace.records) if r.on and request in r.requests), None)
    mask = next((mask for mask in workspace.masks("rome") if mask.method == method), None)
    return {"verdict": mask_panel.verdict(request, said, mask)}
