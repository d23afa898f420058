"""The workspaces that are in memory, one for each author; the others are read from the ledger."""

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
    """The open workspaces of one lab. They leave the memory after `kept_seconds` without use."""

    def __init__(self, context: Context, kept_seconds: float = KEPT_SECONDS) -> None:
        self.context = context
        self._kept_seconds = kept_seconds
        self._open: dict[tuple[str, str], Workspace] = {}
        self._lock = threading.Lock()
        context.loaded.watchers.append(self.clear)

    def __len__(self) -> int:
        return len(self._open)

    def open(self, name: str, author: str = "") -> Workspace:
        """Return a workspace, up to date with the ledger, for an author. Raises `BadFile` for a changed ledger."""
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

    def drop(self, names: Collection[str]) -> None:
        """Drop workspaces that were deleted from the ledger."""
        with self._lock:
            self._open = {key: workspace for key, workspace in self._open.items() if key[0] not in names}

    def clear(self) -> None:
        """Drop all workspaces, because their model was replaced."""
        self._open = {}

    def stop(self) -> None:
        """Stop the jobs of all workspaces."""
        with self._lock:
            for workspace in self._open.values():
                workspace.stop()

    def _sweep(self) -> None:
        since = time.monotonic() - self._kept_seconds
        idle = [(workspace.touched, key) for key, workspace in self._open.items() if not workspace.busy]
        least = sorted(idle)[: max(0, len(self._open) - MOST_OPEN)]
        for key in {key for touched, key in idle if touched < since} | {key for _, key in least}:
            del self._open[key]
