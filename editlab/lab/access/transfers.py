"""Folders of uploads and downloads: each file is in a folder of its own with a random name, for an hour.

Each process has its own folder, which only its owner can read. The folders of processes that have ended are deleted.
"""

from __future__ import annotations

import secrets
import shutil
import threading
from pathlib import Path

from editlab import storage
from editlab.errors import BadRequest
from editlab.lab.ledger.ledger import Ledger

KEPT_SECONDS = 3600.0
"""How long a file is kept."""


class Transfers:
    """The folder `name` in a ledger's data folder, made with the first file."""

    def __init__(self, ledger: Ledger, name: str) -> None:
        self._lock = threading.Lock()
        self._folder = ledger.folder / name / ledger.session
        for folder in self._folder.parent.glob("*"):
            if not ledger.alive(folder.name):
                shutil.rmtree(folder, ignore_errors=True)

    def new_folder(self) -> Path:
        """Return a new, empty folder for one file. Raises `BadRequest` where nothing can be written."""
        folder = self._folder / secrets.token_hex(16)
        try:
            storage.make_folder(self._folder)
            folder.mkdir(storage.FOLDER_MODE)
        except OSError as error:
            raise BadRequest(f"No file can be saved: {error.strerror}. Ask the operator of this EditLab.") from error
        return folder

    def close(self) -> None:
        """Delete all files."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @staticmethod
    def remove(path: Path) -> None:
        """Delete a file with its folder."""
        shutil.rmtree(path.parent, ignore_errors=True)
