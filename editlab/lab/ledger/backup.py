"""Backup of a ledger, also while others write to it: the database at one moment, and the files that it names.

The copy is a data folder like any other. It omits what is not part of the ledger: the secret of the logins, locks of running
processes, uploads and downloads, and key statistics, masks and benchmarks, which can be copied as files.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from editlab import storage
from editlab.errors import BadFile
from editlab.lab.ledger import audit
from editlab.lab.ledger.expiry import named_files
from editlab.lab.ledger.files import Files, TensorFiles
from editlab.lab.ledger.ledger import DATABASE, OPENING, RUNNING, Ledger


def backup(ledger: Ledger, folder: Path) -> audit.Report:
    """Copy a ledger into a new folder, check the copy event by event and file by file, and return the report.

    Raises `BadFile` where the folder exists or cannot be written; then nothing is left there.
    """
    folder = Path(folder).expanduser().absolute()
    try:
        with storage.new_folder(folder, storage.FOLDER_MODE) as part:
            ledger.copy(part / DATABASE)
            with Ledger(part) as copy:
                tensors, requests = named_files(copy)
                _copy(ledger.tensors, copy.tensors, tensors)
                own = {path.name for path in ledger.files.folder.glob("*") if path.name in requests}
                _copy(ledger.files, copy.files, own)
                report = audit.verify(copy)
            (part / OPENING).unlink(missing_ok=True)
            (part / RUNNING).rmdir()
    except OSError as error:
        raise BadFile(f"{folder} cannot be written: {error.strerror}. Give a new folder on a disk with room.") from error
    return report


@contextmanager
def to_read(folder: Path) -> Iterator[Ledger]:
    """Open a copy of a folder's ledger, which reads the files of the folder: of that nothing is changed.

    Raises `BadFile` for a ledger that is damaged or of a newer version.
    """
    with TemporaryDirectory() as place:
        copy = Path(place)
        try:
            _copy_database(folder, copy)
            with Ledger(copy) as ledger:
                ledger.tensors, ledger.files = TensorFiles(folder / "tensors"), Files(folder / "files")
                yield ledger
        except BadFile as error:
            raise BadFile(str(error).replace(place, str(folder))) from error


def _copy_database(folder: Path, copy: Path) -> None:
    """Copy a database into another folder. SQLite does it where a process has it open, which shows by its third file."""
    source = folder / DATABASE
    try:
        if (folder / f"{DATABASE}-shm").exists():
            uri = f"{source.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True)) as opened, closing(sqlite3.connect(copy / DATABASE)) as target:
                opened.backup(target)
            return
        for path in (source, folder / f"{DATABASE}-wal"):
            if path.exists():
                shutil.copyfile(path, copy / path.name)
    except (OSError, sqlite3.Error) as error:
        raise BadFile(f"The ledger in {folder} cannot be read: {error}. Give a folder that you may read.") from error


def _copy(source: Files, target: Files, addresses: set[str]) -> None:
    """Copy these files except damaged and missing ones, which `verify` reports."""
    for address in sorted(addresses):
        try:
            content = source.read(address)
        except BadFile:
            continue
        target.keep(content)
