"""Rate limits: of guesses at a login or a join link; on a demo and in a workshop, of what costs time, memory or disk.

Each handler of the page states what a call costs; what depends on its input, it spends while it runs (`RateLimits.spend`).
The model's seconds are counted when a job ends. On a demo everything is counted per visitor, per address and in total; in a
workshop per participant alone, because a room is one address. The counters are in the memory of this process. Each refusal
says when to try again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any, NamedTuple
from zlib import crc32

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from editlab.errors import BadRequest, TooMany
from editlab.lab.access.addresses import network_of
from editlab.lab.ledger.names import is_participant
from editlab.settings import Settings
from editlab.wording import duration, noop
from editlab.work import within

GUESSES = {"name": RateLimitItemPerMinute(5, 5), "address": RateLimitItemPerMinute(20, 5)}
"""Wrong passwords of a name from an address, and of an address."""
CODES = RateLimitItemPerMinute(20, 5)
"""Join links of an address that lead nowhere, and tokens that are none."""
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
"""The limits of one visitor of a demo, by address and by the id that the browser keeps. `seconds`: of the model."""
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
"""The limits of all visitors together."""
UNITS = {
    "pages": noop("{n} page loads"),
    "visits": noop("{n} page loads"),
    "calls": noop("{n} clicks"),
    "changes": noop("{n} changes"),
    "prompts": noop("{n} prompts"),
    "edits": noop("{n} edits"),
    "files": noop("{n} files"),
    "seconds": noop("{n} seconds of the model's time"),
}
MOST_ROWS, MOST_CHARACTERS, MOST_PARAMETERS = 20, 2_500, 200_000_000
LANES, MOST_PARKED = 4, 16
"""In a demo, how many jobs of one address are queued at a time, and how many wait behind each of them."""
CAPS = {"steps": 100, "layers": 8}
"""The largest settings in a demo, unless the model's preset has larger ones. `layers`: how many."""
FILE_SIZE, DEMO_FILE_SIZE = "25mb", "64kb"
OWN = noop("To do that, run EditLab on your own computer: the README says how.")


@dataclass(frozen=True)
class Cost:
    """The most that one call of a handler costs, as far as it is known before its input is read.

    `edits`: edits computed; `prompts`: texts asked, under all views; `changes`: events written; `files`: files read or made.
    `refused`: why a demo refuses the call, as the beginning of a sentence; empty where it does not.
    """

    edits: int = 0
    prompts: int = 0
    changes: int = 0
    files: int = 0
    refused: str = ""

    def spent(self) -> dict[str, int]:
        """Return the amounts to count, without zeros."""
        amounts = {"edits": self.edits, "prompts": self.prompts, "changes": self.changes, "files": self.files}
        return {kind: amount for kind, amount in amounts.items() if amount}


FREE = Cost()
"""The cost of a call that counts only as a call."""


class Asker(NamedTuple):
    """The visitor who asks, by the id of a browser or of a user, and the address of the request."""

    visitor: str
    address: str


_ASKER: ContextVar[Asker | None] = ContextVar("asker", default=None)


def asker() -> Asker | None:
    """Return who asked for the work that runs now; None where nobody did."""
    return _ASKER.get()


@contextmanager
def on_behalf_of(who: Asker | None) -> Iterator[None]:
    """Run a block for somebody: `asker` returns them in it."""
    token = _ASKER.set(who)
    try:
        yield
    finally:
        _ASKER.reset(token)


def iterate_for(who: Asker | None, work: Iterator[Any]) -> Iterator[Any]:
    """Yield from `work`, each step of which runs on behalf of `who`, in whichever thread."""
    return within(partial(on_behalf_of, who), work)


