"""The Edit tab: what to change on the left; on the right what every model says, live questions, and the probes."""

from __future__ import annotations

from functools import partial

import gradio as gr

from editlab.lab import Lab
from editlab.web.core import render, wiring
from editlab.web.core.components import PRESSED, Parts
from editlab.web.core.forms import FIELDS, MOST, place_of, settings_of
from editlab.web.core.inputs import Lines
from editlab.web.edit import file_panel, gate_panel, live, mask_panel, probe_table, request_form
from editlab.web.edit.ask_handlers import AskHandlers
from editlab.web.edit.file_handlers import ManyHandlers


def create_edit_tab(page: gr.Blocks, lab: Lab, visitor: gr.BrowserState, edit: ManyHandlers) -> Parts:
    """Build the tab inside `page` and wire it to its handlers. Returns its components by name (their `elem_id`)."""
    parts = Parts({"visitor": visitor})
    parts.add_html("link", script=PRESSED)
    request_form.create_presets(parts, lab.scenarios)
    with gr.Row(elem_id="bench", equal_height=False):
        with gr.Column(min_width=300, elem_id="request"):
            request_form.create_request_form(parts, lab)
            file_panel.create_many(parts)
            request_form.create_edit_list(parts)
        with gr.Column(min_width=320, elem_id="results"):
            _create_picture(parts)
            _create_live(parts, lab)
            _create_gate(parts)
            _create_reversal(parts)
            _create_probes(parts)
    _wire(page, lab, parts, edit)
    return parts


def _create_picture(parts: Parts) -> None:
    with gr.Row(elem_id="above"):
        parts.add_html("say")
        views = [("Side by side", "all"), *((render.view_title(view), view) for view in render.VIEW_TITLES)]
        parts.add(gr.Radio, "view", label="Show", choices=views, value="all", interactive=True, scale=0)
    parts.add_html("picture")
    parts.add_html("verdict")
    parts.add_html("scores", probe_table.score_line(None))


def _create_live(parts: Parts, lab: Lab) -> None:
    with gr.Column(elem_id="live"):
        forms = [("Plain text", "plain"), ("Chat", "chat")]
        chat = lab.about()["chat"]
        parts.add(gr.Radio, "form", label="Ask everything as", choices=forms, value="plain", visible=chat)
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
        parts.add_html("questions", render.questions({}), script=PRESSED)
        parts.add_html("ask-message")
        parts.add_html("ask-answers", live.empty())


def _create_gate(parts: Parts) -> None:
    """The threshold and what it does. The style sheet shows it as soon as a view has REP."""
    with gr.Column(elem_id="gate"):
        gr.HTML("<h2>How sure must the gate be?</h2>", elem_id="gate-title", apply_default_css=False)
        with gr.Row(elem_id="gate-row", equal_height=False):
            with gr.Column(min_width=280, elem_id="gate-left"):
                shown = {"label": "Threshold", "info": "Left: more ways to say the subject. Right: fewer false alarms."}
                parts.add(gr.Slider, "threshold", minimum=0, maximum=1, step=0.01, value=0.9, buttons=[], **shown)
                parts.add(gr.Button, "set-threshold", "Set the threshold", elem_classes="pressed-by-script")
                parts.add_html("gate-said")
                parts.add_html("gate-tokens")
            with gr.Column(min_width=280):
                parts.plot("gate-curve")
                parts.html("gate-table", gate_panel.TO_COME)


def _create_reversal(parts: Parts) -> None:
    """The ways back, which the style sheet shows as soon as the mask is on, and what became of linked facts."""
    with gr.Column(elem_id="ways"):
        gr.HTML("<h2>Which way leads back?</h2>", elem_id="ways-title", apply_default_css=False)
        parts.add_html("ways-back", mask_panel.TO_COME)
    with gr.Column(elem_id="links"):
        gr.HTML("<h2>Do linked facts follow?</h2>", elem_id="links-title", apply_default_css=False)
        parts.add_html("linked", mask_panel.TO_COME)


