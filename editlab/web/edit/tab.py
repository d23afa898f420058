"""The Edit tab: the request in one line, what every model answers, the verdict with its scores, and the probes."""

from __future__ import annotations

from functools import partial

import gradio as gr

from editlab.lab import Lab
from editlab.web.core import wiring
from editlab.web.core.components import Parts
from editlab.web.core.display import EditDisplay
from editlab.web.core.html import pieces, render
from editlab.web.core.inputs import Lines, Question
from editlab.web.core.language import gettext as _
from editlab.web.core.language import noop
from editlab.web.edit import belief_table, request_form, reversal, score_line, words
from editlab.web.edit.belief_handlers import BeliefHandlers
from editlab.web.edit.file_handlers import FileHandlers
from editlab.web.edit.handlers import EditHandlers, Form, Threshold
from editlab.web.edit.question_handlers import QuestionHandlers
from editlab.web.edit.report_handlers import ReportHandlers

FORMS = {"plain": noop("Plain text"), "chat": noop("Chat")}
OWN = {
    "own-rephrases": (
        noop("Other names and wordings, one per line"),
        noop(
            "The fact in other words: the answer should change. The prompt with another name of the subject trains REP on "
            "it."
        ),
    ),
    "own-neighbours": (noop("Neighbours, one per line"), noop("Anything else: the answer should stay as it was.")),
}


def create_edit_tab(page: gr.Blocks, lab: Lab, visitor: gr.BrowserState, display: EditDisplay) -> Parts:
    """Build the tab inside `page` and wire it to its handlers. Returns its components by name (their `elem_id`)."""
    parts = Parts({"visitor": visitor})
    parts.html("link", scripts=["pressed"])
    request_form.create_examples(parts, lab.examples)
    request_form.create_bar(parts)
    with gr.Row(elem_id="bench", equal_height=False):
        with gr.Column(min_width=300, elem_id="request"):
            request_form.create_request_form(parts, lab)
            with gr.Accordion(_("Facts this model knows"), open=False, elem_id="known-facts") as known:
                parts.html("known", pieces.message(_(words.KNOWN_HINT), "hint"), scripts=["pressed"])
        with gr.Column(min_width=320, elem_id="results"):
            _create_answers(parts)
            _create_live(parts, lab)
            _create_gate(parts)
            _create_reversal(parts)
            _create_probes(parts)
            _create_belief(parts)
        with gr.Column(min_width=280, elem_id="drawer"):
            request_form.create_edit_list(parts)
            request_form.create_file_form(parts, lab)
    _wire_edits(page, parts, known, EditHandlers(lab, display))
    _wire_questions(parts, QuestionHandlers(lab))
    _wire_file(parts, FileHandlers(lab, display))
    wiring.on(parts, parts["ask-belief"].click, BeliefHandlers(lab).ask_belief)
    wiring.on(parts, parts["report"].click, ReportHandlers(lab).report_edit)
    return parts


def _create_answers(parts: Parts) -> None:
    parts.html("say")
    request_form.create_switches(parts)
    parts.html("picture")
    parts.html("warnings")
    parts.html("verdict")
    parts.html("scores", score_line.score_line(None), scripts=["jump"])
    parts.html("why-missed", scripts=["live"])


def _create_live(parts: Parts, lab: Lab) -> None:
    with gr.Column(elem_id="live"):
        parts.radio("form", Form, FORMS, label=_("Ask everything as"), value="plain", visible=lab.about()["chat"])
        with gr.Row(elem_id="ask-row", equal_height=False):
            hint = _("Begin a sentence: the models continue it as you type")
            box = {"label": _("Ask all models"), "placeholder": hint, "max_lines": 4, "scale": 6, "min_width": 240}
            parts.text("ask", Question, **box)
            parts.add(gr.Button, "ask-button", _("Ask"), scale=0, min_width=70)
            parts.add(gr.Button, "join-rephrase", _("+ Wording"), scale=0, min_width=104)
            parts.add(gr.Button, "join-neighbour", _("+ Neighbour"), scale=0, min_width=104)
        parts.html("questions", render("edit/questions.html", questions={}), scripts=["pressed"])
        parts.html("ask-message")
        parts.html("ask-answers")


def _create_gate(parts: Parts) -> None:
    """Make the threshold and what it does. The style sheet shows them as soon as a view has REP."""
    with gr.Column(elem_id="gate"):
        _title("gate", _("REP gate threshold"), _("How similar must a key be before the gate opens?"))
        with gr.Row(elem_id="gate-row", equal_height=False):
            with gr.Column(min_width=280, elem_id="gate-left"):
                info = _("Lower: more rephrasings of the subject. Higher: fewer false alarms.")
                parts.slider("threshold", Threshold, step=0.01, value=0.9, buttons=[], label=_("Threshold"), info=info)
                parts.add(gr.Button, "set-threshold", _("Set the threshold"), elem_classes="pressed-by-script")
                parts.html("gate-said")
                parts.html("gate-tokens")
            with gr.Column(min_width=280):
                parts.plot("gate-curve")
                parts.html("gate-table", pieces.message(_(words.GATE_TO_COME), "hint"))


