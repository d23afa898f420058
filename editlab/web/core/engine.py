"""What the engine says in English, in the language of the visit: its errors, and the steps of its jobs.

The engine knows no language but English. The catalogues have its sentences as its source has them, with {names} for what an
f-string puts there; `python -m tools.languages` collects them. A sentence is recognised by that form, and so is each of its
values, which may be sentences as well.
"""

from __future__ import annotations

import re
from functools import cache
from string import Formatter

from editlab.web.core.language import ENGLISH, catalogue, gettext, language, ngettext
from editlab.web.core.wording import tell, written
from editlab.wording import Message

PAGE = "editlab/web/"
LONGEST = 10_000
"""Most characters of a sentence that is translated. A longer one stays English."""
NUMBER = re.compile(r"-?\d{1,3}(,\d{3})*(\.\d+)?( ?(%|s|Bytes|[kMGT]?B))?")
QUOTED = re.compile(r"'([^'\\]*)'|\"([^\"\\]*)\"")


def said(what: object) -> str:
    """Return a sentence of the engine, or an error's, in the language of the visit; in English where it is not known."""
    if language() == ENGLISH:
        return str(what)
    text = what.args[0] if isinstance(what, Exception) and what.args else what
    return tell(text) if isinstance(text, Message) else _said(str(text)) if len(str(text)) <= LONGEST else str(text)


def _said(text: str) -> str:
    bare = text.strip()
    if bare != text:
        return text.replace(bare, _said(bare), 1) if bare else text
    told = _recognised(text)
    if told is None and not text.endswith("."):
        told = _recognised(f"{text}.")
        told = told and told.removesuffix(".")
    if told is not None:
        return told
    if quoted := QUOTED.fullmatch(text):
        return gettext("“{text}”").format(text=quoted[1] or quoted[2] or "")
    return written(text) if NUMBER.fullmatch(text) else text


def _recognised(text: str) -> str | None:
    """Return the translation of a sentence; None where no form fits."""
    for pattern, forms in _forms(language()):
        if match := pattern.fullmatch(text):
            values = match.groupdict()
            one = ngettext(*forms, int(values["n"].replace(",", ""))) if len(forms) > 1 else gettext(*forms)
            return one.format(**{name: _said(value) for name, value in values.items()})
    return None


@cache
def _forms(chosen: str) -> tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]:
    """Return the forms of the engine's sentences as patterns, each with its messages; those that say most come first."""
    found = []
    for message in catalogue(chosen):
        if message.id and not all(place.startswith(PAGE) for place, _ in message.locations):
            forms = (message.id,) if isinstance(message.id, str) else tuple(message.id)
            found += [(form, forms) for form in forms]
    found.sort(key=lambda each: -len(re.sub(r"\{\w*\}|\s", "", each[0])))
    return tuple((pattern(form, whole=len(forms) > 1), forms) for form, forms in found)


def pattern(form: str, whole: bool = False) -> re.Pattern[str]:
    """Return what recognises a sentence by its form. `whole`: where {n} is a number.

    Each value ends where the text behind it first stands, which takes a time linear in the length of the sentence.
    """
    parts = list(Formatter().parse(form))
    made, names = "", []
    for place, (literal, name, *_) in enumerate(parts):
        made += re.escape(literal)
        if name is None:
            continue
        behind = re.escape(parts[place + 1][0]) if place + 1 < len(parts) else ""
        last = place + 2 >= len(parts) and (place + 1 == len(parts) or parts[place + 1][1] is None)
        any_ = r"[\d,]+" if whole and name == "n" else ".*" if last else ".*?"
        value = f"(?P={name})" if name in names else f"(?P<{name}>{any_})"
        made += value if last or not behind else f"(?>{value}(?={behind}))"
        names.append(name)
    return re.compile(made, re.DOTALL)


__all__ = ["said"]
