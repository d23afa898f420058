"""The Workspace tab: which workspace is open, its edits, its past, what else there is to hold it against, and its files."""

from __future__ import annotations

from functools import partial

import gradio as gr

from editlab.exports import FORMATS
from editlab.lab import Lab
from editlab.lab.ledger.directory import LONGEST_NAME
from editlab.web.core.components import LIVE, PRESSED, Parts, section
from editlab.web.core.forms import MOST
from editlab.web.core.handlers import Handlers
from editlab.web.core.inputs import Choices, FileButton, Moments, Name, Place
from editlab.web.core.wiring import on
from editlab.web.workspace import rooms
from editlab.web.workspace.bundle_handlers import BundleHandlers
from editlab.web.workspace.handlers import MOMENT
from editlab.web.workspace.history_handlers import TravelHandlers

MIRRORED = {name: f"workspace-{name}" for name in ("message", "progress", "stop", "undo", "redo", "remake")}
"""What stands on the Edit tab stands here too."""
BUNDLE = (
    "One file with every event and every tensor, for another EditLab with the same model: there it answers the same. "
    "Brought in, it becomes a new private workspace of yours. Up to {} here; larger ones go by the terminal: editlab ledger "
    "import."
)


def create_workspace_tab(tab: gr.Tab, lab: Lab, others: Parts, edit: Handlers) -> Parts:
    """Build the tab inside `tab` and wire it; it keeps the Edit tab's parts (`others`, drawn by `edit`) up to date."""
    parts = Parts(others)
    with gr.Column(elem_id="workspace"), gr.Row(elem_id="workspace-row", equal_height=False):
        with gr.Column(elem_id="workspace-left", min_width=240, scale=0):
            parts.add_html("workspace-rooms", script=rooms.TYPED)
        with gr.Column(elem_id="workspace-main", min_width=320):
            parts.add_html("workspace-head", script=rooms.TYPED)
            _create_edits(parts)
            _create_past(parts)
            _create_comparison(parts)
            _create_files(parts, lab)
            with section("Jobs", "What runs, what waits, and what ran last. A restart loses none silently."):
                parts.add_html("workspace-jobs", script=PRESSED)
                parts.add(gr.Button, "workspace-look", "Look again", elem_classes="pressed-by-script")
    _wire(tab, lab, parts, edit)
    return parts


def _create_edits(parts: Parts) -> None:
    parts.add_html("workspace-edits", script=PRESSED)
    with gr.Row(elem_classes="key-row", elem_id="workspace-buttons"):
        small = {"size": "sm", "interactive": False, "scale": 0}
        parts.add(gr.Button, "workspace-undo", "Undo", min_width=80, **small)
        parts.add(gr.Button, "workspace-redo", "Redo", min_width=80, **small)
        parts.add(gr.Button, "workspace-remake", "Re-make all", min_width=120, **small)
        parts.add(gr.Button, "workspace-stop", "Stop", variant="stop", min_width=80, **small)
    parts.add_html("workspace-progress")
    parts.add_html("workspace-message", script=LIVE)


def _create_past(parts: Parts) -> None:
    with section("How was it before?", "Every change is kept. Move through them, and go back, or go on from there apart."):
        with gr.Row(elem_classes="key-row", equal_height=False):
            parts.add(
                Moments,
                "workspace-moment",
                takes=Place,
                label="Moment",
                info="0 is before the first change",
                minimum=0,
                maximum=1,
                step=1,
                value=0,
                buttons=[],
            )
        parts.add(gr.Button, "workspace-travel", "Look at it", elem_classes="pressed-by-script")
        parts.add_html("workspace-then", script=LIVE)
        with gr.Row(elem_classes="key-row", equal_height=False):
            parts.add(gr.Button, "workspace-return", "Return to this", size="sm", scale=0, min_width=140)
            name = {"label": "Name of the branch", "max_length": LONGEST_NAME, "lines": 1, "max_lines": 1}
            parts.add(gr.Textbox, "workspace-branch-name", min_width=200, scale=1, **name)
            parts.add(gr.Button, "workspace-branch", "Branch from here", size="sm", scale=0, min_width=160)
        parts.add_html("workspace-were")


