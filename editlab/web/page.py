"""Assembles the page from its tabs."""

from __future__ import annotations

import os
from typing import Any

import gradio as gr

from editlab.lab import Lab
from editlab.lab.access.limits import FREE
from editlab.web.core.components import Parts
from editlab.web.core.handlers import Handlers, handler
from editlab.web.core.html import render
from editlab.web.core.terms import meanings
from editlab.web.core.turns import Turns
from editlab.web.core.updates import Update, Updates
from editlab.web.core.visit import Visit
from editlab.web.core.wiring import on
from editlab.web.edit.display import Display
from editlab.web.edit.tab import create_edit_tab
from editlab.web.inside.tab import create_inside_tab
from editlab.web.keys.tab import create_keys_tab
from editlab.web.model.tab import create_model_tab, create_strip
from editlab.web.monitor.tab import create_monitor_tab
from editlab.web.workshop.room_strip import strip as strip_of
from editlab.web.workshop.tab import create_workshop_tab
from editlab.web.workspace.tab import create_workspace_tab

TITLE = "EditLab"
TABS = ("edit", "keys", "inside", "workspace", "workshop", "monitor", "model")
MOST_EVENTS = 256


def create_page(lab: Lab) -> gr.Blocks:
    """Return the page over one lab, not yet served."""
    os.environ["GRADIO_TEMP_DIR"] = str(lab.uploads.cache())  # read where components are made
    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        visitor = gr.BrowserState(storage_key="editlab-visitor", secret="editlab")
        strip = create_strip(lab)
        room = Parts({"visitor": visitor})
        room.html("room-strip", scripts=["room_strip"])
        notice = gr.HTML(describe(lab, None), elem_id="notice", apply_default_css=False, visible=bool(describe(lab, "")))
        with gr.Tabs() as tabs:
            with gr.Tab("Edit", id="edit"):
                display = Display(lab, Turns())
                parts = create_edit_tab(page, lab, visitor, display)
            with gr.Tab("Keys", id="keys") as keys:
                create_keys_tab(keys, lab, parts)
            with gr.Tab("Inside", id="inside") as inside:
                create_inside_tab(inside, lab, parts)
            with gr.Tab("Workspace", id="workspace") as workspace:
                create_workspace_tab(workspace, lab, parts, display)
            with gr.Tab("Workshop", id="workshop") as workshop:
                create_workshop_tab(page, workshop, lab, parts, display)
            with gr.Tab("Monitor", id="monitor") as monitor:
                create_monitor_tab(monitor, lab, parts, display)
            with gr.Tab("Model", id="model") as model:
                create_model_tab(page, model, lab, strip, parts)
        room.html("terms", meanings(), scripts=["terms"])
        on(Parts({**room, "tabs": tabs, "notice": notice}), page.load, PageHandlers(lab).page_open)
    page.queue(max_size=MOST_EVENTS, api_open=False)
    page.get_api_info = _no_api_info  # a megabyte about handlers that only the page may call
    page.has_launched = True  # otherwise Gradio's own checks of files do nothing under `mount_gradio_app`
    return page


def _no_api_info(all_endpoints: bool = False, page: str | None = None) -> dict[str, Any]:
    """Return Gradio's description of an interface for programs, which this page is none."""
    return {"named_endpoints": {}, "unnamed_endpoints": {}}


class PageHandlers(Handlers):
    """The handler of what stands around the tabs."""

    def ready(self, visit: Visit) -> Updates:
        """Wait for nothing: the model is not needed."""
        yield from ()

    @handler(cost=FREE)
    def page_open(self, visit: Visit) -> Updates:
        """Select the tab that the address names, or the first one, and say who is logged in."""
        tab = visit.query.get("tab", "workshop" if {"scenario", "present"} & set(visit.query) else "")
        yield {"tabs": gr.update(selected=tab if tab in TABS else TABS[0]), **self._above(visit)}

    def _above(self, visit: Visit) -> Update:
        """Return what stands above the tabs: who is logged in, or the strip of a workshop's participant."""
        if visit.participant is None:
            return {"notice": describe(self.lab, visit.user)}
        return {"room-strip": strip_of(visit.participant, self.lab.workshops.guessing(visit.participant)), "notice": ""}


def describe(lab: Lab, user: str | None) -> str:
    """Return the line above the tabs: the notice of a demo, and who is logged in, with a button to log out."""
    return render("core/notice.html", notice=lab.limits.notice, login=lab.settings.auth is not None, user=user)
