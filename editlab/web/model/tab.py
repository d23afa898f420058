"""The Model tab: which model is asked, what another one would take, and what is known of its keys."""

from __future__ import annotations

from functools import partial

import gradio as gr

from editlab.lab import Lab
from editlab.web.core.components import LIVE, Parts
from editlab.web.core.inputs import Buttons, FileButton, ModelName
from editlab.web.core.wiring import on
from editlab.web.model.bench_panel import create_bench
from editlab.web.model.handlers import LONGEST_NAME, ModelHandlers, offered
from editlab.web.model.words import QUANTIZATIONS, head

CHOOSING = (
    "It is exchanged for everybody who has this page open. Edits stay with the model that they were made on, and with its "
    "precision: whoever comes back to it finds them."
)
STATISTICS = (
    "Key statistics say which keys a layer already uses, so that an edit can spare them. They are measured once a model and "
    "kept. Stopped, a measurement goes on from there the next time."
)


def create_strip(lab: Lab) -> gr.HTML:
    """The head of the page: what this is, and which model is asked."""
    return gr.HTML(head(lab.about()), elem_id="head", apply_default_css=False)


def create_model_tab(page: gr.Blocks, tab: gr.Tab, lab: Lab, strip: gr.HTML, others: Parts) -> Parts:
    """Build the tab inside `tab` and wire it; it keeps true what the strip and the `others` say of the model."""
    settings = {name: part for name, part in others.items() if name.startswith(tuple(f"{m.name}-" for m in lab.methods()))}
    parts = Parts({"visitor": others["visitor"], "form": others["form"], "head": strip, **settings})
    with gr.Column(elem_id="model"):
        with gr.Column(elem_classes="key-section"):
            _create_choice(parts, lab)
        with gr.Column(elem_classes="key-section"):
            gr.HTML(f"<h2>What is known of its keys?</h2><p>{STATISTICS}</p>", apply_default_css=False)
            parts.add_html("model-statistics", script=LIVE)
            parts.add_html("model-cost", script=LIVE)
            with gr.Row(elem_classes="key-row", equal_height=False):
                parts.add(
                    gr.Button, "model-measure", "Measure on text that it writes itself", size="sm", scale=0, min_width=270
                )
                parts.add(
                    FileButton,
                    "model-file",
                    "Measure on a text of yours (.txt)",
                    file_types=[".txt"],
                    size="sm",
                    scale=0,
                    min_width=240,
                )
        create_bench(lab, others["visitor"])
    _wire(page, tab, lab, parts)
    return parts


def _create_choice(parts: Parts, lab: Lab) -> None:
    loaded = lab.loaded
    gr.HTML(f"<h2>Which model is asked?</h2><p>{CHOOSING}</p>", apply_default_css=False)
    with gr.Row(elem_id="model-row", equal_height=False):
        with gr.Column(min_width=300):
            parts.add(
                Buttons,
                "model-name",
                takes=ModelName,
                label="Model",
                choices=offered(loaded.offers),
                value=loaded.choice.name,
            )
            parts.add(
                gr.Textbox,
                "model-folder",
                label="Or a folder on this computer, or a hub id",
                placeholder="/models/Llama-2-7b-hf, or owner/name@revision",
                max_length=LONGEST_NAME,
                lines=1,
                max_lines=1,
                visible=loaded.open,
            )
        with gr.Column(min_width=300):
            precisions = [(title, name) for name, title in QUANTIZATIONS.items()]
            parts.add(
                gr.Radio,
                "model-quantization",
                label="Precision of its weights",
                choices=precisions,
                value=loaded.choice.quantization,
            )
    parts.add_html("model-plan", script=LIVE)
    with gr.Row(elem_id="model-buttons", equal_height=False):
        parts.add(gr.Button, "model-load", "Load", variant="primary", scale=0, min_width=120)
        parts["stop"] = parts.add(gr.Button, "model-stop", "Stop", variant="stop", interactive=False, scale=0, min_width=80)
        parts.add(gr.Button, "model-unload", "Free the memory", scale=0, min_width=180)
    parts["progress"] = parts.add_html("model-progress")
    parts["message"] = parts.add_html("model-message", script=LIVE)


def _wire(page: gr.Blocks, tab: gr.Tab, lab: Lab, parts: Parts) -> None:
    handlers, listen = ModelHandlers(lab), partial(on, parts)
    choice = parts.named("model-name", "model-folder", "model-quantization")
    listen(page.load, handlers.model_open, [])
    listen(tab.select, handlers.model_look, [])
    changes = [parts["model-name"].input, parts["model-quantization"].input, parts["model-folder"].submit]
    listen([*changes, parts["model-folder"].blur], handlers.model_plan, choice, trigger_mode="always_last")
    listen(parts["model-load"].click, handlers.model_load, choice)
    listen(parts["model-stop"].click, handlers.model_stop, [], trigger_mode="multiple")
    listen(parts["model-unload"].click, handlers.model_unload, [])
    listen(parts["model-measure"].click, handlers.model_measure, [])
    listen(parts["model-file"].upload, handlers.model_file, [parts["model-file"]])
