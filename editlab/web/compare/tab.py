"""The Compare tab: one fact, several methods, the same questions to all; a picture, a table, the answers side by side."""

from __future__ import annotations

from functools import partial

import gradio as gr

from editlab.lab import GROUPS, Lab, MethodInfo
from editlab.web.compare import words
from editlab.web.compare.handlers import CompareHandlers
from editlab.web.core.components import Parts
from editlab.web.core.html import render
from editlab.web.core.language import gettext as _
from editlab.web.core.method_choice import BUTTONS
from editlab.web.core.wiring import on

FACT = ("subject", "prompt", "target-new", "target-true", "space", "method", "settings")
"""Parts of the Edit tab that the tab reads; "Use this one" chooses the method there."""


def create_compare_tab(tab: gr.Tab, lab: Lab, others: Parts) -> Parts:
    """Build the tab inside `tab` and wire it. `others`: the Edit tab's components, with the fact that is compared."""
    parts = others.shared()
    parts |= {name: others[name] for name in FACT}
    with gr.Column(elem_id="compare"):
        with parts.above("compare"):
            parts.button("compare-run", _("Compare"), variant="primary", min_width=130)
            parts["stop"] = parts.stop_button("compare-stop")
        parts.html("compare-fact", scripts=["live"])
        _create_choice(parts, lab.methods())
        parts.html("compare-lead", scripts=["live"])
        with gr.Column(min_width=0):
            parts.lead("compare")
        parts.html("compare-table", scripts=["sorted", "pressed"])
        with parts.fold("compare-answers", _(words.SIDE_BY_SIDE)):
            parts.html("compare-answers")
        with gr.Row(elem_classes="key-row"):
            parts.button("compare-files", _("Export as CSV"), visible=False, min_width=150)
        parts.html("compare-files-said", scripts=["live"])
    _wire(tab, CompareHandlers(lab), parts)
    return parts


def usual(methods: tuple[MethodInfo, ...]) -> list[str]:
    """Return the methods that are ticked at first: those that a newcomer sees, and the first one of every other group."""
    first = {method.group: method.name for method in reversed(methods)}
    seen = [method.name for method in methods[:BUTTONS]]
    return [*seen, *(name for name in first.values() if name not in seen)]


def _create_choice(parts: Parts, methods: tuple[MethodInfo, ...]) -> None:
    groups = {title: [method for method in methods if method.group == group] for group, title in GROUPS.items()}
    chosen = usual(methods)
    html = render("compare/choice.html", groups={title: own for title, own in groups.items() if own}, chosen=chosen)
    parts.html("compare-methods", " ".join(chosen), scripts=["compared"], html_template="${choice}", choice=html)


def _wire(tab: gr.Tab, handlers: CompareHandlers, parts: Parts) -> None:
    wire = partial(on, parts)
    wire([tab.select, parts["target-new"].change], handlers.compare_open, trigger_mode="always_last")
    wire(parts["compare-run"].click, handlers.compare_run)
    wire(parts["compare-stop"].click, handlers.compare_stop, trigger_mode="multiple")
    wire(parts["compare-table"].select, handlers.compare_use)
    wire(parts["compare-files"].click, handlers.compare_files)
