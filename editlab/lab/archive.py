"""The whole ledger at once: checked from the first event to the last, and carried from one data folder to another.

An archive is a zip file: `events.jsonl`, a row a line with its hash, and the tensor files that they name.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from editlab.errors import BadFile
from editlab.lab.history import START, Event, step
from editlab.lab.ledger import HASHED, Behind, Ledger, fault_of
from editlab.lab.tensors import ADDRESS, address_of

EVENTS = "events.jsonl"

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Report:
    """How many events and tensor files there are, and in a sentence each what is wrong with them."""

    events: int
    files: int
    faults: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is."""
        return not self.faults


def verify(ledger: Ledger) -> Report:
    """Whether every event and every file is what was written, and none is missing."""
    rows, written = ledger.rows()
    report = _checked(rows, ledger.tensors.read)
    gone = written - len(rows)
    if not gone:
        return report
    told = "An event was taken out of the ledger." if gone == 1 else f"{gone} events were taken out of the ledger."
    return Report(report.events, report.files, (told, *report.faults))


def export(ledger: Ledger, path: Path, workspace: str | None = None) -> Report:
    """Write an archive of all workspaces, or of one. Raises `BadFile` where something is damaged or not to be written."""
    rows = [row for row in ledger.rows()[0] if workspace in (None, row["workspace"])]
    report = _checked(rows, ledger.tensors.read)
    _refuse(report, str(ledger.folder))
    try:
        with zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED) as archive:
            lines = (json.dumps({name: row[name] for name in (*HASHED, "hash")}, ensure_ascii=False) for row in rows)
            archive.writestr(EVENTS, "".join(f"{line}\n" for line in lines))
            for address in _addresses(rows):
                archive.writestr(f"{address}.safetensors", ledger.tensors.read(address))
    except OSError as error:
        raise BadFile(f"{path} cannot be written: {error.strerror}. Give a new file in a folder that is there.") from error
    return report


def bring_in(ledger: Ledger, path: Path) -> Report:
    """Add an archive's workspaces to a ledger; of one that is there already, the events that are missing.

    Raises `BadFile` where the archive is damaged, or where a workspace went another way here; then nothing is added.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            rows = [_row(json.loads(line)) for line in archive.read(EVENTS).decode("utf-8").split("\n") if line]
            files = {address: archive.read(f"{address}.safetensors") for address in _addresses(rows)}
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise BadFile(f"{path} is not an archive that editlab ledger export wrote: {error}") from error

    def read(address: str) -> bytes:
        if address_of(files[address]) != address:
            raise BadFile(f"{path}: the file {address} was changed after it was written.")
        return files[address]

    report = _checked(rows, read)
    _refuse(report, str(path))
    there = {_place(row): row["hash"] for row in ledger.rows()[0]}
    for row in rows:
        if there.get(_place(row), row["hash"]) != row["hash"]:
            raise BadFile(f"The workspace {row['workspace']!r} went another way here. Import into another data folder.")
    for content in files.values():
        ledger.tensors.keep(content)
    try:
        ledger.extend([row for row in rows if _place(row) not in there])
    except Behind as error:
        raise BadFile("A workspace was changed while it was imported. Import again.") from error
    return report


def _checked(rows: Iterable[Row], read: Callable[[str], bytes]) -> Report:
    rows = sorted(rows, key=_key)  # stable: within a workspace as they were written
    faults = [fault for _, own in groupby(rows, key=_key) for fault in _faults(own)]
    addresses = _addresses(rows)
    for address in addresses:
        try:
            read(address)
        except BadFile as error:
            faults.append(str(error))
    return Report(len(rows), len(addresses), tuple(faults))


def _faults(rows: Iterable[Row]) -> list[str]:
    """What is wrong with one workspace's rows; behind a missing or unreadable one, only the chain is checked."""
    faults, state, previous, number = [], START, "", 0
    for row in rows:
        number += 1
        if fault := fault_of(row, number, previous):
            faults.append(fault)
        elif not faults:
            try:
                state = step(state, Event(number, row["kind"], json.loads(row["body"])))
            except (BadFile, ValueError) as error:
                faults.append(f"Workspace {row['workspace']!r}: {error}")
        previous, number = row["hash"], row["number"]
    return faults


def _addresses(rows: Iterable[Row]) -> tuple[str, ...]:
    """The tensor files that events name, each once."""
    found: dict[str, None] = {}
    for row in rows:
        try:
            body = json.loads(row["body"])
            for edit in (*body.get("edits", ()), body.get("edit", {})):
                if isinstance(edit, dict) and edit:
                    found |= dict.fromkeys([*edit["solves"], *edit.get("pathways", ())])
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # the row's own check says what is wrong with it
    return tuple(address for address in found if ADDRESS.fullmatch(address))


def _refuse(report: Report, what: str) -> None:
    if report.faults:
        raise BadFile(f"{what} is damaged: {report.faults[0]} Run: editlab ledger verify")


def _row(row: Row) -> Row:
    """A row of an archive. Raises `TypeError` or `KeyError` for what is none."""
    if any(not isinstance(row[name], int if name == "number" else str) for name in (*HASHED, "hash")):
        raise TypeError("an event has a field of another type")
    return row


def _key(row: Row) -> tuple[str, str]:
    return row["model"], row["workspace"]


def _place(row: Row) -> tuple[str, str, int]:
    return row["model"], row["workspace"], row["number"]
