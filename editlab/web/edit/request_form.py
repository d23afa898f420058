"""The left side: which fact, how it is written, and the buttons that do it."""

from __future__ import annotations

import gradio as gr

from editlab.lab import OFF, Lab, MethodInfo, Scenario, Setting
from editlab.web.core import render
from editlab.web.core.components import PRESSED, Parts
from editlab.web.core.forms import MOST
from editlab.web.core.inputs import Buttons, Name
from editlab.web.edit import edit_list

SWITCH = [("Off", "off"), ("On", "on")]
REP = [("Off", OFF), ("On", "default"), ("As published", "published")]


def create_presets(parts: Parts, scenarios: tuple[Scenario, ...]) -> None:
    """Presets as cards that are still a radio group."""
    choices = [(scenario.title, scenario.name) for scenario in scenarios]
    parts.add(Buttons, "preset", takes=Name, label="Presets", choices=choices)


def create_request_form(parts: Parts, lab: Lab) -> None:
    """Fields with their tokens, the method with its settings, buttons, messages, and the list of edits."""
    parts.add_html("where")
    _field(parts, "subject", "Subject", "subject")
    _field(parts, "prompt", "Prompt, with {} for the subject", "prompt", max_lines=4)
    with gr.Row(elem_id="objects-row", equal_height=False):
        with gr.Column(min_width=140, elem_classes="stack"):
            _field(parts, "target-new", "New object", "new object")
        with gr.Column(min_width=140, elem_classes="stack"):
            _field(parts, "target-true", "Old object, if known", "old object")
    parts.add_html("suggestions", render.suggestions(()), script=PRESSED)
    _create_methods(parts, lab.methods())
    with gr.Row(elem_id="main-buttons"):
        parts.add(gr.Button, "apply", "Apply edit", variant="primary", scale=3, min_width=130)
        parts.add(gr.Button, "stop", "Stop", variant="stop", interactive=False, scale=1, min_width=80)
    parts.add_html("progress")
    parts.add_html("message", render.message("Opening the page …"))


def create_edit_list(parts: Parts) -> None:
    """What lies over the model, and the way back."""
    gr.HTML("<h2>Edits over the model</h2>", elem_id="edits-title", apply_default_css=False)
    parts.add_html("edits", edit_list.edits(()), script=PRESSED)
    with gr.Row(elem_id="more-buttons"):
        parts.add(gr.Button, "undo", "Undo", interactive=False, size="sm", min_width=70)
        parts.add(gr.Button, "redo", "Redo", interactive=False, size="sm", min_width=70)
        parts.add(gr.Button, "remake", "Re-make all", interactive=False, size="sm", min_width=100)
    with gr.Accordion("Health of the latest edit", open=False, elem_id="health-panel"):
        parts.add_html("health", edit_list.health(None))


def _field(parts: Parts, name: str, label: str, limit: str, max_lines: int = 1) -> None:
    """A text field and the line under it, for its tokens or for what is wrong with it."""
    parts.add(gr.Textbox, name, label=label, max_length=MOST[limit], lines=1, max_lines=max_lines)
    parts.add_html(f"at-{name}", elem_classes="at")


def _create_methods(parts: Parts, methods: tuple[MethodInfo, ...]) -> None:
    choices = [(method.title, method.name) for method in methods]
    parts.add(gr.Radio, "method", label="Method", choices=choices, value=methods[0].name)
    parts.add(gr.Radio, "rep", label="REP: hold however the subject is said", choices=REP, value=OFF)
    with gr.Row(elem_id="mask-row", equal_height=False):
        parts.add(gr.Radio, "mask", label="Reversal mask", choices=SWITCH, value="off", min_width=150)
        parts.add(gr.Radio, "guard", label="Guard", choices=SWITCH, value="off", min_width=120)
    parts.add_html("mask-said")
    parts.add(gr.Button, "train-mask", "Train a mask", visible=False, size="sm")
    with gr.Column(elem_id="extras"):
        with gr.Accordion("Advanced settings", open=False, elem_id="advanced"):
            for method in methods:  # the style sheet shows those of the method that is chosen
                with gr.Column(elem_id=f"settings-{method.name}"):
                    for setting in method.settings:
                        _create_setting(parts, method, setting)
        own = {"label": "Why", "placeholder": "Why? Kept with the edit", "lines": 1, "max_lines": 1}
        parts.add(gr.Textbox, "why", value="", max_length=MOST["reason"], **own)  # a value, so that scripts may leave it out


def _create_setting(parts: Parts, method: MethodInfo, setting: Setting) -> None:
    """A setting as its kind asks for it, with the help text of the method's own configuration."""
    name, shown = f"{method.name}-{setting.name}", {"label": setting.name, "info": setting.help}
    if setting.kind == "bool":
        parts.add(gr.Checkbox, name, value=setting.default, **shown)
    elif setting.kind == "choice":
        parts.add(gr.Radio, name, value=setting.default, choices=list(setting.choices), **shown)
    else:
        parts.add(gr.Textbox, name, value=str(setting.default), lines=1, max_lines=1, max_length=100, **shown)