def _create_reversal(parts: Parts) -> None:
    """Make the ways to revert the edit, which the style sheet shows as soon as the mask is on."""
    with gr.Column(elem_id="ways"):
        _title("ways", _("Reverting the edit"), _("Which way brings the old answers back?"))
        parts.html("ways-back", reversal.to_come())


def _create_probes(parts: Parts) -> None:
    with gr.Row(elem_id="probes-row", equal_height=False):
        _title("probes", _("Probes"), _("What changed around the edit, and what stayed?"))
        parts.html("report-file")
        parts.button("report", _("Report of this edit"))
    parts.html("probe-table", scripts=["opened", "kept"], distribution={})
    parts.html("linked", reversal.to_come())
    with gr.Accordion(_("Own probes"), open=False, elem_id="own"):
        with gr.Row(equal_height=False):
            for name, (label, info) in OWN.items():
                parts.text(name, Lines, label=_(label), info=_(info), lines=3, max_lines=8, min_width=240)
        parts.add(gr.Button, "probe", _("Ask the probes again"), size="sm")


def _create_belief(parts: Parts) -> None:
    with gr.Accordion(_("Does the model believe it?"), open=False, elem_id="belief-fold"):
        parts.button("ask-belief", _("Ask in ten ways"))
        parts.html("belief", belief_table.hint(), scripts=["kept"])


def _title(name: str, title: str, lead: str) -> None:
    gr.HTML(pieces.section(title, lead, name), elem_id=f"{name}-title", elem_classes="part-title", apply_default_css=False)


def _wire_edits(page: gr.Blocks, parts: Parts, known: gr.Accordion, edit: EditHandlers) -> None:
    """Wire what changes the edits. The worker keeps the order of what computes, so no event waits for another here."""
    on, often = partial(wiring.on, parts), partial(wiring.on, parts, trigger_mode="multiple")
    on(page.load, edit.open)
    often(parts["link"].select, edit.follow_link)
    on(parts["preset"].input, edit.choose_example, trigger_mode="always_last")
    on(known.expand, edit.show_known)
    on(parts["method"].change, edit.choose_method, trigger_mode="always_last")
    on(parts["known"].select, edit.choose_known, trigger_mode="always_last")
    fields = parts.named("subject", "prompt", "target-new", "target-true")
    on([parts["apply"].click, *(field.submit for field in fields)], edit.apply)
    often(parts["stop"].click, edit.stop)
    often(parts["hurry"].click, edit.hurry)
    on(parts["catch-up"].click, edit.catch_up)
    often(parts["undo"].click, edit.undo)
    often(parts["redo"].click, edit.redo)
    on(parts["remake"].click, edit.remake)
    often(parts["edits"].select, edit.change_edit)
    often(parts["set-threshold"].click, edit.set_threshold)
    often(parts["rep"].input, edit.set_rep)
    often(parts["mask"].input, edit.set_mask)
    often(parts["guard"].input, edit.set_guard)
    often(parts["form"].input, edit.set_form)
    on(parts["train-mask"].click, edit.train_mask)
    on(parts["probe"].click, edit.probe)
    on(parts["join-rephrase"].click, edit.add_rephrase)
    on(parts["join-neighbour"].click, edit.add_neighbour)


def _wire_questions(parts: Parts, questions: QuestionHandlers) -> None:
    on = partial(wiring.on, parts)
    on([parts["ask-button"].click, parts["ask"].submit], questions.ask, trigger_mode="multiple")
    on(parts["questions"].select, questions.ask_prepared, trigger_mode="multiple")
    named = parts.named("subject", "prompt", "target-new", "target-true", "space", "method", "rep")
    on([field.change for field in named], questions.tokenize, trigger_mode="always_last")
    on([field.input for field in parts.named("subject", "prompt")], questions.ask_typed, trigger_mode="always_last")
    on(parts["suggestions"].select, questions.choose_object)
    on(parts["probe-table"].expand, questions.open_probe, trigger_mode="multiple")


def _wire_file(parts: Parts, file: FileHandlers) -> None:
    on = partial(wiring.on, parts)
    given = [parts["many-file"].upload, parts["many-skip"].input, parts["many-take"].input, parts["many-method"].input]
    on(given, file.check_file, trigger_mode="always_last")
    on(parts["many-apply"].click, file.apply_file)
