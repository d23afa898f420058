"""A model's answer as the page shows it: in a few words, and as the likeliest tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from editlab.facts import EditRequest
from editlab.facts.script import CLAUSE_END, bare
from editlab.web.core.html import pieces
from editlab.web.core.language import gettext as _
from editlab.web.core.language import noop
from editlab.web.core.names import token_name
from editlab.web.core.wording import percent, shorten

Answer = Mapping[str, Any]
"""One view's answer, as `probes.summary` returns it: `top`, `text`, `p_new`, `p_true`."""
Answers = Mapping[str, Answer]
"""The answers of several views, by view."""

LONGEST_HEADLINE = 48
ROWS = 5
"""Tokens that are shown of an answer."""


def headline(answer: Answer) -> str:
    """Return an answer in a few words; before the first of them is written, its likeliest token."""
    text = answer.get("text") or ""
    if text.strip():
        return first_clause(text)
    return first_clause(token_name(answer["top"][0][0])) if answer.get("top") else "…"


def first_clause(text: str) -> str:
    """Return a continuation up to the end of its first clause, short enough for a large font."""
    text = text.strip()
    clause = CLAUSE_END.split(text, maxsplit=1)[0].strip() or text
    return shorten(clause, LONGEST_HEADLINE) or _("(nothing)")


def object_of(request: EditRequest | None, token: str) -> str:
    """Return "new" or "true" where a token begins that object of a request, else an empty text."""
    objects = ((noop("new"), request.target_new), (noop("true"), request.target_true)) if request else ()
    token = token.strip()
    return next((which for which, name in objects if token and name is not None and bare(name).startswith(token)), "")


def tokens(request: EditRequest | None, top: Sequence[Sequence[Any]]) -> list[dict[str, str]]:
    """Return each of the likeliest tokens with its probability, and the object of the request that it begins."""
    return [
        {"text": token_name(token), "object": object_of(request, token), "width": f"{100 * p:.2f}", "p": percent(p)}
        for token, p in top
    ]


def bars(request: EditRequest | None, top: Sequence[Sequence[Any]], rows: int = ROWS) -> Markup:
    """Return the likeliest tokens as bars, always as high as `rows`."""
    shown = tokens(request, top)
    empty = {"text": "", "object": "", "width": "0", "p": ""}
    return pieces.bars(shown + [empty] * (rows - len(shown)))
