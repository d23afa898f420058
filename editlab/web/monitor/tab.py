"""The Monitor tab: how all edits do together, since when they do not, the way back; and how the service does."""

from __future__ import annotations

from functools import partial

import gradio as gr
from markupsafe import Markup

from editlab.lab import Lab
from editlab.lab.workspaces.alarms import LEAST
from editlab.web.core.components import LIVE, Parts, section
from editlab.web.core.handlers import Handlers
from editlab.web.core.wiring import on
from editlab.web.monitor import words
from editlab.web.monitor.handlers import LIMITS, MonitorHandlers
from editlab.web.monitor.table import LOCAL, LOOKS

MIRRORED = {"message": "monitor-message", "progress": "monitor-progress"}
"""What stands on the Edit tab stands here too."""
CURVES = (
    "After every change all edits are asked again. Each point is one such check-up; a cross is one beyond the limit, the "
    "broken line. Point at one to see which change it followed."
)
RETENTION = (
    "Each edit is asked three questions: its own, and two that say it otherwise. A row is an edit, a column a check-up; red "
    "is an edit that no longer holds at any of them, empty where it did not lie over the model."
)
LIMITS_SAID = "A figure beyond its limit is an alarm. The limits belong to this workspace; changing one is an event of it."
SERVICE = "What the model’s one worker does for everybody, and how long people wait for it. It counts from each start anew."


def create_monitor_tab(tab: gr.Tab, lab: Lab, others: Parts, edit: Handlers) -> Parts:
    """Build the tab inside `tab` and wire it; it keeps the Edit tab's parts (`others`, drawn by `edit`) up to date."""
    parts = Parts(others)
    with gr.Column(elem_id="monitor"):
        parts.add_html("monitor-verdict", script=LOCAL)
        parts.add_html("monitor-now", script=LOOKS)
        with gr.Row(elem_classes="key-row"):
            parts.add(gr.Button, "monitor-again", "Ask everything again now", size="sm", scale=0, min_width=210)
        parts.add_html("monitor-progress")
        parts.add_html("monitor-message", script=LIVE)
        with section("How did it come to this?", CURVES), gr.Column(elem_id="monitor-panels"):
            for name in words.PANELS:
                with gr.Column(elem_classes="curve", min_width=0):
                    parts.add_html(f"monitor-{name}")
                    parts.add(gr.Plot, f"monitor-{name}-plot", show_label=False, elem_classes="key-plot")
        with section("Which edits still hold?", RETENTION):
            parts.add(gr.Plot, "monitor-retention-plot", show_label=False, elem_classes="key-plot")
            parts.add_html("monitor-retention-table", script=LOCAL)
            with gr.Row(elem_classes="key-row"):
                parts.add(gr.Button, "monitor-files", "Check-ups as CSV files", size="sm", scale=0, min_width=190)
            parts.add_html("monitor-files-said", script=LIVE)
        with section("From where on is it an alarm?", LIMITS_SAID):
            with gr.Row(elem_id="monitor-limits", equal_height=False):
                for name in LIMITS:
                    own = words.PANELS[name]
                    unit = ", %" if name in LEAST else ""
                    most = 100 if name in LEAST else None
                    label = f"{own.limit}{unit}"
                    parts.add(gr.Number, f"monitor-limit-{name}", label=label, minimum=0, maximum=most, min_width=220)
            with gr.Row(elem_classes="key-row"):
                parts.add(gr.Button, "monitor-save", "Save the limits", size="sm", scale=0, min_width=140)
        with section("How does the service do?", SERVICE):
            parts.add_html("monitor-service", script=LOCAL)
            parts.add_html("monitor-jobs")
            parts.add_html("monitor-operations")
            gr.HTML(_addresses(lab), apply_default_css=False)
    _wire(tab, lab, parts, edit)
    return parts


def _addresses(lab: Lab) -> str:
    """Where others look from outside."""
    found = {"health": "whether it runs", "ready": "whether it can serve"}
    if lab.settings.auth is not None or not lab.settings.demo:
        found["metrics"] = "all these figures, for Prometheus"
    links = (Markup('<a href="{}" target="_blank">/{}</a> ({})').format(name, name, said) for name, said in found.items())
    return Markup('<p class="hint">From outside: {}.</p>').format(Markup(", ").join(links))


def _wire(tab: gr.Tab, lab: Lab, parts: Parts, edit: Handlers) -> None:
    handlers = MonitorHandlers(lab, edit)
    own = parts.named("own-rephrases", "own-neighbours")
    parts.mirrors = MIRRORED
    listen = partial(on, parts)

    listen(tab.select, handlers.monitor_open, [])
    listen(parts["monitor-now"].select, handlers.monitor_look, [])
    listen(parts["monitor-verdict"].select, handlers.monitor_return, own)
    listen(parts["monitor-again"].click, handlers.monitor_again, [])
    listen(parts["monitor-save"].click, handlers.monitor_limits, parts.named(*(f"monitor-limit-{name}" for name in LIMITS)))
    listen(parts["monitor-files"].click, handlers.monitor_files, [])
