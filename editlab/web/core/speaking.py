"""A block, or the steps of a handler, run in one language: the page's sentences, the engine's, and those of figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from editlab.figures.language import Translation, translated
from editlab.web.core.engine import said
from editlab.web.core.language import LANGUAGE, gettext, ngettext
from editlab.work import within


@contextmanager
def speaking(chosen: str) -> Iterator[None]:
    """Run a block in a language."""
    with _set(chosen), translated(Translation(chosen, *(_bound(chosen, say) for say in (gettext, ngettext, said)))):
        yield


@contextmanager
def _set(chosen: str) -> Iterator[None]:
    token = LANGUAGE.set(chosen)
    try:
        yield
    finally:
        LANGUAGE.reset(token)


def _bound(chosen: str, say: Callable[..., str]) -> Callable[..., str]:
    """Return a function that says something in a language, in whichever thread."""

    def told(*given: Any) -> str:
        with _set(chosen):
            return say(*given)

    return told


def spoken(chosen: str, work: Iterator[Any]) -> Iterator[Any]:
    """Yield from `work`, each step of which runs in a language, in whichever thread."""
    return within(partial(speaking, chosen), work)


__all__ = ["speaking", "spoken"]
