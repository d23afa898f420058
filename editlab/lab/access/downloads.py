"""Downloads: files that were made for a visitor.

Each has a random name in the address, for an hour, for everybody who may enter the workspace from which it was made.
"""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import NamedTuple

from editlab.errors import BadRequest
from editlab.lab.access.transfers import KEPT_SECONDS, Transfers
from editlab.lab.ledger.directory import Directory
from editlab.lab.ledger.ledger import Ledger


class Download(NamedTuple):
    """A file, the id of its workspace, and the time when it was offered (monotonic seconds)."""

    workspace: str
    path: Path
    at: float


class Downloads(Transfers):
    """The downloads of one lab."""

    def __init__(self, ledger: Ledger, directory: Directory) -> None:
        super().__init__(ledger, "downloads")
        self._directory = directory
        self._downloads: dict[str, Download] = {}

    def new_folder(self) -> Path:
        """Return a new, empty folder for one file. Raises `BadRequest` where nothing can be written."""
        self._sweep()
        return super().new_folder()

    def offer(self, workspace: str, path: Path) -> str:
        """Offer a file in such a folder to everybody who may enter a workspace, and return its name in the address."""
        token = secrets.token_urlsafe(16)
        with self._lock:
            self._downloads[token] = Download(workspace, path, time.monotonic())
        return token

    @property
    def tokens(self) -> frozenset[str]:
        """The names of the files that can be downloaded now."""
        self._sweep()
        return frozenset(self._downloads)

    def take(self, token: str, visitor: str | None) -> Path:
        """Return the file behind a token. `visitor`: the id of the user, None without a login. Raises `BadRequest`."""
        self._sweep()
        download = self._downloads.get(token)
        if (
            download is None
            or not download.path.is_file()
            or (visitor is not None and not self._directory.may_enter(visitor, download.workspace))
        ):
            raise BadRequest("There is no such file. Files are kept for an hour: make it again.")
        return download.path

    def _sweep(self) -> None:
        """Delete files that are older than an hour."""
        oldest = time.monotonic() - KEPT_SECONDS
        with self._lock:
            for token in [token for token, download in self._downloads.items() if download.at < oldest]:
                self.remove(self._downloads.pop(token).path)
