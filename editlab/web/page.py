"""Assembles the page from its tabs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from copy import copy
from typing import Any

import gradio as gr
from gradio.blocks import BlockFunction
from gradio.context import Context
from gradio.state_holder import SessionState

from editlab.lab import Lab
from editlab.lab.access.limits import FREE
from editlab.web.compare.tab import create_compare_tab
from editlab.web.core import language
from editlab.web.core.components import Parts
from editlab.web.core.engine import said
from editlab.web.core.handlers import Handlers, handler
from editlab.web.core.html import render
from editlab.web.core.language import gettext as _
from editlab.web.core.speaking import speaking
from editlab.web.core.terms import meanings
from editlab.web.core.theme import script
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
TABS = ("edit", "keys", "inside", "compare", "workspace", "workshop", "monitor", "model")
MOST_EVENTS = 256
FOR_PROGRAMS = {"api_info", "api_info_as_input", "api_info_as_output", "example_inputs"}
"""What Gradio tells of each component for programs, which this page is none: 80 kB in all."""
ID_DIGITS = 8
"""Digits of the 64 by which Gradio tells kinds of components apart, which the page says of each: 20 kB in all."""


class Page(gr.Blocks):
    """A page with its components in each language, of which a request gets those of its visitor.

    `gr.I18n` translates some properties of components, in the browser, and always into the browser's language. Here all of
    a page is made once a language, with the same numbers of components, and the address may name another language.
    """

    def __init__(self, **options: Any) -> None:
        self.translated: dict[str, Mapping[str, Any]] = {}
        self._config: Mapping[str, Any] = {}
        super().__init__(**options)

    @property
    def config(self) -> Mapping[str, Any]:
        """What Gradio sends to the browser of the page."""
        return {**self._config, **self.translated.get(language.language(), {})}

    @config.setter
    def config(self, config: Mapping[str, Any]) -> None:
        parts = config.get("components", ())
        self._config = {**config, "components": list(map(_shortened, parts))}

    async def postprocess_data(self, block_fn: BlockFunction, predictions: Any, state: SessionState | None) -> list[Any]:
        """Return what is sent of an update. Gradio alone makes a new component of each output that is not in it.

        That takes some 10 ms an update, on the one thread that answers everybody.
        """
        if not isinstance(predictions, dict) or not predictions.keys() <= set(block_fn.outputs):
            return await super().postprocess_data(block_fn, predictions, state)
        some = copy(block_fn)
        some.outputs = [part for part in block_fn.outputs if part in predictions]
        sent = dict(zip(some.outputs, await super().postprocess_data(some, predictions, state), strict=True))
        return [sent.get(part, gr.skip()) for part in block_fn.outputs]

    def handle_streaming_diffs(
        self, block_fn: BlockFunction, data: list, session_hash: str | None, run: str | None, final: bool, **options: Any
    ) -> list:
        """Return what is sent of a handler's next values: whole ones, or what is appended to a text.

        Gradio alone sends how a value differs from the one before, which its client then changes in place. What the page
        has not drawn by then is lost: of two updates that follow one another quickly, the first.
        """
        values, later = list(data), run in self.pending_diff_streams.get(session_hash, {})
        sent = super().handle_streaming_diffs(block_fn, data, session_hash, run, final, **options)
        if final or not later or options.get("simple_format"):
            return sent
        return [
            [["replace", [], value]] if any(path for _, path, _ in edits) else edits
            for edits, value in zip(sent, values, strict=True)
        ]


def _shortened(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is told of a component without what no browser reads."""
    told = {name: value for name, value in part.items() if name not in FOR_PROGRAMS}
    return told | {"component_class_id": part["component_class_id"][:ID_DIGITS]}


def create_page(lab: Lab) -> Page:
    """Return the page over one lab, not yet served."""
    first = Context.id
    page = _create_page(lab)
    for other in language.LANGUAGES:
        if other != language.ENGLISH:
            Context.id = first
            with speaking(other):
                page.translated[other] = {"components": _create_page(lab).config["components"], "js": script()}
    return page


def _create_page(lab: Lab) -> Page:
    """Return the page in the language that is spoken now."""
    os.environ["GRADIO_TEMP_DIR"] = str(lab.uploads.cache())  # read where components are made
    with Page(title=TITLE, analytics_enabled=False) as page:
        visitor = gr.BrowserState(storage_key="editlab-visitor", secret="editlab")
        strip = create_strip(lab)
        room = Parts({"visitor": visitor})
        room.html("room-strip", scripts=["room_strip"])
        notice = gr.HTML(describe(lab, None), elem_id="notice", apply_default_css=False, visible=bool(describe(lab, "")))
        with gr.Tabs(overflow_behavior="wrap") as tabs:  # a menu of those that do not fit has no names in the address
            with gr.Tab(_("Edit"), id="edit"):
                display = Display(lab, Turns())
                parts = create_edit_tab(page, lab, visitor, display)
            with gr.Tab(_("Keys"), id="keys") as keys:
                create_keys_tab(keys, lab, parts)
            with gr.Tab(_("Inside"), id="inside") as inside:
                create_inside_tab(inside, lab, parts)
            with gr.Tab(_("Compare"), id="compare") as compare:
                create_compare_tab(compare, lab, parts)
            with gr.Tab(_("Workspace"), id="workspace") as workspace:
                create_workspace_tab(workspace, lab, parts, display)
            with gr.Tab(_("Workshop"), id="workshop") as workshop:
                create_workshop_tab(page, workshop, lab, parts, display)
            with gr.Tab(_("Monitor"), id="monitor") as monitor:
                create_monitor_tab(monitor, lab, parts, display)
            with gr.Tab(_("Model"), id="model") as model:
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
    return render("core/notice.html", notice=said(lab.limits.notice), login=lab.settings.auth is not None, user=user)
