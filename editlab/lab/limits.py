"""How much a stranger may do: guesses at a login, and on a public demo everything that costs time or memory.

What was done is counted in this process alone and forgotten with it. Each refusal says when to come back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from editlab.errors import BadRequest, TooMany
from editlab.settings import Settings

GUESSES = {"name": RateLimitItemPerMinute(5, 5), "address": RateLimitItemPerMinute(20, 5)}
"""Wrong passwords of a name from an address, and of an address."""
EACH = {"edits": RateLimitItemPerHour(30), "questions": RateLimitItemPerMinute(120), "batches": RateLimitItemPerHour(4)}
"""What one visitor of a demo may do, by address and by the id that the browser keeps."""
ALL = {"edits": RateLimitItemPerHour(300), "questions": RateLimitItemPerMinute(1200), "batches": RateLimitItemPerHour(20)}
"""What all of them together may do."""
EDITS = frozenset({"apply", "remake", "change rep", "job resume"})
BATCHES = frozenset({"apply_many", "bring_in", "export", "pack"})
FREE = frozenset(
    {
        "stop",
        "inside_stop",
        "keys_stop",
        "model_stop",
        "bench_stop",
        "job cancel",
        "spell",
        "suggest",
        "look_at_jobs",
        "monitor_look",
    }
)
"""Handlers by what they cost, with the button that was pressed where there are several; any other one is a question."""
REFUSED = {
    "train_mask": "Masks are not trained",
    "model_measure": "Key statistics are not measured",
    "model_file": "Key statistics are not measured",
    "model_unload": "The model is not unloaded",
    "bench_run": "Benchmarks are not run",
}
MOST_ROWS, MOST_CHARACTERS, MOST_PARAMETERS = 20, 2_500, 200_000_000
FILE_SIZE, DEMO_FILE_SIZE = "25mb", "64kb"
OWN = "Run EditLab on a computer of yours to do that: the README says how."


class Limits:
    """The limits of one lab; none but those of the login where it is no public demo."""

    def __init__(self, settings: Settings) -> None:
        self.demo, self._hours = settings.demo, settings.demo_hours
        self._window = MovingWindowRateLimiter(MemoryStorage())
        self._lock = threading.Lock()

    @property
    def expire_seconds(self) -> float | None:
        """After how long without use a workspace is to be forgotten altogether; None: never."""
        return 3600 * self._hours if self.demo else None

    @property
    def file_size(self) -> str:
        """The largest file that may be sent."""
        return DEMO_FILE_SIZE if self.demo else FILE_SIZE

    @property
    def notice(self) -> str:
        """What visitors of a demo have to know; empty where it is none."""
        if not self.demo:
            return ""
        return (
            "This is a public demo. What you type is kept on its server until you have been away for "
            f"{hours(self._hours)}; then it is deleted. Write nothing private."
        )

    def check_guess(self, name: str, address: str) -> None:
        """Raise `TooMany` where there were too many wrong passwords."""
        self._check(_guesses(name, address), "There were too many wrong passwords.")

    def wrong_guess(self, name: str, address: str) -> None:
        """Count a wrong password."""
        for item, *key in _guesses(name, address):
            self._window.hit(item, *key)

    def check_call(self, name: str, visitor: str, address: str, fields: Iterable[Any] = ()) -> None:
        """Count a call of one of the page's handlers. Raises `TooMany` or `BadRequest` where a demo does not do that."""
        if not self.demo or name in FREE:
            return
        if name in REFUSED:
            raise BadRequest(f"{REFUSED[name]} on this public demo. {OWN}")
        longest = max((len(field) for field in fields if isinstance(field, str)), default=0)
        if longest > MOST_CHARACTERS:
            raise BadRequest(
                f"This text has {longest:,} characters; this public demo takes {MOST_CHARACTERS:,}. Shorten it."
            )
        kind = "edits" if name in EDITS else "batches" if name in BATCHES else "questions"
        own = [(EACH[kind], kind, "visitor", visitor), (EACH[kind], kind, "address", address)]
        with self._lock:
            self._check(own, f"This public demo does {rate(EACH[kind], kind)} for each visitor.")
            self._check([(ALL[kind], kind)], f"This public demo does {rate(ALL[kind], kind)} for all visitors together.")
            for item, *key in (*own, (ALL[kind], kind)):
                self._window.hit(item, *key)

    def check_rows(self, count: int) -> None:
        """Raise `BadRequest` for a file of more edits than a demo makes."""
        if self.demo and count > MOST_ROWS:
            raise BadRequest(f"The file has {count:,} rows; this public demo takes {MOST_ROWS}. {OWN}")

    def check_model(self, name: str, parameters: int) -> None:
        """Raise `BadRequest` for a model that a demo does not load."""
        if self.demo and parameters > MOST_PARAMETERS:
            raise BadRequest(
                f"{name} has {parameters / 1e6:,.0f} million parameters; a public demo takes up to "
                f"{MOST_PARAMETERS / 1e6:.0f} million. {OWN}"
            )

    def _check(self, counted: Sequence[tuple[Any, ...]], what: str) -> None:
        full = [(item, key) for item, *key in counted if not self._window.test(item, *key)]
        if full:
            seconds = max(self._window.get_window_stats(item, *key).reset_time - time.time() for item, key in full)
            raise TooMany(f"{what} Try again in {about(seconds)}.")


def rate(item: RateLimitItem, kind: str) -> str:
    """30 edits an hour; 120 questions a minute."""
    unit = item.GRANULARITY.name
    return f"{item.amount:,} {'files' if kind == 'batches' else kind} a{'n' * (unit == 'hour')} {unit}"


def about(seconds: float) -> str:
    """How long somebody has to wait: 1 second, 40 seconds, 5 minutes; rounded up, so that it is true by then."""
    whole = max(1, int(-(-seconds // 1)))
    return _count(whole, "second") if whole < 60 else _count(-(-whole // 60), "minute")


def hours(count: float) -> str:
    """1 hour, 6 hours, 30 minutes."""
    return _count(round(60 * count), "minute") if count < 1 else _count(round(count), "hour")


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'}"


def _guesses(name: str, address: str) -> list[tuple[Any, ...]]:
    return [(GUESSES["name"], "guess", name, address), (GUESSES["address"], "guess", address)]
