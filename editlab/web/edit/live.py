"""Live answers: any text, continued by all views while somebody types it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup
from pandas import DataFrame

from editlab.facts import EditRequest
from editlab.web.core import render
from editlab.web.edit import gate_panel

HINT = "Type anything: every model here answers as you type."
SHOWN = 3
"""Likeliest tokens of a live answer."""
LONGEST = 160
"""Characters of a question that stand before each answer; of a longer one its end."""


def answers(
    text: str, said: Mapping[str, Mapping[str, Any]], request: EditRequest | None = None, gates: DataFrame | None = None
) -> str:
    """One column a view: the likeliest tokens and what it has written so far. `said` as `Workspace.live` gives it.

    With `gates`, as `Workspace.gates` gives them, the gate at every token stands below.
    """
    columns = Markup("").join(_column(view, text, own, request) for view, own in said.items())
    texts = [own["text"] for own in said.values()]
    same = len(texts) > 1 and len(set(texts)) == 1 and bool(texts[0].strip())
    note = "All models continue it in the same way." if same else ""
    chips = "" if gates is None else gate_panel.tokens(gates, "Gate at each token of the question")
    return Markup('<div class="columns">{}</div><p class="hint">{}</p>{}').format(columns, note, chips)


def empty() -> str:
    """The place where live answers will stand."""
    return Markup('<p class="hint start">{}</p>').format(HINT)


def _end(text: str) -> str:
    return text if len(text) <= LONGEST else f"… {text[-LONGEST:].partition(' ')[2]}"


def _column(view: str, text: str, said: Mapping[str, Any], request: EditRequest | None) -> Markup:
    tops = Markup("").join(
        Markup("<li{}><b>{}</b> {}</li>").format(
            Markup(' class="{}"').format(word) if (word := render.which(request, token)) else "",
            render.visible(token),
            render.percent(p),
        )
        for token, p in said["top"][:SHOWN]
    )
    return Markup(
        '<section class="answer {}" aria-label="{}"><h3>{}</h3><p class="text"><span>{}</span> {}</p>'
        '<ol class="tops">{}</ol></section>'
    ).format(view, f"{render.view_title(view)}, live", render.view_title(view), _end(text), said["text"].strip(), tops)
