"""The choice of a method, which several tabs have: the first methods as buttons, the others in a list of groups."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr
from markupsafe import Markup

from editlab.lab import GROUPS, MethodInfo
from editlab.web.core.components import Parts
from editlab.web.core.html import render

BUTTONS = 2
"""The methods, from the first on, that a newcomer sees as buttons."""


def add_method_choice(
    parts: Parts, name: str, methods: Sequence[MethodInfo], label: str, value: str = "", info: str = "", about: bool = False
) -> gr.HTML:
    """Make the choice of a method; its handlers take a `forms.Method`. `about`: say below it what the method does."""
    value = value or methods[0].name
    html = choice(name, methods, label, value, info, about)
    return parts.html(name, value, scripts=["method_choice"], html_template="${choice}", choice=html)


def choice(name: str, methods: Sequence[MethodInfo], label: str, value: str, info: str = "", about: bool = False) -> Markup:
    """Return the HTML of the choice. Groups come in the order of `GROUPS`, methods in theirs."""
    others = methods[BUTTONS:]
    groups = {title: [method for method in others if method.group == group] for group, title in GROUPS.items()}
    return render(
        "core/method_choice.html",
        name=name,
        label=label,
        info=info,
        value=value,
        buttons=methods[:BUTTONS],
        groups={title: group for title, group in groups.items() if group},
        told=methods if about else (),
    )
