"""Shared pieces of the page as Python calls them: messages, progress, bars of tokens. The HTML is that of `pieces.html`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from editlab.facts import EditRequest
from editlab.web.core.html import pieces
from editlab.web.core.names import VIEW_TITLES as VIEW_TITLES  # until all tabs are converted
from editlab.web.core.names import token_name
from editlab.web.core.names import view_title as view_title  # until all tabs are converted
from editlab.wording import percent, shorten

CLAUSE_END = re.compile(r"[,;:\n]|(?<!\b[A-Z])\.(?:\s|$)")
LONGEST_HEADLINE = 48
LONGEST_TITLE = 200


def headline(text: str) -> str:
    """Return a continuation up to the end of its first clause, short enough for a large font."""
    text = text.strip()
    clause = CLAUSE_END.split(text, maxsplit=1)[0].strip() or text
    return shorten(clause, LONGEST_HEADLINE) or "(nothing)"


def which(request: EditRequest | None, token: str) -> str:
    """Return "new" or "old" where a token begins that object, else an empty text."""
    objects = (("new", request.target_new), ("old", request.target_true)) if request else ()
    token = token.strip()
    return next((word for word, name in objects if token and name is not None and name.startswith(token)), "")


def bars(request: EditRequest | None, top: Sequence[Sequence[Any]], rows: int = 5) -> Markup:
    """Return the likeliest tokens as bars, always as high as `rows`."""
    tokens = [
        {"text": token_name(token), "object": which(request, token), "width": f"{100 * p:.2f}", "p": percent(p)}
        for token, p in top
    ]
    empty = {"text": "", "object": "", "width": "0", "p": ""}
    return pieces.bars(tokens + [empty] * (rows - len(tokens)))


def chips(tokens: Sequence[str], count: str = "") -> Markup:
    """A text as the model's tokenizer cuts it; `count` names what is counted: "target"."""
    cut = Markup("").join(Markup("<li>{}</li>").format(token) for token in tokens)
    total = f"{len(tokens)} {count} token{'' if len(tokens) == 1 else 's'}" if count and tokens else ""
    return Markup('<ol class="chips" aria-label="Tokens">{}</ol><span class="count">{}</span>').format(cut, total)


def message(text: str, tone: str = "note") -> Markup:
    """Return a sentence as a paragraph of a class: note, problem, hint, finding."""
    return pieces.message(text, tone)


def progress(text: str, fraction: float, left: float | None = None) -> Markup:
    """Return a job's step with its progress bar and, where it is known, the time left in seconds."""
    return pieces.progress(
        text, fraction, "" if left is None else f"about {left:.0f} s left" if left >= 1 else "almost done"
    )


visible, shortened = token_name, shorten  # until all tabs are converted


def say(text: str) -> str:
    """The presenter's sentence."""
    return Markup('<p class="say">{}</p>').format(text)


def questions(asked: Mapping[str, str]) -> str:
    """An edit's question said otherwise, as buttons that ask it: `Workspace.questions` says what each is called."""
    button = Markup('<button type="button" data-press="ask" data-text="{}" title="{}">{} …</button>')
    buttons = Markup("").join(
        button.format(text, shorten(text, LONGEST_TITLE), shorten(name, LONGEST_HEADLINE)) for name, text in asked.items()
    )
    label = Markup('<span class="hint">Say it otherwise:</span>') if asked else ""
    return Markup('<div class="suggestions" role="group" aria-label="The same question, said otherwise">{}{}</div>').format(
        label, buttons
    )


def suggestions(objects: Sequence[str]) -> str:
    """Other objects as buttons that fill the field."""
    button = Markup('<button type="button" data-press="object" data-object="{}">{}</button>')
    group = Markup('<div class="suggestions" role="group" aria-label="Suggestions for the new object">{}</div>')
    return group.format(Markup("").join(button.format(name, name) for name in objects))
