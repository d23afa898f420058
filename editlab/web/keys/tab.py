"""The Keys tab: why an edit holds or fails, in the figures of "Keys to Robust Edits" for the selected edit."""

from __future__ import annotations

from functools import partial

import gradio as gr

from editlab.lab import Lab
from editlab.web.core.components import Parts
from editlab.web.core.html import pieces
from editlab.web.core.inputs import Question
from editlab.web.core.language import gettext as _
from editlab.web.core.wiring import on
from editlab.web.keys.handlers import KeysHandlers
from editlab.web.keys.headings import COMPONENTS, HEADINGS


def create_keys_tab(tab: gr.Tab, lab: Lab, others: Parts) -> Parts:
    """Build the tab inside `tab` and wire it. `others`: the Edit tab's components, whose buttons it keeps up to date."""
    parts = others.shared()
    with gr.Column(elem_id="keys"):
        with parts.above("keys"):
            parts.button("keys-again", _("Compute again"), min_width=130)
            parts["stop"] = parts.stop_button("keys-stop")
        parts.html("keys-lead", scripts=["live"])
        with gr.Row(elem_classes="overview", equal_height=False):
            with gr.Column(min_width=0):
                parts.lead("keys")
            with gr.Column(min_width=0):
                for name, heading in HEADINGS.items():
                    with parts.fold(f"keys-{name}", _(heading.title)):
                        _create_section(parts, name)
    _wire(tab, KeysHandlers(lab), parts)
    return parts


def _create_section(parts: Parts, name: str) -> None:
    """Make a section's inputs, sentence, figure and table."""
    if name == "discussion":
        _create_question(parts)
    if name == "prefixes":
        with gr.Row(elem_classes="key-row", equal_height=False):
            parts.upload("keys-file", _("Choose a text file …"), [".txt"], min_width=180)
            parts.button("keys-prose", _("Search the bundled prose"), min_width=190)
    parts.html(f"keys-{name}", scripts=["live"])
    parts.plot(f"keys-{name}-plot")
    gr.HTML(pieces.about(_(HEADINGS[name].about)), apply_default_css=False)
    if name == "similarity":
        parts.html("keys-components", scripts=["live"])
        parts.plot("keys-components-plot")
        gr.HTML(pieces.about(_(COMPONENTS)), apply_default_css=False)
    if name == "bounds":
        parts.html("keys-lemma", scripts=["live"])
    parts.html(f"keys-{name}-table")


def _create_question(parts: Parts) -> None:
    with gr.Row(elem_classes="key-row", equal_height=False):
        hint = _("A sentence that names a subject, up to the answer")
        parts.text("keys-question", Question, label=_("Question"), placeholder=hint, max_lines=3, scale=6, min_width=240)
        parts.button("keys-discuss", _("Ask"), size="lg", min_width=90)


def _wire(tab: gr.Tab, handlers: KeysHandlers, parts: Parts) -> None:
    wire = partial(on, parts)
    wire(tab.select, handlers.keys_open)
    wire(parts["keys-again"].click, handlers.keys_again)
    wire(parts["keys-stop"].click, handlers.keys_stop, trigger_mode="multiple")
    asks = [parts["keys-discuss"].click, parts["keys-question"].submit]
    wire(asks, handlers.keys_discuss, trigger_mode="always_last")
    wire(parts["keys-file"].upload, handlers.keys_scan)
    wire(parts["keys-prose"].click, handlers.keys_prose)
