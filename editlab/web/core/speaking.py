"""Speaking a language: the page, what it shows of the engine, figures and reports are said in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from editlab.figures.language import Translation, translated
from editlab.web.core.engine import said
from editlab.web.core.language import gettext, ngettext, set_language
from editlab.work import within


@contextmanager
def speaking(chosen: str) -> Iterator[None]:
    """Run a block in a language."""
    figures = Translation(chosen, *(_bound(chosen, say) for say in (gettext, ngettext, said)))
    with set_language(chosen), translated(figures):
        yield


def spoken(chosen: str, work: Iterator[Any]) -> Iterator[Any]:
    """Yield from `work`, each step of which runs in a language, in whichever thread."""
    return within(partial(speaking, chosen), work)


def _bound(chosen: str, say: Callable[..., str]) -> Callable[..., str]:
    """Return a function that says something in a language, in whichever thread."""

    def told(*given: Any) -> str:
        with set_language(chosen):
            return say(*given)

    return told


__all__ = ["speaking", "spoken"]
