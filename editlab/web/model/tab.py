"""The Model tab: the loaded model and the memory plan of another one, key statistics, and benchmarks."""

from __future__ import annotations

from functools import partial

import gradio as gr

from editlab.lab import OFF, Lab
from editlab.lab.model.benchmarks import MOST_CASES
from editlab.web.core.components import Parts
from editlab.web.core.html import pieces, render
from editlab.web.core.inputs import ModelName
from editlab.web.core.language import gettext as _
from editlab.web.core.method_choice import add_method_choice
from editlab.web.core.wiring import on
from editlab.web.core.wording import number
from editlab.web.model import words
from editlab.web.model.benchmark_handlers import USUAL_CASES, BenchmarkHandlers, CaseCount, Rep
from editlab.web.model.handlers import ModelHandlers, Quantization, choices, head
from editlab.web.model.words import QUANTIZATIONS

CASE_FILES = (".json", ".jsonl", ".csv", ".tsv", ".txt")


def create_strip(lab: Lab) -> gr.HTML:
    """Make the head of the page."""
    return gr.HTML(head(lab.about()), elem_id="head", apply_default_css=False)


def create_model_tab(page: gr.Blocks, tab: gr.Tab, lab: Lab, strip: gr.HTML, others: Parts) -> Parts:
    """Build the tab inside `tab` and wire it. It also updates what the head and the `others` show of the model."""
    parts = Parts({"visitor": others["visitor"], "form": others["form"], "head": strip})
    with gr.Column(elem_id="model"):
        with parts.above("model"):
            parts["stop"] = parts.stop_button("model-stop")
        parts.html("model-lead", scripts=["live"])
        with gr.Row(elem_classes="overview", equal_height=False):
            with gr.Column(min_width=0):
                parts.html("model-measured")
            with gr.Column(min_width=0):
                with parts.fold("model-choice", _(words.TITLES["model"])):
                    _explain("model")
                    _create_choice(parts, lab)
                with parts.fold("model-statistics", _(words.TITLES["statistics"])):
                    _explain("statistics")
                    _create_statistics(parts)
                bench = Parts({"visitor": others["visitor"]})
                with bench.fold("bench", _(words.TITLES["benchmark"])):
                    _explain("benchmark")
                    gr.HTML(render("edit/file_hint.html", hint=""), apply_default_css=False)
                    _create_benchmark(bench, lab)
    _wire(page, tab, ModelHandlers(lab), parts)
    return parts


def _create_choice(parts: Parts, lab: Lab) -> None:
    loaded = lab.loaded
    with gr.Row(elem_id="model-row", equal_height=False):
        with gr.Column(min_width=300):
            parts.late_radio("model-name", choices(loaded.offers), label=_("Model"), value=loaded.choice.name)
            label = _("Or a folder, GGUF file, package or hub id")
            hint = "/models/Llama-2-7b-hf, package:NAME, owner/name@revision"
            parts.text("model-folder", ModelName, label=label, placeholder=hint, visible=loaded.open)
        with gr.Column(min_width=300):
            titles = {name: _(title) for name, title in QUANTIZATIONS.items()}
            chosen = loaded.choice.quantization
            parts.radio("model-quantization", Quantization, titles, label=_("Precision"), value=chosen)
    parts.html("model-plan", scripts=["live"])
    with gr.Row(elem_id="model-buttons", equal_height=False):
        parts.button("model-load", _("Load"), variant="primary", size="lg", min_width=120)
        parts.button("model-unload", _("Unload"), size="lg", min_width=120)


def _create_statistics(parts: Parts) -> None:
    parts.html("model-statistics", scripts=["live"])
    parts.html("model-cost", scripts=["live"])
    with gr.Row(elem_classes="key-row", equal_height=False):
        parts.button("model-measure", _("Measure on generated text"), min_width=220)
        parts.upload("model-file", _("Measure on a text file …"), [".txt"], min_width=210)


def _explain(name: str) -> None:
    gr.HTML(pieces.message(_(words.EXPLANATIONS[name]), "hint"), apply_default_css=False)


def _create_benchmark(parts: Parts, lab: Lab) -> None:
    """Make the parts of the benchmark, which has a message and a progress bar of its own, and wire them."""
    with gr.Row(elem_classes="key-row", equal_height=False):
        add_method_choice(parts, "bench-method", lab.methods(), _("Method"))
        recipes = {OFF: _("off"), "default": _("default"), "published": _("published")}
        parts.radio("bench-rep", Rep, recipes, label="REP", value=OFF)
        parts.number("bench-limit", CaseCount, label=_("Cases, at most {n}").format(n=number(MOST_CASES)), value=USUAL_CASES)
    with gr.Row(elem_classes="key-row", equal_height=False):
        parts.upload("bench-file", _("Run on a file of cases …"), CASE_FILES, min_width=210)
        parts["stop"] = parts.stop_button("bench-stop")
    parts["progress"] = parts.html("bench-progress")
    parts["message"] = parts.html("bench-message", scripts=["live"])
    parts.html("bench-said")
    handlers = BenchmarkHandlers(lab)
    on(parts, parts["bench-file"].upload, handlers.bench_run)
    on(parts, parts["bench-stop"].click, handlers.bench_stop, trigger_mode="multiple")


def _wire(page: gr.Blocks, tab: gr.Tab, handlers: ModelHandlers, parts: Parts) -> None:
    wire = partial(on, parts)
    wire(page.load, handlers.model_open)
    wire(tab.select, handlers.model_look)
    changes = [parts["model-name"].input, parts["model-quantization"].input]
    changes += [parts["model-folder"].submit, parts["model-folder"].blur]
    wire(changes, handlers.model_plan, trigger_mode="always_last")
    wire(parts["model-load"].click, handlers.model_load)
    wire(parts["model-stop"].click, handlers.model_stop, trigger_mode="multiple")
    wire(parts["model-unload"].click, handlers.model_unload)
    wire(parts["model-measure"].click, handlers.model_measure)
    wire(parts["model-file"].upload, handlers.model_file)
