"""The Workspace tab: the visitor's workspaces, and of the open one the edits, the history, comparisons and files."""

from __future__ import annotations

from functools import partial

import gradio as gr

from editlab.exports import FORMATS
from editlab.lab import Lab
from editlab.web.core.components import Parts
from editlab.web.core.display import EditDisplay
from editlab.web.core.html import pieces
from editlab.web.core.inputs import ModelName, Question
from editlab.web.core.language import gettext as _
from editlab.web.core.wiring import on
from editlab.web.workspace import words
from editlab.web.workspace.display import ALL, MOMENT, WorkspaceDisplay
from editlab.web.workspace.file_handlers import FileHandlers, FormatName
from editlab.web.workspace.handlers import WorkspaceHandlers
from editlab.web.workspace.history_handlers import BranchName, HistoryHandlers

MIRRORED = {name: f"workspace-{name}" for name in ("message", "progress", "stop", "undo", "redo", "remake")}
"""Components of the Edit tab, and those that show the same here."""
ROW = {"elem_classes": "key-row", "equal_height": False}


def create_workspace_tab(tab: gr.Tab, lab: Lab, others: Parts, edit: EditDisplay) -> Parts:
    """Build the tab inside `tab` and wire it; it keeps the Edit tab's parts (`others`, drawn by `edit`) up to date."""
    parts = Parts(others)
    with gr.Column(elem_id="workspace"), gr.Row(elem_id="workspace-row", equal_height=False):
        with gr.Column(elem_id="workspace-left", min_width=240, scale=0):
            parts.html("workspace-rooms", scripts=["typed"])
        with gr.Column(elem_id="workspace-main", min_width=320):
            parts.html("workspace-head", scripts=["typed"])
            _create_edits(parts)
            with parts.fold("workspace-history", _(words.TITLES["history"])):
                _explain(_(words.HISTORY))
                _create_history(parts)
            with parts.fold("workspace-comparison", _(words.TITLES["comparison"])):
                _explain(_(words.COMPARISON))
                _create_comparison(parts)
            with parts.fold("workspace-bundles", _(words.TITLES["bundles"])):
                _explain(_(words.BUNDLES).format(size=_file_size(lab)))
                _create_bundles(parts)
                if lab.loaded.open:  # else a visitor could have any folder of the server read
                    _explain(_(words.CHECK))
                    _create_check(parts)
            with parts.fold("workspace-exports", _(words.TITLES["exports"])):
                _explain(_(words.EXPORTS))
                _create_exports(parts)
            with parts.fold("workspace-line", _(words.TITLES["jobs"])):
                _explain(_(words.JOBS))
                parts.html("workspace-jobs", scripts=["pressed", "local_time"])
                parts.button("workspace-look", _("Refresh"), elem_classes="pressed-by-script")
    _wire(tab, lab, parts, edit)
    return parts


def _explain(text: str) -> None:
    gr.HTML(pieces.message(text, "hint"), apply_default_css=False)


def _create_edits(parts: Parts) -> None:
    parts.html("workspace-edits", scripts=["pressed", "local_time"])
    with gr.Row(elem_classes="key-row", elem_id="workspace-buttons"):
        parts.button("workspace-undo", _("Undo"), interactive=False, min_width=80)
        parts.button("workspace-redo", _("Redo"), interactive=False, min_width=80)
        parts.button("workspace-remake", _("Recompute all"), interactive=False, min_width=120)
        parts.stop_button("workspace-stop")
    parts.html("workspace-progress")
    parts.html("workspace-message", scripts=["live"])


def _create_history(parts: Parts) -> None:
    with gr.Row(**ROW):
        info = _("0 is before the first change")
        parts.late_slider(
            "workspace-moment", label=_("Moment"), info=info, minimum=0, maximum=1, step=1, value=0, buttons=[]
        )
    parts.button("workspace-travel", _("Show"), elem_classes="pressed-by-script")
    parts.html("workspace-then", scripts=["live", "local_time"])
    with gr.Row(**ROW):
        parts.button("workspace-return", _("Return to this"), min_width=140)
        parts.text("workspace-branch-name", BranchName, label=_("Name of the branch"), min_width=200, scale=1)
        parts.button("workspace-branch", _("Branch from here"), min_width=160)
    parts.html("workspace-were")


