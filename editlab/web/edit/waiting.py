"""An edit on the page while it is computed, and first while it waits for key statistics."""

from __future__ import annotations

from typing import Any

import gradio as gr

from editlab.lab import Job, Workspace
from editlab.web.core.updates import Draw, Updates, follow


def follow_edit(workspace: Workspace, job: Job[Any], draw: Draw | None = None) -> Updates:
    """Follow an edit as `follow` does; while it waits for key statistics, offer to make it without them."""
    offered = False
    for update in follow(workspace, job, draw):
        if workspace.can_hurry != offered:
            offered = not offered
            update |= {"hurry": gr.update(visible=offered)}
        yield update
    if offered:
        yield {"hurry": gr.update(visible=False)}
