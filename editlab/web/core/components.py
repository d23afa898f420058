"""The components of a tab by name: their `elem_id`, which handlers, tests and the style sheet use as well."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.components import Component

PRESSED = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-press]");
  if (button) trigger("select", { ...button.dataset });
});
"""
"""Tells Python which button inside a part was pressed: its `data-` attributes are the event's fields."""


class Parts(dict[str, Component]):
    """Components by name, in the order in which they were made."""

    def add(self, kind: type[Component], name: str, *args: Any, takes: Any = None, **options: Any) -> Any:
        """Make a component here and now, called `name`; `takes`: the type of its value, where its choices do not tell."""
        self[name] = kind(*args, elem_id=name, **options)
        if takes is not None:
            self[name].takes = takes
        return self[name]

    def add_html(self, name: str, value: str = "", script: str | None = None, **options: Any) -> Any:
        """A part of the page that we write and `style.css` styles, without Gradio's own style for prose."""
        return self.add(gr.HTML, name, value, apply_default_css=False, js_on_load=script, **options)

    def named(self, *names: str) -> list[Component]:
        """These components."""
        return [self[name] for name in names]


def section(title: str, lead: str) -> gr.Column:
    """A part of a tab under a title, with a sentence on what it is for; to be filled in a `with` block."""
    column = gr.Column(elem_classes="key-section")
    with column:
        gr.HTML(f"<h2>{title}</h2><p>{lead}</p>", apply_default_css=False)
    return column
