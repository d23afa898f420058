"""How much a stranger may do: guesses at a login, and on a public demo everything that costs time, memory or disk.

Each handler of the page states what a call costs, and what only its input tells it spends on the way (`Limits.spend`). The
model's own seconds are counted when a job ends. All of it is counted for a visitor, for an address and in total, in this
process alone, and forgotten with it. Each refusal says when to come back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple
from zlib import crc32

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from editlab.errors import BadRequest, TooMany
from editlab.lab.access.addresses import counted
from editlab.settings import Settings

GUESSES = {"name": RateLimitItemPerMinute(5, 5), "address": RateLimitItemPerMinute(20, 5)}
"""Wrong passwords of a name from an address, and of an address."""
EACH: Mapping[str, RateLimitItem] = {
    "pages": RateLimitItemPerMinute(120),
    "visits": RateLimitItemPerHour(600),
    "calls": RateLimitItemPerMinute(300),
    "changes": RateLimitItemPerMinute(60),
    "prompts": RateLimitItemPerMinute(3_000),
    "edits": RateLimitItemPerHour(60),
    "files": RateLimitItemPerHour(10),
    "seconds": RateLimitItemPerHour(900),
}
"""What one visitor of a demo may do, by address and by the id that the browser keeps. `seconds`: of the model."""
ALL: Mapping[str, RateLimitItem] = {
    "pages": RateLimitItemPerMinute(1_200),
    "visits": RateLimitItemPerHour(6_000),
    "calls": RateLimitItemPerMinute(6_000),
    "changes": RateLimitItemPerMinute(600),
    "prompts": RateLimitItemPerMinute(30_000),
    "edits": RateLimitItemPerHour(600),
    "files": RateLimitItemPerHour(100),
    "seconds": RateLimitItemPerHour(3_600),
}
"""What all of them together may do."""
UNITS = {
    "pages": "page loads",
    "visits": "page loads",
    "calls": "clicks",
    "changes": "changes",
    "prompts": "prompts",
    "edits": "edits",
    "files": "files",
    "seconds": "seconds of the model's time",
}
MOST_ROWS, MOST_CHARACTERS, MOST_PARAMETERS = 20, 2_500, 200_000_000
LANES, MOST_PARKED = 4, 16
"""In a demo, how many jobs of one address wait in the line at a time, and how many stand behind each of them."""
CAPS = {"steps": 100, "contexts": 20, "layers": 8}
"""The most that a visitor of a demo may set, where the model's own preset asks for no more. `layers`: how many."""
FILE_SIZE, DEMO_FILE_SIZE = "25mb", "64kb"
OWN = "To do that, run EditLab on your own computer: the README says how."


@dataclass(frozen=True)
class Cost:
    """What one call of a handler takes at most, so far as it is known before its input is read.

    `edits`: edits computed; `prompts`: texts asked, under all views; `changes`: events written; `files`: files read or made.
    `refused`: what a demo does not do, as the beginning of a sentence; empty where it does.
    """

    edits: int = 0
    prompts: int = 0
    changes: int = 0
    files: int = 0
    refused: str = ""

    def spent(self) -> dict[str, int]:
        """Return the amounts that are counted, without zeros."""
        amounts = {"edits": self.edits, "prompts": self.prompts, "changes": self.changes, "files": self.files}
        return {kind: amount for kind, amount in amounts.items() if amount}


FREE = Cost()
"""A call that counts only as a call."""


class Asker(NamedTuple):
    """Who asks: the id that a browser keeps or a login's, and the address from which it comes."""

    visitor: str
    address: str


_ASKER: ContextVar[Asker | None] = ContextVar("asker", default=None)


def asker() -> Asker | None:
    """Return who asks for what is done now; None for what nobody asked for."""
    return _ASKER.get()


@contextmanager
def asked_by(who: Asker | None) -> Iterator[None]:
    """Say who asks for what is done within the block."""
    token = _ASKER.set(who)
    try:
        yield
    finally:
        _ASKER.reset(token)