def _create_comparison(parts: Parts) -> None:
    with gr.Row(**ROW):
        choices = [(_(words.BY_MOMENT), MOMENT)]
        parts.late_dropdown("workspace-other", choices, label=_("Compare with"), value=MOMENT, min_width=220)
        parts.text("workspace-question", Question, label=_("Question"), max_lines=3, min_width=240, scale=2)
        parts.button("workspace-compare", _("Compare"), min_width=110)
    parts.html("workspace-compared", scripts=["live"])


def _create_bundles(parts: Parts) -> None:
    with gr.Row(**ROW):
        parts.button("workspace-verify", _("Verify"), min_width=100)
        parts.button("workspace-pack", _("Create a bundle"), min_width=140)
        parts.upload("workspace-file", _("Import a bundle …"), [".zip"], min_width=170)
    parts.html("workspace-verified", scripts=["live"])
    parts.html("workspace-bundle", scripts=["live"])


def _create_check(parts: Parts) -> None:
    with gr.Row(**ROW):
        label = _("Folder of a checkpoint or a LoRA")
        parts.text("workspace-checkpoint", ModelName, label=label, min_width=240, scale=2)
        parts.button("workspace-check", _("Check"), min_width=100)
        parts.button("workspace-blind", _("Check without a base"), min_width=180)
    parts.html("workspace-checked", scripts=["live"])


def _create_exports(parts: Parts) -> None:
    first = next(iter(FORMATS.values()))
    with gr.Row(**ROW):
        titles = {name: f"{name}: {_(form.title)}" for name, form in FORMATS.items()}
        parts.dropdown("workspace-format", FormatName, titles, label=_("Format"), value=first.name, min_width=240)
        parts.late_dropdown("workspace-only", [(_(words.ALL_EDITS), ALL)], label=_("Edits"), value=ALL, min_width=200)
        parts.button("workspace-export", _("Export"), min_width=110)
    parts.html("workspace-format-said", pieces.message(_(first.holds)), scripts=["live"])


def _file_size(lab: Lab) -> str:
    return lab.limits.file_size.upper().replace("MB", " MB").replace("KB", " kB")


def _wire(tab: gr.Tab, lab: Lab, parts: Parts, edit: EditDisplay) -> None:
    display = WorkspaceDisplay(lab, edit)
    handlers, history, files = WorkspaceHandlers(lab, display), HistoryHandlers(lab, display), FileHandlers(lab, display)
    parts.mirrors = MIRRORED
    wire, many = partial(on, parts), {"trigger_mode": "multiple"}

    wire(tab.select, handlers.workspace_open)
    wire(parts["workspace-rooms"].select, handlers.workspace_press, **many)
    wire(parts["workspace-head"].select, handlers.workspace_press, **many)
    wire(parts["workspace-edits"].select, handlers.workspace_edit, **many)
    wire(parts["workspace-undo"].click, handlers.workspace_undo)
    wire(parts["workspace-redo"].click, handlers.workspace_redo)
    wire(parts["workspace-remake"].click, handlers.workspace_remake)
    wire(parts["workspace-stop"].click, handlers.workspace_stop, **many)

    wire(parts["workspace-travel"].click, history.workspace_moment, **many)
    wire(parts["workspace-return"].click, history.workspace_return)
    wire([parts["workspace-branch"].click, parts["workspace-branch-name"].submit], history.workspace_branch)
    compares = [parts["workspace-compare"].click, parts["workspace-question"].submit]
    wire(compares, history.workspace_compare, trigger_mode="always_last")

    wire(parts["workspace-verify"].click, files.workspace_verify)
    if lab.loaded.open:
        checks = [parts["workspace-check"].click, parts["workspace-checkpoint"].submit]
        wire(checks, files.workspace_check)
        wire(parts["workspace-blind"].click, files.workspace_blind)
    wire(parts["workspace-pack"].click, files.workspace_pack)
    wire(parts["workspace-file"].upload, files.workspace_import)
    said = [parts["workspace-format"].input, parts["workspace-only"].input]
    wire(said, files.workspace_format, trigger_mode="always_last")
    wire(parts["workspace-export"].click, files.workspace_export)
    wire(parts["workspace-jobs"].select, files.workspace_job, **many)
    wire([parts["workspace-look"].click, parts["workspace-line-fold"].expand], files.workspace_jobs)