class RateLimits:
    """The rate limits of one lab. Without a public demo, only logins and the participants of workshops are limited."""

    def __init__(self, settings: Settings) -> None:
        self.demo, self._hours = settings.demo, settings.demo_hours
        self._window = MovingWindowRateLimiter(MemoryStorage())
        self._lock = threading.Lock()

    @property
    def expire_seconds(self) -> float | None:
        """The seconds without use after which a workspace is deleted for good; None: never."""
        return 3600 * self._hours if self.demo else None

    @property
    def file_size(self) -> str:
        """The size of the largest upload, as Gradio writes it."""
        return DEMO_FILE_SIZE if self.demo else FILE_SIZE

    @property
    def file_bytes(self) -> int:
        """The size of the largest upload in bytes."""
        return _bytes(self.file_size)

    def file_bytes_of(self, who: Asker) -> int:
        """Return the size of somebody's largest upload in bytes."""
        return _bytes(DEMO_FILE_SIZE) if self.restricts(who) else self.file_bytes

    def lane(self, who: Asker) -> str:
        """Return the lane in which somebody's jobs wait: the visitor's own; in a demo, one of a few of their address."""
        if not self.demo:
            return who.visitor
        return f"{network_of(who.address)} {crc32(who.visitor.encode('utf-8', 'replace')) % LANES}"

    @property
    def most_parked(self) -> int | None:
        """How many jobs may wait behind the queued one of a lane; None: any number."""
        return MOST_PARKED if self.demo else None

    @property
    def notice(self) -> str:
        """The notice to the visitors of a demo; empty where there is none."""
        if not self.demo:
            return ""
        return noop(
            "This is a public demo. What you type is kept on its server until you have been away for "
            f"{duration(3600 * self._hours)}; then it is deleted. Write nothing private."
        )

    def check_guess(self, name: str, address: str) -> None:
        """Raise `TooMany` after too many wrong passwords."""
        self._check([(item, key, 1) for item, *key in _guesses(name, address)], noop("Too many wrong passwords."))

    def count_guess(self, name: str, address: str) -> None:
        """Count a wrong password."""
        for item, *key in _guesses(name, address):
            self._window.hit(item, *key)

    def count_code(self, address: str) -> None:
        """Count a join link that leads nowhere. Raises `TooMany` after too many of them.

        A link that is right is never refused: it cannot be guessed, and one person could keep a whole room out.
        """
        self._check([(CODES, ("code", network_of(address)), 1)], noop("Too many links that lead nowhere."))
        self._window.hit(CODES, "code", network_of(address))

    def count_token(self, address: str) -> None:
        """Count a token that is none. Raises `TooMany` after too many of them. A right one is never refused."""
        self._check([(CODES, ("token", network_of(address)), 1)], "Too many tokens that are none.")
        self._window.hit(CODES, "token", network_of(address))

    def restricts(self, who: Asker | None) -> bool:
        """Return whether somebody has limits: everybody on a demo, and the participants of workshops."""
        return self.demo or (who is not None and is_participant(who.visitor))

    def count_call(self, who: Asker, new: bool = False) -> None:
        """Count a call before it is read; `new`: the first one of a page. Raises `TooMany`."""
        if self.restricts(who):
            self._count({"calls": 1} | ({"visits": 1} if new else {}), who)

    def count_page(self, who: Asker) -> None:
        """Count a page before it is made. Raises `TooMany`."""
        if self.restricts(who):
            self._count({"pages": 1}, who)

    def check_call(self, cost: Cost, who: Asker, fields: Iterable[Any] = ()) -> None:
        """Count the cost of a handler's call. Raises `TooMany`, or `BadRequest` for one that demos and workshops refuse."""
        if not self.restricts(who):
            return
        if cost.refused:
            raise BadRequest(
                f"{cost.refused} in a workshop. {OWN}"
                if is_participant(who.visitor)
                else f"{cost.refused} on this public demo. {OWN}"
            )
        longest = max((len(field) for field in fields if isinstance(field, str)), default=0)
        if longest > MOST_CHARACTERS:
            raise BadRequest(f"This text has {longest:,} characters; {_place(who)} accepts {MOST_CHARACTERS:,}. Shorten it.")
        self._count(cost.spent(), who)

    def spend(self, cost: Cost) -> None:
        """Count a cost that depends on a handler's input, for the asker. Raises `TooMany`; then nothing is counted."""
        who = asker()
        if who is not None and self.restricts(who):
            self._count(cost.spent(), who)

    def count_seconds(self, who: Asker | None, seconds: float) -> None:
        """Count the model's time of a finished job, at most what is left of the budget."""
        if who is None or not self.restricts(who):
            return
        with self._lock:
            for item, *key in _keys("seconds", who):
                left = self._window.get_window_stats(item, *key).remaining
                if amount := min(ceil(seconds), left):
                    self._window.hit(item, *key, cost=amount)

    def check_rows(self, count: int) -> None:
        """Raise `BadRequest` for a file of more rows than a demo or a workshop accepts."""
        who = asker()
        if self.restricts(who) and count > MOST_ROWS:
            raise BadRequest(f"The file has {count:,} rows; {_place(who)} accepts {MOST_ROWS}. {OWN}")

    def check_model(self, name: str, parameters: int) -> None:
        """Raise `BadRequest` for a model that is too large for a demo."""
        if self.demo and parameters > MOST_PARAMETERS:
            raise BadRequest(
                f"{name} has {parameters / 1e6:,.0f} million parameters; a public demo loads up to "
                f"{MOST_PARAMETERS / 1e6:.0f} million. {OWN}"
            )

    def check_setting(self, name: str, value: Any, usual: Any) -> None:
        """Raise `BadRequest` for a setting too large for a demo or a workshop; `usual`: its value in the model's preset."""
        who = asker()
        if not self.restricts(who) or name not in CAPS:
            return
        amount, most = (len(value), max(CAPS[name], len(usual))) if name == "layers" else (value, max(CAPS[name], usual))
        if amount > most:
            raise BadRequest(f"{name}: {_place(who)} allows at most {most:,}, not {amount:,}. {OWN}")

    def _count(self, amounts: Mapping[str, int], who: Asker) -> None:
        """Count all amounts, or raise `TooMany` and count none."""
        needed = dict(amounts)
        if needed.keys() & {"prompts", "edits"}:
            needed["seconds"] = 1  # both need some of the model's time
        with self._lock:
            for kind, amount in needed.items():
                own, everybody = _keys(kind, who)[:2], _keys(kind, who)[2:]
                most = rate(EACH[kind], kind)
                each = (
                    noop(f"A workshop allows each participant {most}.")
                    if is_participant(who.visitor)
                    else noop(f"This public demo allows each visitor {most}.")
                )
                self._check([(item, key, amount) for item, *key in own], each)
                together = noop(f"This public demo allows all visitors together {rate(ALL[kind], kind)}.")
                self._check([(item, key, amount) for item, *key in everybody], together)
            for kind, amount in amounts.items():
                for item, *key in _keys(kind, who):
                    self._window.hit(item, *key, cost=amount)

    def _check(self, amounts: Sequence[tuple[RateLimitItem, Sequence[str], int]], reason: str) -> None:
        full = [(item, key) for item, key, amount in amounts if not self._window.test(item, *key, cost=amount)]
        if full:
            seconds = max(self._window.get_window_stats(item, *key).reset_time - time.time() for item, key in full)
            raise TooMany(f"{reason} Try again in {round_up(seconds)}.")


