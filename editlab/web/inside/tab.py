"""The Inside tab: what the selected edit changes between its layer and the answer, compared with the base and the mask."""

from __future__ import annotations

from functools import partial

import gradio as gr

from editlab.lab import Lab
from editlab.web.core.components import Parts
from editlab.web.core.html import pieces
from editlab.web.core.inputs import Question
from editlab.web.core.language import gettext as _
from editlab.web.core.wiring import on
from editlab.web.inside.handlers import EditCount, InsideHandlers
from editlab.web.inside.headings import ELSEWHERE, FORMS, HEADINGS, OBJECTS
from editlab.web.inside.layer_handlers import OF_LAYERS, LayerHandlers
from editlab.web.inside.sections import FIRST_VIEW, OF_EDIT, OF_MANY, Form


def create_inside_tab(tab: gr.Tab, lab: Lab, others: Parts) -> Parts:
    """Build the tab inside `tab` and wire it. `others`: the Edit tab's components, whose buttons it keeps up to date."""
    parts = others.shared()
    parts["settings"] = others["settings"]
    with gr.Column(elem_id="inside"):
        with parts.above("inside"):
            parts["stop"] = parts.stop_button("inside-stop")
        parts.html("inside-lead", scripts=["live"])
        with gr.Row(elem_classes="overview", equal_height=False):
            with gr.Column(min_width=0):
                parts.lead("inside")
            with gr.Column(min_width=0):
                with parts.fold("inside-elsewhere", _(ELSEWHERE)):
                    _create_question(parts)
                    _create_selection(parts)
                for name in OF_EDIT:
                    with parts.fold(f"inside-{name}", _(HEADINGS[name].title)):
                        _create_section(parts, name)
                for name in OF_LAYERS:
                    with parts.fold(f"inside-{name}", _(HEADINGS[name].title)):
                        _create_section(parts, name)
                with parts.fold("inside-loudness", _(HEADINGS["loudness"].title)):
                    for name in OF_MANY:
                        _create_section(parts, name)
    _wire(tab, InsideHandlers(lab), parts)
    _wire_layers(tab, LayerHandlers(lab), parts)
    return parts


def _create_question(parts: Parts) -> None:
    with gr.Row(elem_classes="key-row", equal_height=False):
        hint = _("Empty: the edit’s own prompt")
        parts.text("inside-text", Question, label=_("Text"), placeholder=hint, max_lines=3, scale=6, min_width=240)
        parts.button("inside-look", _("Analyse"), size="lg", min_width=110)
        parts.late_dropdown("inside-token", [], label=_("Token"), scale=2, min_width=150)


def _create_selection(parts: Parts) -> None:
    with gr.Row(elem_classes="key-row", equal_height=False, elem_id="inside-how"):
        views = [(_("Edited − base model"), FIRST_VIEW)]
        parts.late_dropdown("inside-shown", views, label=_("Heat maps"), value=FIRST_VIEW, scale=2, min_width=220)
        objects = [(_(title), name) for name, title in OBJECTS.items()]
        parts.late_radio("inside-which", objects, label=_("Object"), value="new", scale=3, min_width=290)


def _create_section(parts: Parts, name: str) -> None:
    """Make a section's inputs, sentence, figure and table."""
    if name == "contributions":
        forms = {name: _(title) for name, title in FORMS.items()}
        parts.radio("inside-form", Form, forms, value="added", show_label=False, container=False)
    if name == "loudness":
        with gr.Row(elem_classes="key-row", equal_height=False):
            parts.number("inside-count", EditCount, label=_("Number of edits"), value=20, scale=0, min_width=150)
            parts.button("inside-many", _("Edit and compare"), size="lg", min_width=190)
    if name == "tracing":
        parts.button("inside-trace", _("Trace the fact"), size="lg", min_width=190)
    if name == "sweep":
        with gr.Row(elem_classes="key-row", equal_height=False):
            parts.button("inside-each-layer", _("Edit at each layer"), size="lg", min_width=190)
            parts.late_dropdown("inside-layer", [], label=_("Layer"), scale=1, min_width=110, visible=False)
            parts.button("inside-use-layer", _("Edit at this layer"), size="lg", min_width=190, visible=False)
    parts.html(f"inside-{name}", scripts=["live"])
    parts.plot(f"inside-{name}-plot")
    gr.HTML(pieces.about(_(HEADINGS[name].about)), apply_default_css=False)
    parts.html(f"inside-{name}-table")


def _wire(tab: gr.Tab, handlers: InsideHandlers, parts: Parts) -> None:
    wire = partial(on, parts)
    wire(tab.select, handlers.inside_open)
    texts = [parts["inside-look"].click, parts["inside-text"].submit]
    wire(texts, handlers.inside_look, trigger_mode="always_last")
    wire(parts["inside-token"].input, handlers.inside_token, trigger_mode="always_last")
    selected = [parts[name].input for name in ("inside-shown", "inside-which", "inside-form")]
    wire(selected, handlers.inside_draw, trigger_mode="always_last")
    wire(parts["inside-many"].click, handlers.inside_many)
    wire(parts["inside-stop"].click, handlers.inside_stop, trigger_mode="multiple")


def _wire_layers(tab: gr.Tab, handlers: LayerHandlers, parts: Parts) -> None:
    wire = partial(on, parts)
    wire(tab.select, handlers.layers_open)
    wire(parts["inside-trace"].click, handlers.inside_trace)
    wire(parts["inside-each-layer"].click, handlers.inside_sweep)
    wire(parts["inside-use-layer"].click, handlers.inside_use_layer)
