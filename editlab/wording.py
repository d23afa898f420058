"""Plain English for numbers and lists: "1 edit", "a, b and c", "13.5 GB", "5 minutes", "4.3 %". It wraps `humanize`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Self

import humanize

SECONDS, MINUTES = 90, 90
"""Up to so many seconds a duration is given in seconds, and up to so many minutes in minutes."""
SMALLEST_SHARE = 0.0001
"""A smaller probability is given as less than this."""


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: 1 edit, 1,200 edits."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def join(items: Iterable[object]) -> str:
    """Return several things as a sentence has them: a; a and b; a, b and c."""
    return humanize.natural_list([str(item) for item in items])


def size(count: float) -> str:
    """Return a number of bytes: 640 Bytes, 21.0 kB, 13.5 GB."""
    return humanize.naturalsize(count, format="%.1f")


def duration(seconds: float) -> str:
    """Return a time to wait, rounded: 40 seconds, 5 minutes, 2.5 hours, 6 hours."""
    if seconds < SECONDS:
        return count(max(1, round(seconds)), "second")
    if seconds < 60 * MINUTES:
        return count(round(seconds / 60), "minute")
    hours = f"{seconds / 3600:,.1f}".removesuffix(".0")
    return noop(f"{hours} hours")


def percent(probability: float | None) -> str:
    """Return a probability in percent: 97 %, 4.3 %, < 0.01 %. None and NaN are a dash."""
    if probability is None or math.isnan(probability):
        return "–"
    if probability < SMALLEST_SHARE:
        return "< 0.01 %"
    return f"{100 * probability:.0f} %" if probability >= 0.0995 else f"{100 * probability:.2g} %"


def share(value: float) -> str:
    """Return a share in whole percent. It may be negative or above 100 %."""
    return f"{100 * value:.0f} %".replace("-0 %", "0 %").replace("-", "−")


def rate(value: float) -> str:
    """Return a rate in whole percent, which never rounds up to 100 % or down to 0 %."""
    return f"{min(99, max(1, round(100 * value)))} %" if 0 < value < 1 else f"{100 * value:.0f} %"


def shorten(text: str, most: int) -> str:
    """Return a text of at most `most` characters, with an ellipsis where its end is missing."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def capitalize(text: str) -> str:
    """Return a text with its first letter in upper case and the rest as it is."""
    return f"{text[:1].upper()}{text[1:]}"


def noop(text: str) -> str:
    """Return a text as it is. The page translates what is marked by this where it shows it."""
    return text


class Message(str):
    """An English text that remembers what it was made of, so that the page can say it in another language.

    Message(noop("applied {edit}"), edit="Slovenia → Antarctica")
    Message(("{n} edit", "{n} edits"), n=3)
    """

    forms: tuple[str, ...]
    values: dict[str, str | int]

    def __new__(cls, forms: str | tuple[str, str], **values: str | int) -> Self:
        """Make the text: in its second form where `n` is not 1."""
        either = (forms,) if isinstance(forms, str) else forms
        said = {name: f"{value:,}" if isinstance(value, int) else value for name, value in values.items()}
        made = super().__new__(cls, either[len(either) > 1 and values["n"] != 1].format(**said))
        made.forms, made.values = either, values
        return made
