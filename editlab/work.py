"""What long work is handed: a way to report how far it is, and a way to ask whether it should stop."""

from __future__ import annotations

from collections.abc import Callable

from editlab.errors import Cancelled

Progress = Callable[[float, str], None]
"""`progress(fraction, text)`: the share that is done, 0 to 1, and what is being done now."""
Cancel = Callable[[], bool]
"""Whether the work should stop."""


def no_progress(fraction: float, text: str) -> None:
    """Report to nobody."""


def never() -> bool:
    """Return False: this work is not stopped."""
    return False


def stop_if(cancel: Cancel, message: str = "Stopped before the work was complete.") -> None:
    """Raise `Cancelled` with a message where the work should stop."""
    if cancel():
        raise Cancelled(message)


def part_of(progress: Progress, start: float, end: float) -> Progress:
    """Return the progress of a part of the work, which runs from `start` to `end` of the whole."""
    return lambda fraction, text: progress(start + (end - start) * fraction, text)
