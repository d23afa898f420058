"""The Monitor tab: the state of all edits over time, since when they fail, the way back; and the state of the service."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import gradio as gr

from editlab.lab import Lab
from editlab.lab.workspaces.alarms import LOWER_LIMITS
from editlab.web.core.components import Parts
from editlab.web.core.display import EditDisplay
from editlab.web.core.html import pieces, render
from editlab.web.core.language import gettext as _
from editlab.web.core.wiring import on
from editlab.web.monitor import words
from editlab.web.monitor.handlers import LIMITS, LimitFields, MonitorHandlers
from editlab.web.monitor.panels import PANELS
from editlab.web.monitor.words import TITLES

MIRRORS = {"message": "monitor-message", "progress": "monitor-progress"}
"""Parts of the Edit tab that a return shows here as well."""


def create_monitor_tab(tab: gr.Tab, lab: Lab, others: Parts, display: EditDisplay) -> Parts:
    """Build the tab inside `tab` and wire it. `others`: the parts of the Edit tab, which `display` draws after a return."""
    parts = others.shared()
    parts["stop"] = others["stop"]
    with gr.Column(elem_id="monitor"):
        parts.html("monitor-verdict", scripts=["live", "local_time", "pressed"])
        with parts.above("monitor"):
            parts.html("monitor-now", scripts=["poll"])
            parts.button("monitor-again", _("Run a check-up now"), min_width=180)
        with gr.Row(elem_classes="overview", equal_height=False):
            with gr.Column(min_width=0):
                parts.html("monitor-lead", elem_classes="curve")
                parts.lead("monitor")
            with gr.Column(min_width=0):
                for name, create in SECTIONS.items():
                    with parts.fold(f"monitor-{name}", _(TITLES[name])):
                        create(parts, lab)
    _wire(tab, MonitorHandlers(lab, display), parts, others)
    return parts


def _create_metrics(parts: Parts, lab: Lab) -> None:
    gr.HTML(pieces.about(_(words.TREND)), apply_default_css=False)
    with gr.Column(elem_id="monitor-panels"):
        for name in PANELS:
            with gr.Column(elem_classes="curve", min_width=0):
                parts.html(f"monitor-{name}")
                parts.plot(f"monitor-{name}-plot")


def _create_retention(parts: Parts, lab: Lab) -> None:
    parts.plot("monitor-retention-plot")
    gr.HTML(pieces.about(_(words.RETENTION)), apply_default_css=False)
    parts.html("monitor-retention-table", scripts=["local_time"])
    with gr.Row(elem_classes="key-row"):
        parts.button("monitor-files", _("Export check-ups (CSV)"), min_width=190)
    parts.html("monitor-files-said", scripts=["live"])


def _create_limits(parts: Parts, lab: Lab) -> None:
    gr.HTML(pieces.message(_(words.LIMITS), "hint"), apply_default_css=False)
    with gr.Row(elem_id="monitor-limits", equal_height=False):
        for name in LIMITS:
            label = f"{_(PANELS[name].limit)}{', %' if name in LOWER_LIMITS else ''}"
            kind = LimitFields.model_fields[name].annotation
            parts.number(f"monitor-limit-{name}", kind, label=label, min_width=220)
    with gr.Row(elem_classes="key-row"):
        parts.button("monitor-save", _("Save limits"), min_width=140)


def _create_service(parts: Parts, lab: Lab) -> None:
    parts.html("monitor-service", scripts=["local_time"])
    parts.html("monitor-jobs")
    parts.html("monitor-operations")
    gr.HTML(render("monitor/endpoints.html", endpoints=endpoints(lab)), apply_default_css=False)


SECTIONS: dict[str, Callable[[Parts, Lab], None]] = {
    "metrics": _create_metrics,
    "retention": _create_retention,
    "limits": _create_limits,
    "service": _create_service,
}
"""What is folded, in its order on the page."""


def endpoints(lab: Lab) -> dict[str, str]:
    """Return the addresses at which other programs watch the service, with their meanings."""
    meanings = {"health": _("does it run"), "ready": _("is it ready")}
    if lab.settings.auth is not None or not lab.settings.demo:
        meanings["metrics"] = _("all metrics, for Prometheus")
    return meanings


def _wire(tab: gr.Tab, handlers: MonitorHandlers, parts: Parts, others: Parts) -> None:
    wire = partial(on, parts)
    wire(tab.select, handlers.monitor_open)
    wire(parts["monitor-now"].select, handlers.monitor_look)
    wire(parts["monitor-again"].click, handlers.monitor_again)
    wire(parts["monitor-save"].click, handlers.monitor_limits)
    wire(parts["monitor-files"].click, handlers.monitor_files)
    both = Parts({**parts, **others})
    both.mirrors = MIRRORS
    on(both, parts["monitor-verdict"].select, handlers.monitor_return)
