"""Files and folders on the disk: written as a whole or not at all, and readable to their owner alone."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from editlab.errors import BadFile

FILE_MODE, FOLDER_MODE = 0o600, 0o700
"""The rights of what its owner alone may read."""
OTHERS = 0o077
"""The rights of everybody but the owner."""
POSIX = os.name == "posix"
"""Whether files have owners and rights as Unix knows them."""


def opener(path: str, flags: int) -> int:
    """Open a file and, where it is new, let its owner alone read it: `open(path, "xb", opener=opener)`."""
    return os.open(path, flags, FILE_MODE)


def write(path: Path, content: bytes) -> None:
    """Write or replace a file, readable to its owner alone, as a whole or not at all. Raises `OSError`.

    It is on the disk when this returns. Where root writes it (sudo), it belongs to the folder's owner: the server has
    to read it.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb", opener=opener) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _hand_over(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder that its owner alone enters, or make it so. Raises `OSError`."""
    if not path.is_dir():
        path.mkdir(FOLDER_MODE, parents=True)
        _hand_over(path)
    path.chmod(FOLDER_MODE)


@contextmanager
def new_folder(folder: Path, mode: int = 0o777) -> Iterator[Path]:
    """Yield an empty folder, which is called `folder` once the block has ended; where that fails, nothing is left.

    Raises `BadFile` where there is something of that name already, `OSError` for what the disk refuses.
    """
    if folder.is_file() or (folder.is_dir() and os.listdir(folder)):
        raise BadFile(f"{folder} is there already. Give the name of a new folder.")
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part.mkdir(mode)
        yield part
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def sync(*paths: Path) -> None:
    """Bring files, and folders' lists of names, to the disk. Raises `OSError`."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def exposed(path: Path) -> bool:
    """Return whether others than its owner may read or change a file. Raises `OSError`."""
    return POSIX and bool(path.stat().st_mode & OTHERS)


def _hand_over(path: Path) -> None:
    """Give what root makes to the owner of the folder around it."""
    if POSIX and os.geteuid() == 0:
        around = path.parent.stat()
        os.chown(path, around.st_uid, around.st_gid)
