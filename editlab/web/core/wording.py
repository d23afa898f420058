"""Numbers and lists in the language of the visit. `editlab.wording` writes them in the English of the engine."""

from __future__ import annotations

import math
from collections.abc import Iterable

from babel.lists import format_list
from babel.numbers import get_decimal_symbol, get_group_symbol

from editlab import wording
from editlab.web.core.language import gettext, locale, ngettext
from editlab.wording import Message, capitalize, rate, share, shorten


def number(value: float, form: str = ",") -> str:
    """Return a number in a form of Python's: 1,200; with ".2f" 0.43. In German 1.200 and 0,43."""
    return written(format(value, form))


def tell(text: str) -> str:
    """Return an English text in the language of the visit, where it remembers what it was made of."""
    if not isinstance(text, Message):
        return text
    form = gettext(*text.forms) if len(text.forms) == 1 else ngettext(*text.forms, text.values["n"])
    said = {name: tell(value) if isinstance(value, str) else number(value) for name, value in text.values.items()}
    return form.format(**said)


def join(items: Iterable[object]) -> str:
    """Return several things as a sentence has them: a; a and b; a, b and c."""
    return format_list([str(item) for item in items], locale=locale())


def size(count: float) -> str:
    """Return a number of bytes: 640 Bytes, 21.0 kB, 13.5 GB."""
    return written(wording.size(count))


def percent(probability: float | None) -> str:
    """Return a probability in percent: 97 %, 4.3 %, < 0.01 %. None and NaN are a dash."""
    return written(wording.percent(probability))


def duration(seconds: float) -> str:
    """Return a time to wait, rounded: 40 seconds, 5 minutes, 2.5 hours, 6 hours."""
    if seconds < wording.SECONDS:
        whole = max(1, round(seconds))
        return ngettext("{n} second", "{n} seconds", whole).format(n=whole)
    if seconds < 60 * wording.MINUTES:
        whole = round(seconds / 60)
        return ngettext("{n} minute", "{n} minutes", whole).format(n=whole)
    hours = round(seconds / 3600, 1)
    whole = math.ceil(hours)
    return ngettext("{n} hour", "{n} hours", whole).format(n=number(hours, ",.1f" if hours % 1 else ",.0f"))


def written(english: str) -> str:
    """Return English figures with the signs of the language: its decimal sign and what parts thousands."""
    return english.translate(str.maketrans({".": get_decimal_symbol(locale()), ",": get_group_symbol(locale())}))


__all__ = ["capitalize", "duration", "join", "number", "percent", "rate", "share", "shorten", "size", "tell", "written"]
