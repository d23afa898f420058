"""Backup of a ledger, also while others write to it: the database at one moment, and the files that it names.

The copy is a data folder like any other. It omits what is not part of the ledger: the secret of the logins, locks of running
processes, uploads and downloads, and key statistics, masks and benchmarks, which can be copied as files.
"""

from __future__ import annotations

from pathlib import Path

from editlab import storage
from editlab.errors import BadFile
from editlab.lab.ledger import archive
from editlab.lab.ledger.expiry import named_files
from editlab.lab.ledger.files import Files
from editlab.lab.ledger.ledger import DATABASE, OPENING, RUNNING, Ledger


def backup(ledger: Ledger, folder: Path) -> archive.Report:
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
                report = archive.verify(copy)
            (part / OPENING).unlink(missing_ok=True)
            (part / RUNNING).rmdir()
    except OSError as error:
        raise BadFile(f"{folder} cannot be written: {error.strerror}. Give a new folder on a disk with room.") from error
    return report


def _copy(source: Files, target: Files, addresses: set[str]) -> None:
    """Copy these files except damaged and missing ones, which `verify` reports."""
    for address in sorted(addresses):
        try:
            content = source.read(address)
        except BadFile:
            continue
        target.keep(content)
