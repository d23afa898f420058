"""A folder of files on their way in or out: each in a folder of its own whose name nobody guesses, for an hour.

A process has a folder to itself, readable to its owner alone; those of processes that have ended are taken away.
"""

from __future__ import annotations

import secrets
import shutil
import threading
from pathlib import Path

from editlab.errors import BadRequest
from editlab.lab import storage
from editlab.lab.ledger import Ledger

KEPT_SECONDS = 3600.0
"""How long a file stays."""


class Transfers:
    """The folder `name` of a ledger's data folder, made when the first file comes."""

    def __init__(self, ledger: Ledger, name: str) -> None:
        self._lock = threading.Lock()
        self._folder = ledger.folder / name / ledger.session
        for left in self._folder.parent.glob("*"):
            if not ledger.alive(left.name):
                shutil.rmtree(left, ignore_errors=True)

    def place(self) -> Path:
        """Return a new empty folder to make a file in. Raises `BadRequest` where nothing can be written."""
        folder = self._folder / secrets.token_hex(16)
        try:
            storage.make_folder(self._folder)
            folder.mkdir(storage.FOLDER_MODE)
        except OSError as error:
            raise BadRequest(f"No file can be saved: {error.strerror}. Tell whoever runs this EditLab.") from error
        return folder

    def close(self) -> None:
        """Take all files away."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @staticmethod
    def remove(path: Path) -> None:
        """Take a file away with the folder that it lies in."""
        shutil.rmtree(path.parent, ignore_errors=True)
