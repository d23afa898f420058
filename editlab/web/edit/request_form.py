"""The request on the Edit tab: in one line with its buttons, the form that the line opens, a file, and the list of edits."""

from __future__ import annotations

import gradio as gr
from markupsafe import Markup

from editlab.facts.script import Space
from editlab.lab import BATCH, OFF, Example, Lab, MethodInfo
from editlab.web.core.components import Parts
from editlab.web.core.forms import Recipe
from editlab.web.core.html import pieces, render
from editlab.web.core.inputs import Object, Prompt, Reason, Subject, Switch
from editlab.web.core.language import gettext as _
from editlab.web.core.language import noop
from editlab.web.core.method_choice import add_method_choice
from editlab.web.core.names import VIEW_TITLES, view_title
from editlab.web.core.terms import SETTINGS
from editlab.web.edit import edit_list, file_handlers, request_line
from editlab.web.edit.file_handlers import BatchSize

SPACES = {"script": noop("By script"), "yes": noop("Yes"), "no": noop("No")}
SWITCH = {"off": noop("Off"), "on": noop("On")}
RECIPES = {OFF: noop("Off"), "default": noop("On"), "published": noop("As published")}
FILES = (".csv", ".tsv", ".txt", ".json", ".jsonl")
METHOD_INFO = noop("MEMIT solves a batch at once. The settings are those of the form.")
FILE_METHOD = "memit"
"""The method of a file of edits, as in the terminal: MEMIT solves a batch at once."""


def create_examples(parts: Parts, examples: tuple[Example, ...]) -> None:
    """Make the row of examples: cards that are still a radio group."""
    parts.late_radio("preset", [(_(example.title), example.name) for example in examples], label=_("Example"))


def create_bar(parts: Parts) -> None:
    """Make the request in one line, which opens the form and the list of edits, and the buttons that act on it."""
    with gr.Row(elem_id="bar", equal_height=False):
        parts.html("line", request_line.line(), scripts=["fold"])
        with gr.Row(elem_id="main-buttons"):
            parts.add(gr.Button, "apply", _("Apply edit"), variant="primary", scale=0, min_width=130)
            parts.add(gr.Button, "stop", _("Stop"), variant="stop", interactive=False, scale=0, min_width=70)
            parts.add(gr.Button, "undo", _("Undo"), interactive=False, scale=0, min_width=64)
            parts.add(gr.Button, "redo", _("Redo"), interactive=False, scale=0, min_width=64)
    with gr.Row(elem_id="status", equal_height=False):
        parts.html("message", pieces.message(_("Opening the page …")))
        parts.html("progress")
        parts.add(gr.Button, "hurry", _("Edit now without statistics"), visible=False, size="sm", scale=0, min_width=210)
        parts.html("where")
        parts.add(gr.Button, "catch-up", _("Show the edits as they are now"), elem_classes="pressed-by-script")


def create_request_form(parts: Parts, lab: Lab) -> None:
    """Make the form that the line opens: the fact, its objects, and the method with its settings."""
    with gr.Row(elem_id="fields", equal_height=False):
        with gr.Column(min_width=260, elem_classes="stack"):
            _create_field(parts, "subject", Subject, _("Subject"))
            _create_field(parts, "prompt", Prompt, _("Prompt, with {} for the subject"), max_lines=4)
        with gr.Column(min_width=260, elem_classes="stack"):
            with gr.Row(elem_id="objects-row", equal_height=False):
                with gr.Column(min_width=120, elem_classes="stack"):
                    _create_field(parts, "target-true", Object, _("Original answer, if known"))
                with gr.Column(min_width=120, elem_classes="stack"):
                    _create_field(parts, "target-new", Object, _("New answer"))
            parts.html("typed", elem_classes="at")
            parts.html("suggestions", render("edit/suggestions.html", objects=()), scripts=["pressed"])
        with gr.Column(min_width=260, elem_classes="stack"):
            _create_methods(parts, lab.methods())


def create_file_form(parts: Parts, lab: Lab) -> None:
    """Make the button for a file of edits, what is said about it, and the button that applies it."""
    with gr.Accordion(_("Edits from a file"), open=False, elem_id="many"):
        parts.upload("many-file", _("Choose a file …"), FILES, scale=None)
        parts.html("many-said", file_handlers.hint())
        parts.checkbox("many-take", label=_("Edit what is proposed"), visible=False)
        parts.checkbox("many-skip", label=_("Skip invalid rows"), visible=False)
        label = _("Method of the file")
        add_method_choice(parts, "many-method", lab.methods(), label, value=FILE_METHOD, info=_(METHOD_INFO))
        info = _("Edits that are computed together. Undo removes the last batch.")
        parts.number("many-batch", BatchSize, label=_("Batch size"), info=info, value=BATCH)
        parts.add(gr.Button, "many-apply", _("Apply"), interactive=False)


def create_edit_list(parts: Parts) -> None:
    """Make the list of edits, and how the latest of them was made."""
    title = _("Edits")
    gr.HTML(f"<h2>{title}</h2>", elem_id="edits-title", apply_default_css=False)
    parts.html("edits", edit_list.edits(()), scripts=["pressed", "kept"])
    with gr.Row(elem_id="more-buttons"):
        parts.add(gr.Button, "remake", _("Recompute all"), interactive=False, size="sm", min_width=100)
    with gr.Accordion(_("Health of the latest edit"), open=False, elem_id="health-panel"):
        parts.html("health", edit_list.health(None))


def create_switches(parts: Parts) -> None:
    """Make the switches that each add a column to the answers, and which columns are shown."""
    with gr.Row(elem_id="switches", equal_height=False):
        parts.radio("rep", Recipe, RECIPES, label="REP", value=OFF, elem_classes="switch")
        parts.radio("mask", Switch, SWITCH, label=_("Reversal mask"), value="off", elem_classes="switch")
        parts.radio("guard", Switch, SWITCH, label=_("Guard"), value="off", elem_classes="switch")
        views = [(_("Side by side"), "all"), *((view_title(view), view) for view in VIEW_TITLES)]
        parts.add(gr.Radio, "view", label=_("View"), choices=views, value="all", interactive=True, elem_classes="switch")
    parts.html("mask-said")
    parts.add(gr.Button, "train-mask", _("Train a mask"), visible=False, size="sm", scale=0)


def _create_field(parts: Parts, name: str, kind: type, label: str, max_lines: int = 1) -> None:
    """Make a text field and the line under it, for its tokens or for what is wrong with it."""
    parts.text(name, kind, label=label, max_lines=max_lines)
    parts.html(f"at-{name}", elem_classes="at")


def settings_of(method: MethodInfo) -> Markup:
    """Return the fields of a method's settings, with the loaded model's values."""
    return render("edit/settings.html", method=method, terms=SETTINGS)


def _create_methods(parts: Parts, methods: tuple[MethodInfo, ...]) -> None:
    add_method_choice(parts, "method", methods, _("Method"), about=True)
    with gr.Column(elem_id="extras"):
        with gr.Accordion(_("Advanced settings"), open=False, elem_id="advanced"):
            info = _("By script: none after 是 or は, nor after an opening quote; the tokens of the new object show it.")
            parts.radio("space", Space, SPACES, label=_("Space before the object"), info=info, value="script")
            parts.html("settings", scripts=["settings"], html_template="${fields}", fields="")
        parts.text("why", Reason, label=_("Reason"), placeholder=_("Why this edit is made; kept in the history"))
