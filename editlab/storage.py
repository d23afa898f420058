"""Files and folders on the disk: written as a whole or not at all, and readable only to their owner."""

from __future__ import annotations

import errno
import glob
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from editlab.errors import BadFile
from editlab.wording import noop

FILE_MODE, FOLDER_MODE = 0o600, 0o700
"""The rights of files and folders that only their owner may read."""
OTHERS = 0o077
"""The rights of everybody but the owner."""
LOCK, LOCKED_AFTER = "lock", 60.0
"""The lock in a folder that is being written, and seconds after which it is certainly held by whoever writes."""
POSIX = os.name == "posix"
"""Whether files have owners and rights, as on Unix."""


def opener(path: str, flags: int) -> int:
    """Open a file; make a new one readable only to its owner. For use as `open(path, "xb", opener=opener)`."""
    return os.open(path, flags, FILE_MODE)


def write(path: Path, content: bytes) -> None:
    """Write or replace a file, readable only to its owner, as a whole or not at all. Raises `OSError`.

    It is on the disk when this returns. A file that root writes (sudo) gets the folder's owner, because the server has to
    read it.
    """
    with new_file(path) as part:
        with open(part, "xb", opener=opener) as file:
            file.write(content)
        _give_to_owner(part)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file, which replaces `path` at the end of the block; after an error, nothing is left.

    The file is on the disk afterwards. Where `path` is a link, the file that it leads to is replaced. Raises `OSError` where
    the disk refuses, and for what is there and is no ordinary file (a device).
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, noop("it is no ordinary file"), str(path))
    part = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        yield part
        sync(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    sync(path.parent)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep a file as it is, until the block ends, for all who take this lock before they read and change it.

    The lock is a file beside it, which stays. Raises `OSError` where that cannot be written, or its folder is not there.
    """
    path = Path(os.path.realpath(path))
    lock = path.with_name(f".{path.name}.lock")
    path.parent.stat()
    with FileLock(lock, mode=FILE_MODE):
        _give_to_owner(lock)
        yield


def make_folder(path: Path) -> None:
    """Make a folder that only its owner may enter; restrict one that exists, or that another makes now. Raises `OSError`."""
    if not path.is_dir():
        path.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        _give_to_owner(path)
    path.chmod(FOLDER_MODE)


@contextmanager
def new_folder(folder: Path, mode: int = 0o777) -> Iterator[Path]:
    """Yield an empty folder, which is renamed to `folder` at the end of the block; after an error, nothing is left.

    All that the block wrote is on the disk before the folder gets its name. What a killed process has left of it is removed.
    Raises `BadFile` where the name is taken, `OSError` where the disk refuses.
    """
    if folder.is_file() or (folder.is_dir() and os.listdir(folder)):
        raise BadFile(f"{folder} exists already. Give the name of a new folder.")
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(folder)
        part.mkdir(FOLDER_MODE)
        with FileLock(part / LOCK):
            new = part / "new"
            new.mkdir(mode)
            yield new
            sync(*new.rglob("*"), new)
            new.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    sync(folder.parent)


def _remove_abandoned(folder: Path) -> None:
    """Remove what was begun as this folder by processes that are gone: nobody holds its lock."""
    for part in folder.parent.glob(f".{glob.escape(folder.name)}.*.tmp"):
        with suppress(OSError, Timeout):
            if time.time() - part.stat().st_mtime > LOCKED_AFTER:
                with FileLock(part / LOCK, timeout=0):
                    shutil.rmtree(part, ignore_errors=True)


def sync(*paths: Path) -> None:
    """Flush files, and folders' lists of names, to the disk. Raises `OSError`."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def is_exposed(path: Path) -> bool:
    """Return whether others than the owner may read or change a file. Raises `OSError`."""
    return POSIX and bool(path.stat().st_mode & OTHERS)


def stamp(path: Path) -> tuple[int, int, int]:
    """Return a value that changes whenever a file is replaced or written. Raises `OSError`."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _give_to_owner(path: Path) -> None:
    """Give a file or folder that root made to the owner of its parent folder."""
    if POSIX and os.geteuid() == 0:
        parent = path.parent.stat()
        os.chown(path, parent.st_uid, parent.st_gid)
