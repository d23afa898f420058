"""A part of the Model tab: how well edits hold on this model, measured on a file of cases."""

from __future__ import annotations

from functools import partial

import gradio as gr

from editlab.lab import METHODS, OFF, RECIPES, Lab
from editlab.web.core.components import LIVE, Parts
from editlab.web.core.inputs import FileButton
from editlab.web.core.wiring import on
from editlab.web.model.bench_handlers import MOST_CASES, USUAL_CASES, BenchHandlers

ABOUT = (
    "Each edit of a file is made over the bare model, by itself, and asked everything: in other words, under other names, "
    "behind long texts, and about what should stay. Your edits stay as they are. It takes seconds an edit; stopped, it goes "
    "on from there the next time."
)
FORMS = (".json", ".csv")


def create_bench(lab: Lab, visitor: gr.BrowserState) -> None:
    """Build it here and now, and wire it."""
    parts = Parts({"visitor": visitor})
    with gr.Column(elem_classes="key-section"):
        gr.HTML(f"<h2>How well do edits hold on it?</h2><p>{ABOUT}</p>", apply_default_css=False)
        with gr.Row(elem_classes="key-row", equal_height=False):
            names = [(name.upper(), name) for name in METHODS]
            parts.add(gr.Radio, "bench-method", label="Method", choices=names, value=next(iter(METHODS)))
            recipes = [("off", OFF), *((name, name) for name in RECIPES)]
            parts.add(gr.Radio, "bench-rep", label="REP", choices=recipes, value=OFF)
            parts.add(gr.Number, "bench-limit", label=f"Cases, at most {MOST_CASES:,}", value=USUAL_CASES, precision=0)
        with gr.Row(elem_classes="key-row", equal_height=False):
            label = "Choose a file of cases and measure …"
            parts.add(FileButton, "bench-file", label, file_types=list(FORMS), size="sm", scale=0, min_width=280)
            parts["stop"] = parts.add(
                gr.Button, "bench-stop", "Stop", variant="stop", interactive=False, size="sm", scale=0, min_width=80
            )
        parts["progress"] = parts.add_html("bench-progress")
        parts["message"] = parts.add_html("bench-message", script=LIVE)
        parts.add_html("bench-said")
    handlers, listen = BenchHandlers(lab), partial(on, parts)
    listen(
        parts["bench-file"].upload, handlers.bench_run, parts.named("bench-file", "bench-method", "bench-rep", "bench-limit")
    )
    listen(parts["bench-stop"].click, handlers.bench_stop, [], trigger_mode="multiple")
