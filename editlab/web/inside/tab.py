"""The Inside tab: what the edit on the bench did between its layer and the answer, held against the base and the mask."""

from __future__ import annotations

from functools import partial

import gradio as gr
from markupsafe import Markup

from editlab.lab import Lab
from editlab.web.core.components import LIVE, Parts
from editlab.web.core.forms import MOST as LENGTHS
from editlab.web.core.inputs import Buttons, Choices, Name, Place
from editlab.web.core.wiring import on
from editlab.web.inside.handlers import CHOSEN, FEWEST, FORMS, LOUD, MOST, SECTIONS, WHICH, InsideHandlers

TITLES = {
    "lens": "Behind which layer does the answer turn?",
    "tokens": "Where in the sentence does it turn?",
    "contributions": "Who says it?",
    "attention": "Who looks at the subject?",
    "mask": "What does the mask take away?",
    "loudness": "Are edits louder than what they replace?",
    "parts": "Who says it, over many edits?",
}
"""What each picture answers."""
LEADS = {
    "lens": "If the model stopped behind a layer and answered at once, how likely would the first token of each object be? "
    "Solid lines are the new object, dotted ones the old.",
    "tokens": "The same at every token of the text, from the first layer below to the last one on top.",
    "contributions": "Each layer’s attention and MLP write into one stream, and an object’s logit is the sum of what they "
    "wrote: the rows of the table add up to it. The published raw form leaves out the final norm.",
    "attention": "An edit is written at the subject’s last token; heads carry it from there to the answer. Edited facts are "
    "said to be looked at more than others (“overattention”).",
    "mask": "A reversal mask sets entries of the edited weight to zero: a few whole dimensions, or a little of each.",
    "loudness": "Facts that the model knows, each edited alone to another object of its relation: how sure is the edited "
    "model of the new object, and how sure was it of the true one?",
    "parts": "Means over these edits with their standard errors.",
}


def create_inside_tab(tab: gr.Tab, lab: Lab, others: Parts) -> Parts:
    """Build the tab inside `tab` and wire it. Beside its own parts it keeps the buttons of the `others` up to date."""
    parts = Parts(others)
    with gr.Column(elem_id="inside"):
        with gr.Column(elem_id="inside-head"):
            with gr.Row(elem_id="inside-above", equal_height=False):
                parts["message"] = parts.add_html("inside-message", script=LIVE)
                parts["stop"] = parts.add(
                    gr.Button, "inside-stop", "Stop", variant="stop", size="sm", interactive=False, scale=0, min_width=80
                )
            parts["progress"] = parts.add_html("inside-progress")
        _create_choices(parts)
        for section in SECTIONS:
            _create_section(parts, section)
        for section in LOUD:
            _create_section(parts, section)
    _wire(tab, lab, parts)
    return parts


def _create_choices(parts: Parts) -> None:
    with gr.Row(elem_classes="key-row", equal_height=False):
        parts.add(
            gr.Textbox,
            "inside-text",
            label="Text that is looked into",
            placeholder="Empty: the edit’s own prompt",
            max_length=LENGTHS["question"],
            lines=1,
            max_lines=3,
            scale=6,
            min_width=240,
        )
        parts.add(gr.Button, "inside-look", "Look", scale=0, min_width=90)
        parts.add(Choices, "inside-token", takes=Place, label="At which token", choices=[], scale=2, min_width=150)
    with gr.Row(elem_classes="key-row", equal_height=False, elem_id="inside-how"):
        parts.add(
            Choices,
            "inside-shown",
            label="Heat maps show",
            takes=Name,
            choices=[("Edited − base model", CHOSEN)],
            value=CHOSEN,
            scale=2,
            min_width=220,
        )
        parts.add(
            Buttons, "inside-which", takes=Name, label="For the", choices=_pairs(WHICH), value="new", scale=3, min_width=290
        )


def _create_section(parts: Parts, section: str) -> None:
    with gr.Column(elem_classes="key-section"):
        gr.HTML(Markup("<h2>{}</h2><p>{}</p>").format(TITLES[section], LEADS[section]), apply_default_css=False)
        if section == "contributions":
            parts.add(gr.Radio, "inside-form", choices=_pairs(FORMS), value="added", show_label=False, container=False)
        if section == "loudness":
            with gr.Row(elem_classes="key-row", equal_height=False):
                parts.add(
                    gr.Number,
                    "inside-count",
                    label="How many edits",
                    value=20,
                    minimum=FEWEST,
                    maximum=MOST,
                    precision=0,
                    scale=0,
                    min_width=150,
                )
                parts.add(gr.Button, "inside-many", "Edit and look", scale=0, min_width=130)
        parts.add_html(f"inside-{section}", script=LIVE)
        parts.add(gr.Plot, f"inside-{section}-plot", show_label=False, elem_classes="key-plot")
        parts.add_html(f"inside-{section}-table")


def _wire(tab: gr.Tab, lab: Lab, parts: Parts) -> None:
    handlers = InsideHandlers(lab)
    listen = partial(on, parts)
    text, token, count = parts.named("inside-text", "inside-token", "inside-count")
    how = parts.named("inside-shown", "inside-which", "inside-form")
    listen(tab.select, handlers.inside_open, how)
    listen([parts["inside-look"].click, text.submit], handlers.inside_look, [text, *how], trigger_mode="always_last")
    listen(token.input, handlers.inside_token, [token, *how], trigger_mode="always_last")
    listen([choice.input for choice in how], handlers.inside_draw, how, trigger_mode="always_last")
    listen([parts["inside-many"].click], handlers.inside_many, [count, parts["inside-which"]])
    listen(parts["inside-stop"].click, handlers.inside_stop, [], trigger_mode="multiple")


def _pairs(names: dict[str, str]) -> list[tuple[str, str]]:
    return [(title, name) for name, title in names.items()]
