"""What the engine says in English, in the language of the visit: its errors, and the steps of its jobs.

The engine knows no language but English. The catalogues have its sentences as its source has them, with {names} for what an
f-string puts there; `python -m tools.languages` collects them. A sentence is recognised by that form, and so is each of its
values, which may be sentences as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from string import Formatter

from editlab.web.core.language import ENGLISH, catalogue, gettext, language, ngettext
from editlab.web.core.wording import tell, written
from editlab.wording import Message, noop

PAGE = ("editlab/figures/", "editlab/web/")
SYSTEM = (
    noop("No such file or directory"),
    noop("Permission denied"),
    noop("No space left on device"),
    noop("Is a directory"),
    noop("Not a directory"),
    noop("Read-only file system"),
)
"""What the operating system says of a file."""
LONGEST, DEEPEST = 4_000, 6
"""A sentence with more characters stays English, and so does what stands deeper within values of values."""
NUMBER = re.compile(r"-?\d{1,3}(,\d{3})*(\.\d+)?( ?(%|s|Bytes|[kMGT]?B))?")
QUOTED = re.compile(r"'([^'\\]*)'|\"([^\"\\]*)\"")


def said(what: object) -> str:
    """Return a sentence of the engine, or an error's, in the language of the visit; in English where it is not known."""
    text = what.args[0] if isinstance(what, Exception) and what.args else what
    if language() == ENGLISH or len(str(text)) > LONGEST:
        return str(text)
    return tell(text) if isinstance(text, Message) else _told(str(text), {})[1]


def _told(text: str, known: dict[str, tuple[int, str]], depth: int = 0) -> tuple[int, str]:
    """Return a sentence in the language of the visit, and how many of its characters were recognised.

    Where several forms fit, the one by which most is recognised counts. `known`: what was looked at before.
    """
    if text not in known:
        bare = text.strip()
        count, told = max(_readings(bare, known, depth), default=(0, _value(bare)), key=lambda reading: reading[0])
        known[text] = count, text.replace(bare, told, 1) if bare else text
    return known[text]


def _readings(text: str, known: dict[str, tuple[int, str]], depth: int) -> Iterator[tuple[int, str]]:
    """Yield how a sentence can be read: what was recognised of it, and its translation."""
    if " " in text and (whole := gettext(text)) != text:
        yield len(text), whole
    for pattern, literal, forms in _forms(language()) if depth < DEEPEST else ():
        if match := pattern.fullmatch(text):
            values = match.groupdict()
            read = {name: _told(value, known, depth + 1) for name, value in values.items()}
            form = ngettext(*forms, int(values["n"].replace(",", ""))) if len(forms) > 1 else gettext(*forms)
            told = form.format(**{name: value for name, (_, value) in read.items()})
            yield literal + sum(count for count, _ in read.values()), told if text.endswith(".") else told.removesuffix(".")


def _value(text: str) -> str:
    """Return what is no sentence of the engine: a number and quotes in the language of the visit, else as it is."""
    if quoted := QUOTED.fullmatch(text):
        return gettext("“{text}”").format(text=quoted[1] or quoted[2] or "")
    return written(text) if NUMBER.fullmatch(text) else text


@cache
def _forms(chosen: str) -> tuple[tuple[re.Pattern[str], int, tuple[str, ...]], ...]:
    """Return the sentences of the engine: as patterns, each with the number of its own characters and its message."""
    found = []
    for message in catalogue(chosen):
        if message.id and any(_is_engine(place) for place, _ in message.locations):
            forms = (message.id,) if isinstance(message.id, str) else tuple(message.id)
            found += [(pattern(form, len(forms) > 1), len(re.sub(r"\{\w*\}|\s", "", form)), forms) for form in forms]
    return tuple(found)


def _is_engine(place: str) -> bool:
    return place.endswith(".py") and not place.startswith(PAGE)


def pattern(form: str, counts: bool = False) -> re.Pattern[str]:
    """Return what recognises a sentence by its form; its last stop may be missing. `counts`: whether {n} is a number.

    Each value ends where the text behind it stands first, so that the time is linear in the length of the sentence.
    """
    literals, names = [""], []
    for literal, name, *_ in Formatter().parse(form):
        literals[-1] += literal
        if name is not None:
            names.append(name)
            literals.append("")
    made = re.escape(literals[0])
    for place, (name, literal) in enumerate(zip(names, literals[1:], strict=True)):
        value = r"[\d,]+" if counts and name == "n" else ".*?"
        group = f"(?P={name})" if name in names[:place] else f"(?P<{name}>{value})"
        end = re.escape(literal)
        made += f"(?>{group}{end})" if literal and place < len(names) - 1 else group + end
    return re.compile(re.sub(r"\\\.$", r"\\.?", made), re.DOTALL)


__all__ = ["said"]
