"""What long work is handed: a way to report how far it is, and a way to ask whether it should stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from editlab.errors import Cancelled
from editlab.wording import noop

Progress = Callable[[float, str], None]
"""`progress(fraction, text)`: the share that is done, 0 to 1, and what is being done now."""
Cancel = Callable[[], bool]
"""Whether the work should stop."""


def no_progress(fraction: float, text: str) -> None:
    """Report to nobody."""


def never() -> bool:
    """Return False: this work is not stopped."""
    return False


def stop_if(cancel: Cancel, message: str = noop("Stopped. Nothing was changed.")) -> None:
    """Raise `Cancelled` with a message where the work should stop."""
    if cancel():
        raise Cancelled(message)


def part_of(progress: Progress, start: float, end: float) -> Progress:
    """Return the progress of a part of the work, which runs from `start` to `end` of the whole."""
    return lambda fraction, text: progress(start + (end - start) * fraction, text)


def within(context: Callable[[], AbstractContextManager[Any]], work: Iterator[Any]) -> Iterator[Any]:
    """Yield from `work`, each step of which runs within a context of its own, in whichever thread."""
    try:
        while True:
            with context():
                try:
                    step = next(work)
                except StopIteration:
                    return
            yield step
    finally:
        close = getattr(work, "close", None)
        if close is not None:
            close()
