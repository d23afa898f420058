"""Uploaded files, each for the session of the page that uploaded it.

A file gets an unguessable name and belongs to the first session that names it. The files and bytes of each owner, and of all
together, are bounded: an owner's newest file replaces the oldest.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from editlab import storage
from editlab.errors import BadRequest, TooMany
from editlab.lab.access.transfers import KEPT_SECONDS, Transfers
from editlab.lab.ledger.ledger import Ledger

MOST_OWN, MOST_ALL = 20, 500
"""Files of one owner, and of all together."""
MOST_OWN_BYTES, MOST_ALL_BYTES = 100 * 2**20, 2 * 2**30
LONGEST_NAME, LONGEST_SUFFIX = 50, 8
"""Characters of a file's own name: as bytes, they fit any file system."""


@dataclass
class Upload:
    """One file. `owner`: the user or the address that sent it; `session`: the first one that named it."""

    path: Path
    owner: str
    size: int
    at: float
    session: str | None = None


class Uploads(Transfers):
    """The uploads of one lab."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger, "uploads")
        self._kept: OrderedDict[str, Upload] = OrderedDict()

    def keep(self, name: str, content: bytes, owner: str) -> str:
        """Keep a file and return its name. Raises `TooMany` where there is no room, or `BadRequest`."""
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
        """Return the path of a session's file. Raises `BadRequest` where the session has none of that name."""
        with self._lock:
            self._sweep()
            found = self._kept.get(called)
            if found is None or found.session not in (None, session) or not found.path.is_file():
                raise BadRequest("This file is no longer on the server. Choose it again.")
            found.session = session
            return found.path

    def cache(self) -> Path:
        """Return an empty folder that only its owner can read, for whatever Gradio may write."""
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
        """Drop old files, and those that were read and deleted already."""
        old = time.monotonic() - KEPT_SECONDS
        for called in [name for name, upload in self._kept.items() if upload.at < old or not upload.path.exists()]:
            self._drop(called)

    def _drop(self, called: str) -> None:
        self.remove(self._kept.pop(called).path)


def _plain(name: str) -> str:
    """Return a file's own name without folders and unprintable characters, shortened to what any file system takes."""
    last = PurePosixPath(name.replace("\\", "/")).name
    shown = "".join(char for char in last if char.isprintable()).encode("utf-8", "ignore").decode().strip(". ")
    stem, suffix = PurePosixPath(shown or "file").stem, PurePosixPath(shown).suffix[:LONGEST_SUFFIX]
    return f"{stem[:LONGEST_NAME]}{suffix}"
