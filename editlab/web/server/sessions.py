"""Gradio's sessions with a bound: little is kept of each, and of 2,000 at most.

Gradio keeps a copy of the whole page's configuration for every session. Only its deep links read that; EditLab has none.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.state_holder import SessionState, StateHolder

UNREAD_SECONDS = 60.0
"""How long answers that nobody fetches are kept."""
MOST = 2_000
"""How many sessions are kept."""


class Session(SessionState):
    """What is kept of a session: the components whose choices have changed, nothing else.

    Gradio builds a new component for every update, and reads it right afterwards.
    """

    def __init__(self, blocks: gr.Blocks) -> None:
        self.blocks_config = blocks.default_config
        self.config_values: dict[int, Any] = {}
        self.state_data: dict[int, Any] = {}
        self._state_ttl: dict[int, Any] = {}
        self.is_closed = False
        self._kept: dict[int, Any] = {}
        self._latest: tuple[int, Any] = (-1, None)

    def __getitem__(self, key: int) -> Any:
        number, latest = self._latest
        return latest if key == number else self._kept.get(key, self.blocks_config.blocks[key])

    def __setitem__(self, key: int, value: Any) -> None:
        self._latest = key, value
        if hasattr(self.blocks_config.blocks.get(key), "takes"):  # a component that was made anew has another number
            self._kept[key] = value

    def _update_config(self, key: int) -> None:
        """Keep nothing."""

    def _update_value_in_config(self, key: int, value: Any) -> None:
        """Keep nothing."""


@dataclass
class Caller:
    """Where a session calls from, when it last called or listened (monotonic seconds), and how many listen to it now."""

    address: str
    at: float = 0.0
    listeners: int = 0


class Sessions(StateHolder):
    """The sessions of one page. Beyond `MOST`, the oldest one without open calls is dropped."""

    def __init__(self, page: gr.Blocks) -> None:
        super().__init__()
        self._page = page
        self._called: OrderedDict[str, Caller] = OrderedDict()
        page.state_session_capacity = MOST
        self.set_blocks(page)

    def __getitem__(self, session_id: str) -> SessionState:
        if session_id not in self.session_data:
            self.session_data[session_id] = Session(self._page)
        return super().__getitem__(session_id)

    def knows(self, session: str) -> bool:
        """Return whether a session has called before."""
        return session in self._called

    def open_calls(self, session: str) -> int:
        """Return how many calls of a session are open."""
        return len(self._page._queue.pending_event_ids_session.get(session, ()))

    def unread(self, address: str) -> int:
        """Return how many open calls an address has whose answers nobody fetches at this moment."""
        own = [session for session, caller in self._called.items() if caller.address == address and not caller.listeners]
        return sum(map(self.open_calls, own))

    @contextmanager
    def listening(self, session: str) -> Iterator[None]:
        """Note that the answers of a session are fetched. Raises `KeyError` for a session that has none."""
        caller = self._called[session]
        caller.listeners += 1
        try:
            yield
        finally:
            caller.listeners -= 1
            caller.at = time.monotonic()

    async def called(self, session: str, address: str) -> None:
        """Note a call of a session. Drop those whose answers nobody fetches, and the oldest ones beyond `MOST`."""
        caller = self._called.setdefault(session, Caller(address))
        caller.at = time.monotonic()
        self._called.move_to_end(session)
        surplus = len(self._called) - MOST
        for place, (old, other) in enumerate(list(self._called.items())):
            open_ = self.open_calls(old)
            left = open_ and not other.listeners and other.at < time.monotonic() - UNREAD_SECONDS
            if left or (place < surplus and not open_):
                await self._page._queue.clean_events(session_hash=old)
                self._forget(old)

    def _forget(self, session: str) -> None:
        queue = self._page._queue
        for kept in (self._called, queue.pending_event_ids_session, queue.pending_messages_per_session):
            kept.pop(session, None)
        for kept in (self.session_data, self.time_last_used):
            kept.pop(session, None)
