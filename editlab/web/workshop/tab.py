"""The Workshop tab: a list of scenarios, the stage on which one of them runs, and an editor for one's own."""

from __future__ import annotations

from functools import partial

import gradio as gr

from editlab.lab import Lab
from editlab.lab.scenarios import Library, name_of
from editlab.web.core.components import Parts
from editlab.web.core.display import EditDisplay
from editlab.web.core.html import pieces, render
from editlab.web.core.language import gettext as _
from editlab.web.core.wiring import on
from editlab.web.workshop import words
from editlab.web.workshop.editor_handlers import EditorHandlers, ScenarioName, ScenarioText
from editlab.web.workshop.follow import FollowHandlers
from editlab.web.workshop.guesses import Guesses
from editlab.web.workshop.handlers import WorkshopHandlers
from editlab.web.workshop.room_guesses import RoomGuesses
from editlab.web.workshop.room_panel import create_chart, create_room
from editlab.web.workshop.stage import Stages


def create_workshop_tab(page: gr.Blocks, tab: gr.Tab, lab: Lab, others: Parts, display: EditDisplay) -> Parts:
    """Build the tab inside `tab` and wire it. `others`: the parts of the Edit tab, which `display` draws."""
    parts = others.shared()
    library, stages = Library.of(lab.settings.presets, lab.ledger.folder), Stages(lab)
    guesses: Guesses = RoomGuesses(lab)
    with gr.Column(elem_id="workshop"):
        create_stage(parts)
        create_room(tab, lab, parts)
        create_editor(parts, lab)
    handlers = WorkshopHandlers(lab, library, stages, guesses, display)
    _wire(page, tab, parts, handlers)
    on(parts, parts["stage"].expand, FollowHandlers(handlers).workshop_look, trigger_mode="once")
    _wire_editor(parts, EditorHandlers(handlers))
    on(Parts({**parts, **others}), parts["stage-left"].click, handlers.workshop_left)
    return parts


def create_stage(parts: Parts) -> None:
    """Make the stage: the card, its picture, what runs, and the buttons."""
    with gr.Column(elem_id="stage-room"):
        parts.html("stage", scripts=["live", "pressed", "stage"])
        create_chart(parts)
        parts.add(gr.Plot, "stage-plot", show_label=False)
        with gr.Row(elem_id="stage-status"):
            parts["progress"] = parts.html("stage-progress")
            parts["message"] = parts.html("stage-message", scripts=["live"])
            parts["stop"] = parts.stop_button("stage-stop")
        parts.html("stage-nav", scripts=["pressed"])
        parts.button("stage-left", _("Show it on the Edit tab"), elem_classes="pressed-by-script")


def create_editor(parts: Parts, lab: Lab) -> None:
    """Make the editor of own scenarios."""
    starter = words.STARTER.format(model=name_of(lab.model))
    with gr.Column(elem_id="editor"):
        gr.HTML(pieces.section(_("Scenario editor"), _(words.OWN)), apply_default_css=False, elem_classes="part-title")
        parts.text("editor-text", ScenarioText, label=_("Scenario (TOML)"), value=starter, lines=16, max_lines=30)
        with gr.Row(elem_classes="key-row", equal_height=False):
            parts.text("editor-name", ScenarioName, label=_("Name"), value="my-scenario", min_width=200)
            parts.button("editor-check", _("Check"), min_width=90)
            parts.button("editor-save", _("Save"), min_width=90)
            parts.button("editor-delete", _("Delete"), min_width=90)
            parts.html("editor-take", render("workshop/take.html"), scripts=["take"])
        parts.html("editor-said", scripts=["live"])


def _wire(page: gr.Blocks, tab: gr.Tab, parts: Parts, handlers: WorkshopHandlers) -> None:
    wire = partial(on, parts)
    wire(page.load, handlers.workshop_load)
    wire(tab.select, handlers.workshop_open)
    wire([parts["stage"].select, parts["stage-nav"].select], handlers.workshop_press, trigger_mode="multiple")
    wire(parts["stop"].click, handlers.workshop_stop, trigger_mode="multiple")


def _wire_editor(parts: Parts, handlers: EditorHandlers) -> None:
    wire = partial(on, Parts({**parts, "message": parts["editor-said"]}))
    wire(parts["editor-check"].click, handlers.editor_check)
    wire(parts["editor-save"].click, handlers.editor_save)
    wire(parts["editor-delete"].click, handlers.editor_delete)
