"""The small pieces that every part of the page is set from: a token, a probability, bars, a sentence to the visitor.

Every text of a visitor or of the model goes through `Markup`, which escapes it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from editlab.facts import EditRequest

CLAUSE_END = re.compile(r"[,;:\n]|(?<!\b[A-Z])\.(?:\s|$)")
LONGEST_HEADLINE = 48
LONGEST_TITLE = 200
VIEW_TITLES = {
    "base": "Base model",
    "edited": "Edited model",
    "rep": "Edited + REP",
    "masked": "Edited + mask",
    "base_masked": "Mask alone",
    "guarded": "Edited under the guard",
}
"""What a view is called. One that is missing here is shown all the same, under its own name."""
TOLD = "Told in the prompt"
"""The view that is asked about linked facts alone."""


def view_title(view: str) -> str:
    """A view's name as a person says it."""
    return TOLD if view == "told" else VIEW_TITLES.get(view, view.capitalize())


def percent(p: float | None) -> str:
    """A probability as people read it; tiny ones say that they are."""
    if p is None or math.isnan(p):
        return "–"
    if p < 0.0001:
        return "< 0.01 %"
    return f"{100 * p:.0f} %" if p >= 0.0995 else f"{100 * p:.2g} %"


def headline(text: str) -> str:
    """A continuation up to the end of its first clause, short enough to be set large."""
    text = text.strip()
    clause = CLAUSE_END.split(text, maxsplit=1)[0].strip() or text
    return shortened(clause, LONGEST_HEADLINE) or "(nothing)"


def shortened(text: str, most: int) -> str:
    """A text cut at its end, with an ellipsis where something is missing."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def visible(token: str) -> str:
    """A token that can be seen even where it is white space."""
    return token.strip() or token.replace(" ", "␣").replace("\n", "↵") or "(empty)"


def which(request: EditRequest | None, token: str) -> str:
    """Whether a token begins the new or the old object; else nothing."""
    objects = (("new", request.target_new), ("old", request.target_true)) if request else ()
    token = token.strip()
    return next((word for word, name in objects if token and name is not None and name.startswith(token)), "")


def bars(request: EditRequest | None, top: Sequence[Sequence[Any]], rows: int = 5) -> Markup:
    """The likeliest tokens as bars; a token that begins the old or the new object says so. Always as high as `rows`."""
    found = [(which(request, token), visible(token), f"{100 * p:.2f}", percent(p)) for token, p in top]
    found += [("none", "", "0", "")] * (rows - len(found))
    items = Markup("").join(
        Markup(
            '<li class="{}"><span class="token">{}</span>'
            '<span class="bar" aria-hidden="true"><i style="width:{}%"></i></span>'
            '<span class="p">{}</span><span class="which">{}</span></li>'
        ).format(word, token, width, p, word if word != "none" else "")
        for word, token, width, p in found
    )
    return Markup('<ol class="bars" aria-label="Likeliest next tokens">{}</ol>').format(items)


def chips(tokens: Sequence[str], count: str = "") -> Markup:
    """A text as the model's tokenizer cuts it; `count` names what is counted: "target"."""
    cut = Markup("").join(Markup("<li>{}</li>").format(token) for token in tokens)
    total = f"{len(tokens)} {count} token{'' if len(tokens) == 1 else 's'}" if count and tokens else ""
    return Markup('<ol class="chips" aria-label="Tokens">{}</ol><span class="count">{}</span>').format(cut, total)


def message(text: str, tone: str = "note") -> str:
    """A sentence for the visitor: a `note` or a `problem`."""
    return Markup('<p class="{}">{}</p>').format(tone, text)


def progress(text: str, fraction: float, left: float | None = None) -> str:
    """Which step runs, how far it is, and the seconds that are left, where they can be told."""
    time = "" if left is None else f"about {left:.0f} s left" if left >= 1 else "almost done"
    return Markup(
        '<p><span>{}</span><span class="left">{}</span></p><progress max="1" value="{}" aria-label="Progress"></progress>'
    ).format(text, time, f"{fraction:.3f}")


def say(text: str) -> str:
    """The presenter's sentence."""
    return Markup('<p class="say">{}</p>').format(text)


def questions(asked: Mapping[str, str]) -> str:
    """An edit's question said otherwise, as buttons that ask it: `Workspace.questions` says what each is called."""
    button = Markup('<button type="button" data-press="ask" data-text="{}" title="{}">{} …</button>')
    buttons = Markup("").join(
        button.format(text, shortened(text, LONGEST_TITLE), shortened(name, LONGEST_HEADLINE))
        for name, text in asked.items()
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