def _create_comparison(parts: Parts) -> None:
    lead = "Two states side by side: what lies in both, and what the model says under each."
    with section("What is different elsewhere?", lead):
        with gr.Row(elem_classes="key-row", equal_height=False):
            choices = [("Here, at the moment chosen above", MOMENT)]
            parts.add(
                Choices,
                "workspace-other",
                takes=Name,
                label="Hold it against",
                choices=choices,
                value=MOMENT,
                min_width=220,
            )
            asked = {"label": "Question", "max_length": MOST["question"], "lines": 1, "max_lines": 3}
            parts.add(gr.Textbox, "workspace-question", min_width=240, scale=2, **asked)
            parts.add(gr.Button, "workspace-compare", "Compare", size="sm", scale=0, min_width=110)
        parts.add_html("workspace-compared", script=LIVE)


def _create_files(parts: Parts, lab: Lab) -> None:
    with section("Is it still what was written? And how does it travel?", BUNDLE.format(_size(lab))):
        with gr.Row(elem_classes="key-row", equal_height=False):
            small = {"size": "sm", "scale": 0}
            parts.add(gr.Button, "workspace-verify", "Verify", min_width=100, **small)
            parts.add(gr.Button, "workspace-pack", "Make a bundle", min_width=140, **small)
            parts.add(FileButton, "workspace-file", "Bring a bundle in …", file_types=[".zip"], min_width=170, **small)
        parts.add_html("workspace-verified", script=LIVE)
        parts.add_html("workspace-bundle", script=LIVE)
    lead = "The edits that are on, in forms that other programs take. They are made one after another by the model’s worker."
    with section("Exports", lead):
        with gr.Row(elem_classes="key-row", equal_height=False):
            choices = [(f"{form.name}: {form.title}", form.name) for form in FORMATS.values()]
            parts.add(gr.Dropdown, "workspace-format", label="Form", choices=choices, value="peft", min_width=240)
            parts.add(gr.Button, "workspace-export", "Export", size="sm", scale=0, min_width=110)
        parts.add_html("workspace-format-said", f"<p>{FORMATS['peft'].holds}</p>", script=LIVE)


def _size(lab: Lab) -> str:
    return lab.limits.file_size.upper().replace("MB", " MB").replace("KB", " kB")


def _wire(tab: gr.Tab, lab: Lab, parts: Parts, edit: Handlers) -> None:
    """Every event of the tab. Where the slider stands goes with what needs it."""
    handlers, many = BundleHandlers(lab, edit), {"trigger_mode": "multiple"}
    own, moment = parts.named("own-rephrases", "own-neighbours"), parts["workspace-moment"]
    parts.mirrors = MIRRORED
    listen = partial(on, parts)

    listen(tab.select, handlers.workspace_open, [])
    for name in ("workspace-rooms", "workspace-head"):
        listen(parts[name].select, handlers.room, own, **many)
    listen(parts["workspace-edits"].select, handlers.row, [*own, parts["rep"]], **many)
    for name in ("undo", "redo", "remake"):
        listen(parts[f"workspace-{name}"].click, getattr(handlers, name), own)
    listen(parts["workspace-stop"].click, handlers.stop, [], **many)
    listen(parts["workspace-travel"].click, TravelHandlers(lab).moment, [moment], **many)
    listen(parts["workspace-return"].click, handlers.return_to, [*own, moment])
    listen(
        [parts["workspace-branch"].click, parts["workspace-branch-name"].submit],
        handlers.branch,
        [*own, moment, parts["workspace-branch-name"]],
    )
    compared = parts.named("workspace-other", "workspace-moment", "workspace-question")
    listen(
        [parts["workspace-compare"].click, parts["workspace-question"].submit],
        TravelHandlers(lab).compare,
        compared,
        trigger_mode="always_last",
    )
    listen(parts["workspace-verify"].click, handlers.verify, [])
    listen(parts["workspace-pack"].click, handlers.pack, [])
    listen(parts["workspace-file"].upload, handlers.bring_in, [*own, parts["workspace-file"]])
    listen(parts["workspace-format"].input, handlers.describe, [parts["workspace-format"]], trigger_mode="always_last")
    listen(parts["workspace-export"].click, handlers.export, [parts["workspace-format"]])
    listen(parts["workspace-jobs"].select, handlers.job, [], **many)
    listen(parts["workspace-look"].click, handlers.look_at_jobs, [])
