"""The Keys tab: why an edit holds or does not, in the pictures of "Keys to Robust Edits" for the edit on the bench."""

from __future__ import annotations

from functools import partial

import gradio as gr
from markupsafe import Markup

from editlab.lab import Lab
from editlab.web.core import render
from editlab.web.core.components import Parts
from editlab.web.core.forms import MOST
from editlab.web.core.inputs import FileButton
from editlab.web.core.wiring import on
from editlab.web.keys.handlers import SECTIONS, KeysHandlers

TITLES = {
    "similarity": "Is the subject still the same when it is said otherwise?",
    "discussion": "Who speaks when I ask?",
    "bounds": "Should it have held?",
    "prefixes": "Where is the edit heard by mistake?",
    "values": "How loud is the edited answer?",
}
"""What each picture answers."""
LEADS = {
    "similarity": "An edit is written for one key: what the layer sees at the subject’s last token. It is heard as far as "
    "another key is like that one.",
    "discussion": "A layer’s answer is a mixture of what it has stored. The edit is one voice more; the old ones stay.",
    "bounds": "One number is measured, at the edit’s own prompt: how strong the edit must be there. A probe that hears a "
    "larger share of it should give the new answer, and another subject that hears less should keep its own.",
    "prefixes": "Any text may come by a key like the edit’s, though it speaks of something else.",
    "values": "To overrule what is stored, an edit answers louder than any other memory.",
}
ASSUMPTIONS = (
    "What this assumes: the edit reaches the answer through the subject’s last token alone, and as strongly at every "
    "probe as at its own prompt. The lemmas assume more: one attention layer carries it, with all its attention on "
    "the subject, and the norms do not change. Where a prediction fails, one of these does not hold."
)
LIVE = 'element.setAttribute("aria-live", "polite");'
"""A sentence is said when it changes."""


def create_keys_tab(tab: gr.Tab, lab: Lab, others: Parts) -> Parts:
    """Build the tab inside `tab` and wire it. Beside its own parts it keeps the buttons of the `others` up to date."""
    parts = Parts(others)
    with gr.Column(elem_id="keys"):
        with gr.Column(elem_id="keys-head"):
            with gr.Row(elem_id="keys-above", equal_height=False):
                parts["message"] = parts.add_html("keys-message", script=LIVE)
                parts.add(gr.Button, "keys-again", "Compute again", size="sm", scale=0, min_width=130)
                parts["stop"] = parts.add(
                    gr.Button, "keys-stop", "Stop", variant="stop", size="sm", interactive=False, scale=0, min_width=80
                )
            parts["progress"] = parts.add_html("keys-progress")
        for section in SECTIONS:
            _create_section(parts, section)
    _wire(tab, lab, parts)
    return parts


def _create_section(parts: Parts, section: str) -> None:
    with gr.Column(elem_classes="key-section"):
        gr.HTML(Markup("<h2>{}</h2><p>{}</p>").format(TITLES[section], LEADS[section]), apply_default_css=False)
        if section == "discussion":
            _create_question(parts)
        if section == "prefixes":
            with gr.Row(elem_classes="key-row", equal_height=False):
                parts.add(
                    FileButton,
                    "keys-file",
                    "Read a text of yours (.txt)",
                    file_types=[".txt"],
                    size="sm",
                    scale=0,
                    min_width=210,
                )
                parts.add(gr.Button, "keys-prose", "Read EditLab’s prose", size="sm", scale=0, min_width=170)
        parts.add_html(f"keys-{section}", script=LIVE)
        if section == "similarity":
            with gr.Row(equal_height=False):
                with gr.Column(min_width=300):
                    _create_plot(parts, section)
                with gr.Column(min_width=300):
                    _create_plot(parts, "components")
                    parts.add_html("keys-components", script=LIVE)
        else:
            _create_plot(parts, section)
        if section == "bounds":
            parts.add_html("keys-lemma", script=LIVE)
            gr.HTML(render.message(ASSUMPTIONS, "hint"), apply_default_css=False)
        parts.add_html(f"keys-{section}-table")


def _create_plot(parts: Parts, name: str) -> None:
    parts.add(gr.Plot, f"keys-{name}-plot", show_label=False, elem_classes="key-plot")


def _create_question(parts: Parts) -> None:
    with gr.Row(elem_classes="key-row", equal_height=False):
        parts.add(
            gr.Textbox,
            "keys-question",
            label="Question",
            placeholder="A sentence that names a subject, up to the answer",
            max_length=MOST["question"],
            lines=1,
            max_lines=3,
            scale=6,
            min_width=240,
        )
        parts.add(gr.Button, "keys-discuss", "Listen", scale=0, min_width=90)


def _wire(tab: gr.Tab, lab: Lab, parts: Parts) -> None:
    handlers = KeysHandlers(lab)
    listen = partial(on, parts)
    question = parts["keys-question"]
    listen(tab.select, handlers.keys_open, [])
    listen(parts["keys-again"].click, handlers.keys_again, [])
    listen(parts["keys-stop"].click, handlers.keys_stop, [], trigger_mode="multiple")
    listen([parts["keys-discuss"].click, question.submit], handlers.keys_discuss, [question], trigger_mode="always_last")
    listen(parts["keys-file"].upload, handlers.keys_scan, [parts["keys-file"]])
    listen(parts["keys-prose"].click, handlers.keys_prose, [])
