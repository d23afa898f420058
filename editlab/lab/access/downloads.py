"""Files that were made for somebody to take away.

Each stands behind a name that nobody guesses, for an hour, for whoever may enter the workspace that it was made from.
"""

from __future__ import annotations

import secrets
import time
from pathlib import Path

from editlab.errors import BadRequest
from editlab.lab.access.transfers import KEPT_SECONDS, Transfers
from editlab.lab.ledger.directory import Directory
from editlab.lab.ledger.ledger import Ledger


class Downloads(Transfers):
    """The downloads of one lab."""

    def __init__(self, ledger: Ledger, directory: Directory) -> None:
        super().__init__(ledger, "downloads")
        self._directory = directory
        self._offered: dict[str, tuple[str, Path, float]] = {}

    def place(self) -> Path:
        """Return a new, empty folder for one file. Raises `BadRequest` where nothing can be written."""
        self._sweep()
        return super().place()

    def offer(self, workspace: str, path: Path) -> str:
        """Let a file in such a folder be taken by whoever may enter a workspace; its name in the address."""
        token = secrets.token_urlsafe(16)
        with self._lock:
            self._offered[token] = workspace, path, time.monotonic()
        return token

    @property
    def offered(self) -> frozenset[str]:
        """The names of what can be taken now."""
        self._sweep()
        return frozenset(self._offered)

    def take(self, token: str, visitor: str | None) -> Path:
        """Return the file behind a token. `visitor`: who is logged in, None without a login. Raises `BadRequest`."""
        self._sweep()
        workspace, path, _ = self._offered.get(token, ("", None, 0.0))
        if path is None or not path.is_file() or (visitor is not None and not self._directory.may_enter(visitor, workspace)):
            raise BadRequest("There is no such file. Files are kept for an hour: make it again.")
        return path

    def _sweep(self) -> None:
        with self._lock:
            stale = [token for token, (_, _, at) in self._offered.items() if at < time.monotonic() - KEPT_SECONDS]
            for token in stale:
                self.remove(self._offered.pop(token)[1])
