"""Uploaded files, each for the session of the page that uploaded it.

A file gets a random name and belongs to the first session that names it. The files and bytes of each owner, and of all
owners together, are limited: an owner's newest file replaces the oldest.
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
"""Characters of a file's original name and of its suffix, which fit any file system."""


@dataclass
class Upload:
    """One file. `owner`: the user or the address that sent it; `session`: the first one that named it, None before that."""

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
        """Keep a file and return its name on this server. Raises `TooMany` where there is no room, or `BadRequest`."""
        with self._lock:
            self._sweep()
            self._make_room(owner, len(content))
            path = self.new_folder() / _safe_name(name)
            try:
                with open(path, "xb", opener=storage.opener) as file:
                    file.write(content)
            except OSError as error:
                self.remove(path)
                raise BadRequest(
                    f"The file could not be saved: {error.strerror}. Ask the operator of this EditLab."
                ) from error
            kept_name = f"{path.parent.name}/{path.name}"
            self._kept[kept_name] = Upload(path, owner, len(content), time.monotonic())
            return kept_name

    def claim(self, name: str, session: str) -> Path:
        """Return the path of a session's file. Raises `BadRequest` where the session has none of that name."""
        with self._lock:
            self._sweep()
            upload = self._kept.get(name)
            if upload is None or upload.session not in (None, session) or not upload.path.is_file():
                raise BadRequest("This file is no longer on the server. Choose it again.")
            upload.session = session
            return upload.path

    def cache(self) -> Path:
        """Return an empty folder that only its owner can read, for Gradio's own files."""
        return self.new_folder()

    def __len__(self) -> int:
        return len(self._kept)

    def _make_room(self, owner: str, size: int) -> None:
        own = [name for name, upload in self._kept.items() if upload.owner == owner]
        while own and (len(own) >= MOST_OWN or size + sum(self._kept[name].size for name in own) > MOST_OWN_BYTES):
            self._drop(own.pop(0))
        if len(self._kept) >= MOST_ALL or size + sum(upload.size for upload in self._kept.values()) > MOST_ALL_BYTES:
            raise TooMany("Too many files were uploaded in the last hour. Try again later.")

    def _sweep(self) -> None:
        """Drop files that are older than an hour, and those that were read and deleted."""
        oldest = time.monotonic() - KEPT_SECONDS
        for name in [name for name, upload in self._kept.items() if upload.at < oldest or not upload.path.exists()]:
            self._drop(name)

    def _drop(self, name: str) -> None:
        self.remove(self._kept.pop(name).path)


def _safe_name(name: str) -> str:
    """Return a file's name without folders and unprintable characters, short enough for any file system."""
    last = PurePosixPath(name.replace("\\", "/")).name
    shown = "".join(char for char in last if char.isprintable()).encode("utf-8", "ignore").decode().strip(". ")
    stem, suffix = PurePosixPath(shown or "file").stem, PurePosixPath(shown).suffix[:LONGEST_SUFFIX]
    return f"{stem[:LONGEST_NAME]}{suffix}"
