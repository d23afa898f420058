"""The language of the figures' words: English, unless who draws them translates it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from editlab.wording import noop

SEPARATORS = noop(".,")
"""The decimal sign, and what parts thousands."""
TRANSLATE: ContextVar[Callable[[str], str]] = ContextVar("translate", default=str)
"""Returns a text of a figure in the language that is spoken."""


def gettext(message: str) -> str:
    """Return a text of a figure in the language that is spoken."""
    return TRANSLATE.get()(message)


def written(value: float, form: str) -> str:
    """Return a number in a form of Python's, with the decimal sign of the language, and what parts thousands."""
    return format(value, form).translate(str.maketrans(".,", separators()))


def separators() -> str:
    """Return the decimal sign of the language and what parts thousands, as Plotly takes them."""
    return gettext(SEPARATORS)


@contextmanager
def translated(by: Callable[[str], str]) -> Iterator[None]:
    """Run a block in which the words of figures are translated."""
    token = TRANSLATE.set(by)
    try:
        yield
    finally:
        TRANSLATE.reset(token)
