"""The workspaces that are in memory, each in the hands of a visitor; the others come back from the ledger."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection

from editlab.lab.context import Context
from editlab.lab.workspaces.workspace import Workspace

KEPT_SECONDS = 6 * 3600.0
MOST_OPEN = 1_000
"""Workspaces in memory."""


class Workspaces:
    """The open workspaces of one lab. What nobody has touched for `kept_seconds` leaves the memory."""

    def __init__(self, context: Context, kept_seconds: float = KEPT_SECONDS) -> None:
        self.context = context
        self._kept_seconds = kept_seconds
        self._open: dict[tuple[str, str], Workspace] = {}
        self._lock = threading.Lock()
        context.loaded.watchers.append(self.clear)

    def __len__(self) -> int:
        return len(self._open)

    def open(self, name: str, author: str = "") -> Workspace:
        """Return a workspace as the ledger has it, in the hands of an author. Raises `BadFile` for a changed ledger."""
        name = name.encode("utf-8", "replace").decode("utf-8")
        fingerprint = self.context.model.fingerprint
        with self._lock:
            self._sweep()
            workspace = self._open.get((name, author))
            if workspace is not None and workspace.fingerprint == fingerprint:
                workspace.refresh()
            else:
                workspace = self._open[name, author] = Workspace(self.context, name, author)
            workspace.touched = time.monotonic()
            return workspace

    def forget(self, names: Collection[str]) -> None:
        """Drop workspaces that were deleted from the ledger."""
        with self._lock:
            self._open = {key: workspace for key, workspace in self._open.items() if key[0] not in names}

    def clear(self) -> None:
        """Drop all: they belong to a model that has been replaced."""
        self._open = {}

    def stop(self) -> None:
        """Stop whatever runs in any of them."""
        with self._lock:
            for workspace in self._open.values():
                workspace.stop()

    def _sweep(self) -> None:
        since = time.monotonic() - self._kept_seconds
        idle = [(workspace.touched, key) for key, workspace in self._open.items() if not workspace.busy]
        least = sorted(idle)[: max(0, len(self._open) - MOST_OPEN)]
        for key in {key for touched, key in idle if touched < since} | {key for _, key in least}:
            del self._open[key]
