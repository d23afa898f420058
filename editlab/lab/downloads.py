"""Files that were made for somebody to take away.

Each stands behind a name that nobody guesses, for an hour, for whoever may enter the workspace that it was made from.
"""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from editlab.errors import BadRequest

if TYPE_CHECKING:
    from editlab.lab.lab import Lab

KEPT_SECONDS = 3600.0
FOLDER = "downloads"


class Downloads:
    """The downloads of one lab; those of a process that has ended are taken away."""

    def __init__(self, lab: Lab) -> None:
        self._lab, self._lock = lab, threading.Lock()
        self._folder = lab.ledger.folder / FOLDER / lab.ledger.session
        self._offered: dict[str, tuple[str, Path, float]] = {}
        for left in (lab.ledger.folder / FOLDER).glob("*"):
            if not lab.ledger.alive(left.name):
                shutil.rmtree(left, ignore_errors=True)

    def place(self) -> Path:
        """A new empty folder to make a file in. Raises `BadRequest` where nothing can be written."""
        self._sweep()
        folder = self._folder / secrets.token_hex(8)
        try:
            folder.mkdir(parents=True, mode=0o700)
        except OSError as error:
            raise BadRequest(f"No file can be made here: {error.strerror}. Ask whoever runs this EditLab.") from error
        return folder

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
        """The file of a name. `visitor`: whoever is logged in, None where nobody has to. Raises `BadRequest`."""
        self._sweep()
        workspace, path, _ = self._offered.get(token, ("", None, 0.0))
        if (
            path is None
            or not path.is_file()
            or (visitor is not None and not self._lab.directory.may_enter(visitor, workspace))
        ):
            raise BadRequest("There is no such file, or not any more: it is kept for an hour. Make it again.")
        return path

    def close(self) -> None:
        """Take all files away."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _sweep(self) -> None:
        with self._lock:
            stale = [token for token, (_, _, at) in self._offered.items() if at < time.monotonic() - KEPT_SECONDS]
            for token in stale:
                shutil.rmtree(self._offered.pop(token)[1].parent, ignore_errors=True)
