"""The components of a tab by name. A name is the component's `elem_id`, which handlers, tests and the style sheet use.

    parts = Parts(others.shared())
    parts.text("keys-question", Question, label="Question")
    parts.button("keys-discuss", "Ask")
    parts.html("keys-discussion", scripts=["live"])

A component takes its bounds and its choices from the type that its handlers demand (see `inputs`): they are written once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import gradio as gr
from gradio.components import Component

from editlab.web.core.html import joined, pieces, script
from editlab.web.core.inputs import Buttons, Choices, FileButton, Moments, shape_of
from editlab.web.core.language import gettext as _
from editlab.web.core.updates import SHARED


class Parts(dict[str, Component]):
    """Components by name, in the order in which they were made. A tab's handlers may update those of its `Parts` alone.

    A name may stand for a component of another name: with `parts["message"] = parts["keys-message"]` every message of the
    tab stands there. `mirrors` names a second place: `{"message": "monitor-message"}` shows a message at both.
    """

    def __init__(self, others: Mapping[str, Component] | None = None) -> None:
        super().__init__(others or {})
        self.mirrors: dict[str, str] = {}

    def shared(self) -> Self:
        """Return the components that every tab keeps up to date."""
        return type(self)({name: self[name] for name in SHARED})

    def add(self, kind: type[Component], name: str, *args: Any, **options: Any) -> Any:
        """Make a component here and now."""
        self[name] = kind(*args, elem_id=name, **options)
        return self[name]

    def text(self, name: str, kind: Any, **options: Any) -> gr.Textbox:
        """Make a field for a text; one line, unless `lines` and `max_lines` say otherwise."""
        options = {"lines": 1, "max_lines": 1, "value": "", **options}
        return self.add(gr.Textbox, name, max_length=shape_of(kind).longest, **options)

    def number(self, name: str, kind: Any, **options: Any) -> gr.Number:
        """Make a field for a number. Where the visitor empties it, its type is `| None`, or the call is refused."""
        return self.add(gr.Number, name, **_bounds(kind), **options)

    def slider(self, name: str, kind: Any, **options: Any) -> gr.Slider:
        """Make a slider."""
        bounds = {name: value for name, value in _bounds(kind).items() if name != "precision"}
        return self.add(gr.Slider, name, **bounds, **options)

    def radio(self, name: str, kind: Any, titles: Mapping[str, str] | None = None, **options: Any) -> gr.Radio:
        """Make a row of radio buttons. `titles`: of the choices, in the order in which they are shown."""
        return self.add(gr.Radio, name, choices=_choices(kind, titles), **options)

    def dropdown(self, name: str, kind: Any, titles: Mapping[str, str] | None = None, **options: Any) -> gr.Dropdown:
        """Make a list to choose from. `titles`: of the choices, in the order in which they are shown."""
        return self.add(gr.Dropdown, name, choices=_choices(kind, titles), **options)

    def checkbox(self, name: str, **options: Any) -> gr.Checkbox:
        """Make a box to tick."""
        return self.add(gr.Checkbox, name, **{"value": False, **options})

    def late_dropdown(self, name: str, choices: Sequence[tuple[str, Any]], **options: Any) -> Choices:
        """Make a list whose choices a handler changes later; the type of its handlers says what is accepted."""
        return self.add(Choices, name, choices=list(choices), **options)

    def late_radio(self, name: str, choices: Sequence[tuple[str, str]], **options: Any) -> Buttons:
        """Make radio buttons whose choices a handler changes later; the type of its handlers says what is accepted."""
        return self.add(Buttons, name, choices=list(choices), **options)

    def late_slider(self, name: str, **options: Any) -> Moments:
        """Make a slider whose range a handler changes later; the type of its handlers says what is accepted."""
        return self.add(Moments, name, **options)

    def upload(self, name: str, label: str, endings: Sequence[str], **options: Any) -> FileButton:
        """Make a button that uploads a file of one of these endings; its handler's parameter is an `Upload`."""
        return self.add(FileButton, name, label, file_types=list(endings), **{"size": "sm", "scale": 0, **options})

    def button(self, name: str, label: str, **options: Any) -> gr.Button:
        """Make a small button, as wide as its label needs."""
        return self.add(gr.Button, name, label, **{"size": "sm", "scale": 0, **options})

    def stop_button(self, name: str, **options: Any) -> gr.Button:
        """Make the button that stops what runs; it is on while something does."""
        return self.button(name, _("Stop"), variant="stop", interactive=False, min_width=80, **options)

    def html(self, name: str, value: str = "", scripts: Sequence[str] = (), **options: Any) -> gr.HTML:
        """Make a part that we write and `style.css` styles, without Gradio's style for prose. `scripts`: of `scripts/`."""
        code = "".join(map(script, scripts)) or None
        return self.add(gr.HTML, name, value, apply_default_css=False, js_on_load=code, **options)

    def plot(self, name: str, **options: Any) -> gr.Plot:
        """Make a place for a figure, with buttons that save it. It takes no room until there is one."""
        plot = self.add(gr.Plot, name, show_label=False, elem_classes="key-plot", **options)
        gr.HTML(pieces.saves(name), elem_classes="plot-saves", apply_default_css=False)
        return plot

    @contextmanager
    def above(self, tab: str) -> Iterator[None]:
        """Make the row above a tab: its message, its progress, and the buttons that the `with` block makes."""
        with gr.Row(elem_classes="above", equal_height=False):
            self["message"] = self.html(f"{tab}-message", scripts=["live"])
            self["progress"] = self.html(f"{tab}-progress")
            yield

    def lead(self, tab: str) -> None:
        """Make the place of the picture that matters most on a tab, and of what it shows; its sentence is made before."""
        self.plot(f"{tab}-lead-plot")
        self.html(f"{tab}-lead-about")

    def fold(self, name: str, title: str) -> gr.Accordion:
        """Make a part of a tab that is folded at first; fill it in a `with` block. `folded` titles it by what was found.

        What is folded is not drawn by the browser before it is opened.
        """
        self[f"{name}-fold"] = gr.Accordion(title, open=False, elem_id=f"{name}-fold", elem_classes="folded")
        return self[f"{name}-fold"]

    def named(self, *names: str) -> list[Component]:
        """Return these components."""
        return [self[name] for name in names]


def folded(title: str, finding: str = "") -> dict[str, Any]:
    """Return a fold with its title, and what was found in it as soon as that is known."""
    return gr.update(label=f"{title}: {joined(finding)}" if finding else title)


def _bounds(kind: Any) -> dict[str, Any]:
    shape = shape_of(kind)
    whole = {"precision": 0} if shape.kind == "integer" else {}
    return {"minimum": shape.least, "maximum": shape.most, **whole}


def _choices(kind: Any, titles: Mapping[str, str] | None) -> list[tuple[str, str]]:
    """Return (title, choice) of all choices of a type. Titles are translated; a choice without one stands for itself.

    Raises `TypeError` where the titles are of other choices.
    """
    choices = shape_of(kind).choices or ()
    if titles is None:
        return [(choice, choice) for choice in choices]
    if set(titles) != set(choices):
        raise TypeError(f"The titles {', '.join(titles)} are not those of the choices {', '.join(choices)}.")
    return [(_(title), choice) for choice, title in titles.items()]
