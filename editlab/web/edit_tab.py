"""The Edit tab: what to change on the left; on the right what every model says, live questions, and the probes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from inspect import signature
from typing import Any

import gradio as gr
from gradio.components import Component

from editlab.lab import Lab
from editlab.web import live, probe_table, render, request_form
from editlab.web.ask_handlers import AskHandlers
from editlab.web.edit_handlers import EditHandlers
from editlab.web.forms import FIELDS, MOST, place_of, settings_of
from editlab.web.handlers import Handler
from editlab.web.parts import Parts


def create_edit_tab(page: gr.Blocks, lab: Lab, visitor: gr.BrowserState) -> Parts:
    """Build the tab inside `page` and wire it. Returns its components by name (their `elem_id`)."""
    parts = Parts({"visitor": visitor})
    request_form.create_presets(parts, lab.scenarios)
    with gr.Row(elem_id="bench", equal_height=False):
        with gr.Column(min_width=300, elem_id="request"):
            request_form.create_request_form(parts, lab)
            request_form.create_edit_list(parts)
        with gr.Column(min_width=320, elem_id="results"):
            _create_picture(parts)
            _create_live(parts)
            _create_probes(parts)
    _wire(page, lab, parts)
    return parts


def _create_picture(parts: Parts) -> None:
    with gr.Row(elem_id="above"):
        parts.add_html("say")
        views = [("Side by side", "all"), *((render.view_title(view), view) for view in render.VIEW_TITLES)]
        parts.add(gr.Radio, "view", label="Show", choices=views, value="all", interactive=True, scale=0)
    parts.add_html("picture")
    parts.add_html("scores", probe_table.score_line(None))


def _create_live(parts: Parts) -> None:
    with gr.Column(elem_id="live"):
        with gr.Row(elem_id="ask-row", equal_height=False):
            parts.add(
                gr.Textbox,
                "ask",
                label="Ask all models",
                placeholder="Begin a sentence: they continue it as you type",
                max_length=MOST["question"],
                lines=1,
                max_lines=4,
                scale=6,
                min_width=240,
            )
            parts.add(gr.Button, "ask-button", "Ask", scale=0, min_width=70)
            parts.add(gr.Button, "join-rephrase", "+ Rephrase", scale=0, min_width=104)
            parts.add(gr.Button, "join-neighbour", "+ Neighbour", scale=0, min_width=104)
        parts.add_html("ask-message")
        parts.add_html("ask-answers", live.empty())


def _create_probes(parts: Parts) -> None:
    gr.HTML("<h2>Probes around the edit</h2>", elem_id="probes-title", apply_default_css=False)
    with gr.Accordion("Own probes", open=False, elem_id="own"):
        with gr.Row(equal_height=False):
            for name, label, info in (
                (
                    "own-rephrases",
                    "Own rephrases, one a line",
                    "The edited fact in other words: the answer shall change.",
                ),
                ("own-neighbours", "Own neighbours, one a line", "Anything else: the answer shall stay as it was."),
            ):
                limit = MOST["list of own probes"]
                parts.add(gr.Textbox, name, label=label, info=info, lines=3, max_lines=8, max_length=limit, min_width=240)
        parts.add(gr.Button, "probe", "Ask the probes again", size="sm")
    parts.add_html("probe-table", script=probe_table.OPENED, distribution={})


def _wire(page: gr.Blocks, lab: Lab, parts: Parts) -> None:
    """Every event of the tab. The worker keeps the order of what computes, so no event waits for another here."""
    edit, ask = EditHandlers(lab), AskHandlers(lab)
    own = parts.named("own-rephrases", "own-neighbours")
    fields = parts.named(*map(place_of, FIELDS))
    settings = parts.named(*(f"{method}-{setting.name}" for method, setting in settings_of(lab.methods())))
    on = partial(_on, parts)

    on(page.load, edit.open, own)
    on(parts["preset"].input, edit.choose, [*own, parts["preset"]], trigger_mode="always_last")
    submits = [field.submit for field in fields]
    on([parts["apply"].click, *submits], edit.apply, [*own, parts["method"], *fields, *settings])
    on(parts["stop"].click, edit.stop, [], trigger_mode="multiple")
    on(parts["undo"].click, edit.undo, own, trigger_mode="multiple")
    on(parts["redo"].click, edit.redo, own, trigger_mode="multiple")
    on(parts["remake"].click, edit.remake, own)
    on(parts["edits"].select, edit.change, own, trigger_mode="multiple")
    on(parts["probe"].click, edit.probe, own)
    on(parts["join-rephrase"].click, edit.join_rephrase, [*own, parts["ask"]])
    on(parts["join-neighbour"].click, edit.join_neighbour, [*own, parts["ask"]])
    on([parts["ask-button"].click, parts["ask"].submit], ask.ask, [parts["ask"]], trigger_mode="multiple")
    on([field.change for field in fields[:3]], ask.spell, fields[:3], trigger_mode="always_last")
    on(parts["suggestions"].select, ask.suggest, [])
    on(parts["probe-table"].expand, ask.expand, [], trigger_mode="multiple")


def _on(
    parts: Parts,
    trigger: Callable | list[Callable],
    handler: Handler,
    inputs: list[Component],
    **options: Any,
) -> None:
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


def _as_components(handler: Handler, parts: Parts) -> Handler:
    """The same handler as Gradio wants it: components instead of names in its updates, what Gradio adds in front.

    Gradio adds what the signature asks for by its type, so a handler of pressed buttons gets a signature of its own.
    """

    def updates(*inputs: Any) -> Iterator[dict[Component, Any]]:
        for update in handler(*inputs):
            yield {parts[name]: value for name, value in update.items()}

    def plain(request: gr.Request, *inputs: Any) -> Iterator[dict[Component, Any]]:
        yield from updates(*inputs, request)

    def pressed(request: gr.Request, event: gr.EventData, *inputs: Any) -> Iterator[dict[Component, Any]]:
        yield from updates(*inputs, event, request)

    return pressed if "event" in signature(handler).parameters else plain
