"""Files that nobody but their owner may read: the users' hashes, the secret that cookies are signed with."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import NamedTemporaryFile

OTHERS = 0o077
"""The rights of everybody but the owner."""
POSIX = os.name == "posix"
"""Whether files have owners and rights as Unix knows them."""


def write(path: Path, text: str) -> None:
    """Replace a file, readable to its owner alone, as a whole or not at all. Raises `OSError`.

    Where root writes it (sudo), it belongs to whoever owns the folder: the server has to read it.
    """
    with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}-", delete=False, encoding="utf-8") as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            _hand_over(Path(file.name))
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def make_folder(path: Path) -> None:
    """Make a folder that its owner alone enters, or make it so. Raises `OSError`."""
    if not path.is_dir():
        path.mkdir(parents=True)
        _hand_over(path)
    path.chmod(0o700)


def exposed(path: Path) -> bool:
    """Whether others than its owner may read or change a file. Raises `OSError`."""
    return POSIX and bool(path.stat().st_mode & OTHERS)


def _hand_over(path: Path) -> None:
    """Let what root makes belong to whoever owns the folder around it."""
    if POSIX and os.geteuid() == 0:
        around = path.parent.stat()
        os.chown(path, around.st_uid, around.st_gid)