def resumed(who: Asker | None, work: Iterator[Any]) -> Iterator[Any]:
    """Iterate over `work` with `who` as the asker of each of its steps, in whichever thread each is made."""
    try:
        while True:
            with asked_by(who):
                try:
                    step = next(work)
                except StopIteration:
                    return
            yield step
    finally:
        close = getattr(work, "close", None)
        if close is not None:
            close()


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
    def file_bytes(self) -> int:
        """The same in bytes."""
        number, unit = self.file_size[:-2], self.file_size[-2:]
        return int(number) * {"kb": 2**10, "mb": 2**20}[unit]

    def lane(self, who: Asker) -> str:
        """Return under which name somebody's jobs line up: their own; in a demo one of a few of their address."""
        if not self.demo:
            return who.visitor
        return f"{counted(who.address)} {crc32(who.visitor.encode('utf-8', 'replace')) % LANES}"

    @property
    def parked(self) -> int | None:
        """How many jobs may stand behind each that waits for the model; None: as many as there are."""
        return MOST_PARKED if self.demo else None

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
        self._check([(item, key, 1) for item, *key in _guesses(name, address)], "Too many wrong passwords.")

    def wrong_guess(self, name: str, address: str) -> None:
        """Count a wrong password."""
        for item, *key in _guesses(name, address):
            self._window.hit(item, *key)

    def knock(self, who: Asker, new: bool = False) -> None:
        """Count a call before anything of it is looked at; `new`: the first one of a page. Raises `TooMany`."""
        if self.demo:
            self._count({"calls": 1} | ({"visits": 1} if new else {}), who)

    def load(self, who: Asker) -> None:
        """Count a page that is asked for, before it is made. Raises `TooMany`."""
        if self.demo:
            self._count({"pages": 1}, who)

    def check_call(self, cost: Cost, who: Asker, fields: Iterable[Any] = ()) -> None:
        """Count a call of one of the page's handlers. Raises `TooMany` or `BadRequest` where a demo does not do that."""
        if not self.demo:
            return
        if cost.refused:
            raise BadRequest(f"{cost.refused} on this public demo. {OWN}")
        longest = max((len(field) for field in fields if isinstance(field, str)), default=0)
        if longest > MOST_CHARACTERS:
            raise BadRequest(
                f"This text has {longest:,} characters; this public demo accepts {MOST_CHARACTERS:,}. Shorten it."
            )
        self._count(cost.spent(), who)

    def spend(self, cost: Cost) -> None:
        """Count what a handler's input made it do, for whoever asks. Raises `TooMany`; then nothing is counted."""
        who = asker()
        if self.demo and who is not None:
            self._count(cost.spent(), who)

    def ran(self, who: Asker | None, seconds: float) -> None:
        """Count the model's time that a job has taken, as far as the budget goes: it is spent already."""
        if not self.demo or who is None:
            return
        with self._lock:
            for item, *key in _keys("seconds", who):
                left = self._window.get_window_stats(item, *key).remaining
                if amount := min(ceil(seconds), left):
                    self._window.hit(item, *key, cost=amount)

    def check_rows(self, count: int) -> None:
        """Raise `BadRequest` for a file of more edits than a demo makes."""
        if self.demo and count > MOST_ROWS:
            raise BadRequest(f"The file has {count:,} rows; this public demo accepts {MOST_ROWS}. {OWN}")

    def check_model(self, name: str, parameters: int) -> None:
        """Raise `BadRequest` for a model that a demo does not load."""
        if self.demo and parameters > MOST_PARAMETERS:
            raise BadRequest(
                f"{name} has {parameters / 1e6:,.0f} million parameters; a public demo loads up to "
                f"{MOST_PARAMETERS / 1e6:.0f} million. {OWN}"
            )

    def check_setting(self, name: str, value: Any, usual: Any) -> None:
        """Raise `BadRequest` for a setting of a method beyond what a demo computes; `usual`: the model's own preset."""
        if not self.demo or name not in CAPS:
            return
        found, most = (len(value), max(CAPS[name], len(usual))) if name == "layers" else (value, max(CAPS[name], usual))
        if found > most:
            raise BadRequest(f"{name}: this public demo allows at most {most:,}, not {found:,}. {OWN}")

    def _count(self, amounts: Mapping[str, int], who: Asker) -> None:
        """Count all of it, or raise `TooMany` and count nothing. Who has no seconds of the model left asks it nothing."""
        needed = dict(amounts)
        if needed.keys() & {"prompts", "edits"}:
            needed["seconds"] = 1  # is any of its time left?
        with self._lock:
            for kind, amount in needed.items():
                own, everybody = _keys(kind, who)[:2], _keys(kind, who)[2:]
                each = f"This public demo allows each visitor {rate(EACH[kind], kind)}."
                self._check([(item, key, amount) for item, *key in own], each)
                together = f"This public demo allows all visitors together {rate(ALL[kind], kind)}."
                self._check([(item, key, amount) for item, *key in everybody], together)
            for kind, amount in amounts.items():
                for item, *key in _keys(kind, who):
                    self._window.hit(item, *key, cost=amount)

    def _check(self, counted: Sequence[tuple[RateLimitItem, Sequence[str], int]], what: str) -> None:
        full = [(item, key) for item, key, amount in counted if not self._window.test(item, *key, cost=amount)]
        if full:
            seconds = max(self._window.get_window_stats(item, *key).reset_time - time.time() for item, key in full)
            raise TooMany(f"{what} Try again in {about(seconds)}.")


def rate(item: RateLimitItem, kind: str) -> str:
    """Return a limit in words: 60 edits an hour; 3,000 prompts a minute."""
    unit = item.GRANULARITY.name
    return f"{item.amount:,} {UNITS[kind]} a{'n' * (unit == 'hour')} {unit}"


def about(seconds: float) -> str:
    """How long somebody has to wait: 1 second, 40 seconds, 5 minutes; rounded up, so that it is true by then."""
    whole = max(1, int(-(-seconds // 1)))
    return _count(whole, "second") if whole < 60 else _count(-(-whole // 60), "minute")


def hours(count: float) -> str:
    """1 hour, 6 hours, 30 minutes."""
    return _count(round(60 * count), "minute") if count < 1 else _count(round(count), "hour")


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'}"


def _keys(kind: str, who: Asker) -> list[tuple[Any, ...]]:
    """Return the counters of something: the visitor's, the address's and everybody's."""
    address = counted(who.address)
    return [(EACH[kind], kind, "visitor", who.visitor), (EACH[kind], kind, "address", address), (ALL[kind], kind)]


def _guesses(name: str, address: str) -> list[tuple[Any, ...]]:
    address = counted(address)
    return [(GUESSES["name"], "guess", name, address), (GUESSES["address"], "guess", address)]
