"""Gradio's sessions, at most 2,000, with little state.

Gradio keeps a copy of the page's configuration for every session, which only its deep links read. EditLab has none.
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
"""The time for which unread answers are kept."""
MOST = 2_000
"""How many sessions are kept."""


class Session(SessionState):
    """The state of a session: the components whose choices have changed, and nothing else.

    Gradio makes a new component for every update, and reads it right afterwards.
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
        if hasattr(self.blocks_config.blocks.get(key), "takes"):  # a new component has another number
            self._kept[key] = value

    def _update_config(self, key: int) -> None:
        """Do nothing, so that nothing is kept."""

    def _update_value_in_config(self, key: int, value: Any) -> None:
        """Do nothing, so that nothing is kept."""


@dataclass
class Caller:
    """The address of a session, its last call or listener (monotonic seconds), and the number of its listeners."""

    address: str
    at: float = 0.0
    listeners: int = 0


class Sessions(StateHolder):
    """The sessions of one page. Beyond `MOST`, the oldest ones without open calls are dropped."""

    def __init__(self, page: gr.Blocks) -> None:
        super().__init__()
        self._page = page
        self._callers: OrderedDict[str, Caller] = OrderedDict()
        page.state_session_capacity = MOST
        self.set_blocks(page)

    def __getitem__(self, session_id: str) -> SessionState:
        if session_id not in self.session_data:
            self.session_data[session_id] = Session(self._page)
        return super().__getitem__(session_id)

    def knows(self, session: str) -> bool:
        """Return whether a session has called before."""
        return session in self._callers

    def open_calls(self, session: str) -> int:
        """Return the number of a session's open calls."""
        return len(self._page._queue.pending_event_ids_session.get(session, ()))

    def unread(self, address: str) -> int:
        """Return the number of an address's open calls whose answers nobody fetches now."""
        own = [session for session, caller in self._callers.items() if caller.address == address and not caller.listeners]
        return sum(map(self.open_calls, own))

    @contextmanager
    def listen(self, session: str) -> Iterator[None]:
        """Note that the block fetches the answers of a session. Raises `KeyError` for a session without calls."""
        caller = self._callers[session]
        caller.listeners += 1
        try:
            yield
        finally:
            caller.listeners -= 1
            caller.at = time.monotonic()

    async def note_call(self, session: str, address: str) -> None:
        """Note a call of a session. Drop sessions whose answers nobody fetches, and the oldest ones beyond `MOST`."""
        caller = self._callers.setdefault(session, Caller(address))
        caller.at = time.monotonic()
        self._callers.move_to_end(session)
        surplus = len(self._callers) - MOST
        for place, (old, other) in enumerate(list(self._callers.items())):
            open_ = self.open_calls(old)
            abandoned = open_ and not other.listeners and other.at < time.monotonic() - UNREAD_SECONDS
            if abandoned or (place < surplus and not open_):
                await self._page._queue.clean_events(session_hash=old)
                self._forget(old)

    def _forget(self, session: str) -> None:
        queue = self._page._queue
        for kept in (self._callers, queue.pending_event_ids_session, queue.pending_messages_per_session):
            kept.pop(session, None)
        for kept in (self.session_data, self.time_last_used):
            kept.pop(session, None)
