"""The Edit tab: what to change on the left, what the model says before and after on the right, the probes below."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import gradio as gr
from gradio.components import Component

from editlab.lab import METHODS, Lab
from editlab.web import render
from editlab.web.edit_handlers import EditHandlers, Handler
from editlab.web.forms import MOST

METHOD_NAMES = {"rome": "ROME: one rank-one edit", "memit": "MEMIT: spread over several layers"}

Components = dict[str, Component]


def create_edit_tab(page: gr.Blocks, lab: Lab, visitor: gr.BrowserState) -> Components:
    """Build the tab inside `page` and wire it. Returns its components by name (their `elem_id`)."""
    parts: Components = {"visitor": visitor}
    _add(parts, gr.Radio, "preset", label="Presets", choices=[(s.title, s.name) for s in lab.scenarios])
    with gr.Row(elem_id="bench", equal_height=False):
        with gr.Column(scale=4, min_width=300, elem_id="request"):
            _create_form(parts)
        with gr.Column(scale=9, min_width=320):
            _create_answers(parts)
    with gr.Column(elem_id="around"):
        _create_probes(parts)
    _wire(page, EditHandlers(lab), parts)
    return parts


def _add(parts: Components, kind: type[Component], name: str, *args: Any, **options: Any) -> None:
    parts[name] = kind(*args, elem_id=name, **options)


def _add_html(parts: Components, name: str, value: str = "", **options: Any) -> None:
    """A part of the page that `render` writes and `style.css` styles, without Gradio's own style for prose."""
    _add(parts, gr.HTML, name, value, apply_default_css=False, js_on_load=None, **options)


def _create_form(parts: Components) -> None:
    one_line = {"lines": 1, "max_lines": 1}
    _add(parts, gr.Textbox, "subject", label="Subject", max_length=MOST["subject"], **one_line)
    _add(
        parts,
        gr.Textbox,
        "prompt",
        label="Prompt",
        info="A sentence up to the object, with {} where the subject stands.",
        max_length=MOST["prompt"],
        lines=1,
        max_lines=4,
    )
    _add(parts, gr.Textbox, "target-new", label="New object", max_length=MOST["new object"], **one_line)
    _add(
        parts,
        gr.Textbox,
        "target-true",
        label="Old object (optional)",
        max_length=MOST["old object"],
        **one_line,
    )
    methods = [(METHOD_NAMES.get(name, name.upper()), name) for name in METHODS]
    _add(parts, gr.Radio, "method", label="Method", choices=methods, value=methods[0][1])
    with gr.Row(elem_id="main-buttons"):
        _add(parts, gr.Button, "apply", "Apply edit", variant="primary", scale=3, min_width=140)
        _add(parts, gr.Button, "stop", "Stop", variant="stop", interactive=False, scale=1, min_width=80)
    with gr.Row(elem_id="more-buttons"):
        _add(parts, gr.Button, "undo", "Undo", interactive=False, min_width=80)
        _add(parts, gr.Button, "redo", "Redo", interactive=False, min_width=80)
    _add_html(parts, "message", render.message("Opening the page …"))
    _add_html(parts, "edits", render.edits(()))


def _create_answers(parts: Components) -> None:
    _add_html(parts, "say")
    _add_html(parts, "question")
    with gr.Row(elem_id="answers", equal_height=True):
        _add_html(parts, "answer-base", min_width=260)
        _add_html(parts, "answer-edited", min_width=260)
    _add_html(parts, "scores")
    with gr.Accordion("Health of the edit", open=False, elem_id="health-panel"):
        _add_html(parts, "health", render.health(None))
    with gr.Row(elem_id="ask-row", equal_height=False):
        _add(
            parts,
            gr.Textbox,
            "ask",
            label="Ask both models to continue",
            placeholder="Begin a sentence",
            max_length=MOST["question"],
            lines=1,
            max_lines=4,
            scale=5,
        )
        _add(parts, gr.Button, "ask-button", "Ask", scale=1, min_width=90)
    _add_html(parts, "ask-message")
    _add_html(parts, "ask-answers")


def _create_probes(parts: Components) -> None:
    gr.HTML("<h2>Probes around the edit</h2>", elem_id="probes-title", apply_default_css=False)
    _add_html(parts, "probe-table", render.probe_table(None))


def _wire(page: gr.Blocks, handlers: EditHandlers, parts: Components) -> None:
    """Every event of the tab. The worker keeps the order of what computes, so no event waits for another here."""
    fields = [parts[name] for name in ("method", "subject", "prompt", "target-new", "target-true")]
    submits = [parts[name].submit for name in ("subject", "prompt", "target-new", "target-true")]

    def on(trigger: Callable | list[Callable], handler: Handler, inputs: list[Component], **options: Any) -> None:
        gr.on(
            trigger,
            _as_components(handler, parts),
            inputs=[parts["visitor"], *inputs],
            outputs=list(parts.values()),
            api_name=handler.__name__,
            show_progress="hidden",
            concurrency_limit=None,
            **options,
        )

    on(page.load, handlers.open, [])
    on(parts["preset"].input, handlers.choose, [parts["preset"]], trigger_mode="always_last")
    on([parts["apply"].click, *submits], handlers.apply, fields)
    on(parts["stop"].click, handlers.stop, [], trigger_mode="multiple")
    on(parts["undo"].click, handlers.undo, [])
    on(parts["redo"].click, handlers.redo, [])
    on([parts["ask-button"].click, parts["ask"].submit], handlers.ask, [parts["ask"]])


def _as_components(handler: Handler, parts: Components) -> Handler:
    """The same handler with components instead of names in its updates, as Gradio wants them."""

    @wraps(handler)
    def wrapper(*inputs: Any) -> Iterator[dict[Component, Any]]:
        for update in handler(*inputs):
            yield {parts[name]: value for name, value in update.items()}

    return wrapper