def _bytes(size: str) -> int:
    """Return a size that is written as Gradio writes it."""
    return int(size[:-2]) * {"kb": 2**10, "mb": 2**20}[size[-2:]]


def rate(item: RateLimitItem, kind: str) -> str:
    """Return a limit as text: 60 edits an hour; 3,000 prompts a minute."""
    what = UNITS[kind].format(n=f"{item.amount:,}")
    return noop(f"{what} an hour") if item.GRANULARITY.name == "hour" else noop(f"{what} a minute")


def round_up(seconds: float) -> str:
    """Return a time to wait, rounded up to seconds or minutes so that it is long enough: 40 seconds, 5 minutes."""
    return duration(ceil(seconds) if seconds <= 60 else 60 * ceil(seconds / 60))


def _keys(kind: str, who: Asker) -> list[tuple[Any, ...]]:
    """Return the counters of a kind of amount: the visitor's, the address's and everybody's; a participant's own alone."""
    if is_participant(who.visitor):
        return [(EACH[kind], kind, "visitor", who.visitor)]
    address = network_of(who.address)
    return [(EACH[kind], kind, "visitor", who.visitor), (EACH[kind], kind, "address", address), (ALL[kind], kind)]


def _place(who: Asker | None) -> str:
    """Return where somebody is limited, as it stands in a sentence."""
    return noop("a workshop") if who is not None and is_participant(who.visitor) else noop("this public demo")


def _guesses(name: str, address: str) -> list[tuple[Any, ...]]:
    address = network_of(address)
    return [(GUESSES["name"], "guess", name, address), (GUESSES["address"], "guess", address)]
