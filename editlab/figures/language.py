"""The language of figures and reports: English, unless who has them made speaks another one.

A job is done in the language in which it was asked for, whichever thread does it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from editlab.wording import noop

SEPARATORS = noop(".,")
"""The decimal sign, and what parts thousands."""


def _choose(singular: str, plural: str, n: int) -> str:
    return singular if n == 1 else plural


@dataclass(frozen=True)
class Translation:
    """How a language says a message, a message about a number of things, and a sentence of the engine."""

    code: str = "en"
    gettext: Callable[[str], str] = str
    ngettext: Callable[[str, str, int], str] = _choose
    said: Callable[[object], str] = str


TRANSLATION: ContextVar[Translation] = ContextVar("translation", default=Translation())  # noqa: B039 - it is frozen


def spoken() -> Translation:
    """Return the language that is spoken."""
    return TRANSLATION.get()


def gettext(message: str) -> str:
    """Return a text in the language that is spoken."""
    return spoken().gettext(message) if message else message


def ngettext(singular: str, plural: str, n: int) -> str:
    """Return a text about a number of things in the language that is spoken."""
    return spoken().ngettext(singular, plural, n)


def said(what: object) -> str:
    """Return a sentence of the engine, or an error's, in the language that is spoken."""
    return spoken().said(what)


def written(value: float, form: str) -> str:
    """Return a number in a form of Python's, with the decimal sign of the language, and what parts thousands."""
    return local(format(value, form))


def local(figures: str) -> str:
    """Return English figures with the decimal sign of the language, and what parts thousands."""
    return figures.translate(str.maketrans(".,", separators()))


def separators() -> str:
    """Return the decimal sign of the language and what parts thousands, as Plotly takes them."""
    return gettext(SEPARATORS)


@contextmanager
def translated(by: Translation) -> Iterator[None]:
    """Run a block in which the words of figures and reports are translated."""
    token = TRANSLATION.set(by)
    try:
        yield
    finally:
        TRANSLATION.reset(token)
