"""The answers of all views: at the prompt of a request, side by side, and to a live question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from markupsafe import Markup
from pandas import DataFrame

from editlab.facts import EditRequest
from editlab.lab import CONTROL
from editlab.web.core.answers import Answer, Answers, bars, headline, tokens
from editlab.web.core.html import render
from editlab.web.core.language import gettext as _
from editlab.web.edit import gate, words

LONG_ANSWER = 16
"""Characters from which an answer is set smaller, so that no column grows."""
LEAST_LONGEST = 8
"""Characters of the longest word to which the answers' size is fitted, at least, so that no word is broken."""
PLACES, GUARDED_PLACES = ("base", "edited"), ("base", "guarded")
"""Views that have a column from the beginning; another one has it only once it has an answer."""
LIVE_TOKENS = 3
"""Likeliest tokens of a live answer."""
LONGEST_QUESTION = 160
"""Characters of a live question that stand before each answer; of a longer one its end."""


class Column(NamedTuple):
    """A view's answer at the prompt of a request. `state`: what the edit made of it, "" where there is nothing to say."""

    view: str
    state: str
    note: str
    answer: str
    bars: Markup
    objects: Sequence[tuple[str, str, float | None]]
    text: str


def at_prompt(request: EditRequest, answers: Answers, waiting: bool = False, places: Sequence[str] = PLACES) -> Markup:
    """Return the prompt and a column for each view. `answers`: whole, or as far as they are written.

    The columns of `places` are there from the beginning: before an edit with a hint, or empty while one is computed. Views
    that only check the others stand below them, in one line each.
    """
    controls = controls_of(answers)
    shown = {view: headline(answer) for view, answer in answers.items() if view not in controls}
    before, after = request.prompt.partition("{}")[::2]
    return render(
        "edit/answers.html",
        before=before,
        subject=request.subject,
        after=after,
        longest=max([LEAST_LONGEST, *(len(word) for answer in shown.values() for word in answer.split())]),
        columns=[_column(view, request, answers[view], _state(view, shown)) for view in shown],
        missing=[(view, waiting or view == "base") for view in places if view not in answers],
        controls=[_column(view, request, answers[view], "control") for view in controls],
        no_bars=bars(None, ()),
        hint=_(words.NO_EDIT),
        long_answer=LONG_ANSWER,
    )


def controls_of(answers: Answers) -> tuple[str, ...]:
    """Return the views that only check the others: the mask alone; under the guard, the edit without it."""
    return tuple(view for view in answers if view == CONTROL or ("guarded" in answers and view in ("edited", "rep")))


def _state(view: str, shown: dict[str, str]) -> str:
    """Return what became of a view's answer: the base model's may be replaced, another view's changed or unchanged."""
    base = shown.get("base")
    if view == "base":
        return "replaced" if any(answer != base for answer in shown.values()) else ""
    return "changed" if shown[view] != base else "unchanged"


def _column(view: str, request: EditRequest, answer: Answer, state: str) -> Column:
    objects = (("new", request.target_new, "p_new"), ("true", request.target_true, "p_true"))
    return Column(
        view,
        state,
        words.note(view, state),
        headline(answer),
        bars(request, answer.get("top") or ()),
        [(which, name, answer.get(key)) for which, name, key in objects if name is not None],
        (answer.get("text") or "").strip(),
    )


def live(text: str, answers: Answers, request: EditRequest | None = None, gates: DataFrame | None = None) -> Markup:
    """Return a column for each view: the likeliest tokens after a text, and how the view continues it so far.

    `gates`: the rows of `probes.gates` for the text, where a view has REP.
    """
    texts = [answer["text"].strip() for answer in answers.values()]
    columns: list[dict[str, Any]] = [
        {"view": view, "text": answer["text"].strip(), "tokens": tokens(request, answer["top"][:LIVE_TOKENS])}
        for view, answer in answers.items()
    ]
    return render(
        "edit/live.html",
        question=text if len(text) <= LONGEST_QUESTION else f"… {text[-LONGEST_QUESTION:].partition(' ')[2]}",
        columns=columns,
        note=_(words.SAME_ANSWER) if len(texts) > 1 and len(set(texts)) == 1 and texts[0] else "",
        gates="" if gates is None else gate.tokens(gates, _("Gate at each token of the question")),
    )