def _create_probes(parts: Parts) -> None:
    gr.HTML("<h2>Probes around the edit</h2>", elem_id="probes-title", apply_default_css=False)
    with gr.Accordion("Own probes", open=False, elem_id="own"):
        with gr.Row(equal_height=False):
            for name, label, info in (
                (
                    "own-rephrases",
                    "Own rephrases, one a line",
                    "The fact in other words: the answer shall change. The prompt with another name teaches REP that name.",
                ),
                ("own-neighbours", "Own neighbours, one a line", "Anything else: the answer shall stay as it was."),
            ):
                parts.text(name, Lines, label=label, info=info, lines=3, max_lines=8, min_width=240)
        parts.add(gr.Button, "probe", "Ask the probes again", size="sm")
    parts.add_html("probe-table", script=probe_table.OPENED, distribution={})


def _wire(page: gr.Blocks, lab: Lab, parts: Parts, edit: ManyHandlers) -> None:
    """Every event of the tab. The worker keeps the order of what computes, so no event waits for another here."""
    ask, why = AskHandlers(lab), parts["why"]
    own = parts.named("own-rephrases", "own-neighbours")
    fields = parts.named(*map(place_of, FIELDS))
    settings = parts.named(*(f"{method}-{setting.name}" for method, setting in settings_of(lab.methods())))
    on = partial(wiring.on, parts)

    on(page.load, edit.open, own)
    on(parts["link"].select, edit.follow_link, own, trigger_mode="multiple")
    on(parts["preset"].input, edit.choose, [*own, parts["preset"]], trigger_mode="always_last")
    submits = [field.submit for field in fields]
    on([parts["apply"].click, *submits], edit.apply, [*own, parts["method"], parts["rep"], *fields, *settings, why])
    file = [*parts.named("many-file", "many-skip"), parts["method"], *settings]
    given = [parts["many-file"].upload, parts["many-skip"].input, parts["method"].input]
    on(given, edit.look_over, file, trigger_mode="always_last")
    on(
        parts["many-apply"].click,
        edit.apply_many,
        [*own, *parts.named("many-file", "many-skip", "many-batch"), parts["method"], *settings, why],
    )
    on(parts["stop"].click, edit.stop, [], trigger_mode="multiple")
    on(parts["undo"].click, edit.undo, own, trigger_mode="multiple")
    on(parts["redo"].click, edit.redo, own, trigger_mode="multiple")
    on(parts["remake"].click, edit.remake, own)
    on(parts["edits"].select, edit.change, [*own, parts["rep"]], trigger_mode="multiple")
    on(parts["set-threshold"].click, edit.move, [*own, parts["threshold"], parts["ask"]], trigger_mode="multiple")
    on(parts["mask"].input, edit.mask, [*own, parts["method"], parts["mask"]], trigger_mode="multiple")
    on(parts["guard"].input, edit.guard, [*own, parts["method"], parts["guard"]], trigger_mode="multiple")
    on(parts["form"].input, edit.put, [*own, parts["form"], parts["ask"]], trigger_mode="multiple")
    on(parts["train-mask"].click, edit.train_mask, [*own, parts["method"]])
    on(parts["probe"].click, edit.probe, own)
    on(parts["join-rephrase"].click, edit.join_rephrase, [*own, parts["ask"]])
    on(parts["join-neighbour"].click, edit.join_neighbour, [*own, parts["ask"]])
    on([parts["ask-button"].click, parts["ask"].submit], ask.ask, [parts["ask"]], trigger_mode="multiple")
    on(parts["questions"].select, ask.take, [], trigger_mode="multiple")
    on([field.change for field in fields[:3]], ask.spell, fields[:3], trigger_mode="always_last")
    on(parts["suggestions"].select, ask.suggest, [])
    on(parts["probe-table"].expand, ask.expand, [], trigger_mode="multiple")
