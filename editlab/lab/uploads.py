"""Files that somebody sent, for the session of the page that sent them.

A file gets a name that nobody guesses; the first session that names it is its own from then on. How many files and bytes one
owner, and all together, may have here is bounded: an owner's newest file takes the place of the oldest.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from editlab.errors import BadRequest, TooMany
from editlab.lab import storage
from editlab.lab.transfers import KEPT_SECONDS, Transfers

if TYPE_CHECKING:
    from editlab.lab.lab import Lab

MOST_OWN, MOST_ALL = 20, 500
"""Files of one owner, and of all."""
MOST_OWN_BYTES, MOST_ALL_BYTES = 100 * 2**20, 2 * 2**30
LONGEST_NAME, LONGEST_SUFFIX = 50, 8
"""Characters of a file's own name: as bytes, they fit any file system."""


@dataclass
class Upload:
    """One file. `owner`: a login's name or the address that it came from; `session`: the one that named it first."""

    path: Path
    owner: str
    size: int
    at: float
    session: str | None = None


class Uploads(Transfers):
    """The uploads of one lab."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab.ledger, "uploads")
        self._kept: OrderedDict[str, Upload] = OrderedDict()

    def keep(self, name: str, content: bytes, owner: str) -> str:
        """Keep a file that was sent; what it is called here. Raises `TooMany` where there is no room, `BadRequest`."""
        with self._lock:
            self._sweep()
            self._make_room(owner, len(content))
            path = self.place() / _plain(name)
            try:
                with open(path, "xb", opener=storage.opener) as file:
                    file.write(content)
            except OSError as error:
                self.remove(path)
                raise BadRequest(
                    f"The file could not be saved: {error.strerror}. Tell whoever runs this EditLab."
                ) from error
            called = f"{path.parent.name}/{path.name}"
            self._kept[called] = Upload(path, owner, len(content), time.monotonic())
            return called

    def claim(self, called: str, session: str) -> Path:
        """Return the file that a session sent. Raises `BadRequest` where it sent none that is called so."""
        with self._lock:
            self._sweep()
            found = self._kept.get(called)
            if found is None or found.session not in (None, session) or not found.path.is_file():
                raise BadRequest("This file is no longer on the server. Choose it again.")
            found.session = session
            return found.path

    def cache(self) -> Path:
        """Return an empty folder, readable to its owner alone, for what the web framework may want to write."""
        return self.place()

    def __len__(self) -> int:
        return len(self._kept)

    def _make_room(self, owner: str, size: int) -> None:
        own = [called for called, upload in self._kept.items() if upload.owner == owner]
        while own and (len(own) >= MOST_OWN or size + sum(self._kept[called].size for called in own) > MOST_OWN_BYTES):
            self._drop(own.pop(0))
        if len(self._kept) >= MOST_ALL or size + sum(upload.size for upload in self._kept.values()) > MOST_ALL_BYTES:
            raise TooMany("Too many files were uploaded in the last hour. Try again later.")

    def _sweep(self) -> None:
        """Drop what is old, and what was read and taken away already."""
        old = time.monotonic() - KEPT_SECONDS
        for called in [name for name, upload in self._kept.items() if upload.at < old or not upload.path.exists()]:
            self._drop(called)

    def _drop(self, called: str) -> None:
        self.remove(self._kept.pop(called).path)


def _plain(name: str) -> str:
    """Return a file's own name as it can be kept: no folders, nothing that cannot be printed, not too long."""
    last = PurePosixPath(name.replace("\\", "/")).name
    shown = "".join(char for char in last if char.isprintable()).encode("utf-8", "ignore").decode().strip(". ")
    stem, suffix = PurePosixPath(shown or "file").stem, PurePosixPath(shown).suffix[:LONGEST_SUFFIX]
    return f"{stem[:LONGEST_NAME]}{suffix}"
