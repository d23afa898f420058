"""The whole ledger at once: checked from the first event to the last, and carried from one data folder to another.

An archive, or the bundle of one workspace, is a zip file: `events.jsonl`, a row a line with its hash, the tensor files that
they name, and `about.json`, which says what people call the workspace and its model. It comes from anywhere: nothing of it
is believed before it was checked, and nothing is written before all of it was.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from editlab.errors import BadFile, EditLabError
from editlab.lab.history import START, step
from editlab.lab.ledger import HASHED, Behind, Ledger, event_of, fault_of, hash_of
from editlab.lab.tensors import ADDRESS, address_of

EVENTS, ABOUT, SUFFIX = "events.jsonl", "about.json", ".safetensors"
MOST_BYTES = 8 * 2**30
"""Of what an archive holds, unpacked."""
MOST_MOVED = 100
"""Up to so many changed events of a workspace are held against each other, to tell a moved one from a changed one."""

Row = Mapping[str, Any]
Read = Callable[[str], bytes]


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


@dataclass(frozen=True)
class Archive:
    """What an archive holds, checked: its rows, its files by address, and what is said about it."""

    rows: tuple[Row, ...]
    files: Mapping[str, bytes]
    about: Mapping[str, Any]
    report: Report


def verify(ledger: Ledger, workspace: str | None = None) -> Report:
    """Whether every event and every file, of all or of one workspace, is what was written, in order, and none is missing.

    An event that is missing at the end of a workspace is missed in the count of all, so that is told in both cases.
    """
    rows, written = ledger.rows()
    report = checked((row for row in rows if workspace in (None, row["workspace"])), ledger.tensors.read)
    gone = written - len(rows)
    if not gone:
        return report
    told = "An event was taken out of the ledger." if gone == 1 else f"{gone} events were taken out of the ledger."
    return Report(report.events, report.files, (told, *report.faults))


def export(ledger: Ledger, path: Path, workspace: str | None = None) -> Report:
    """Write an archive of all workspaces, or of one. Raises `BadFile` where something is damaged or not to be written."""
    return write(path, [row for row in ledger.rows()[0] if workspace in (None, row["workspace"])], ledger.tensors.read)


def write(path: Path, rows: Iterable[Row], read: Read, about: Mapping[str, Any] | None = None) -> Report:
    """Write rows and the files that they name into a new archive. Raises `BadFile` as `export`."""
    rows = list(rows)
    report = checked(rows, read)
    _refuse(report, "What is to be exported")
    try:
        with zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED) as archive:
            lines = (json.dumps({name: row[name] for name in (*HASHED, "hash")}, ensure_ascii=False) for row in rows)
            archive.writestr(EVENTS, "".join(f"{line}\n" for line in lines))
            for address in addresses(rows):
                archive.writestr(f"{address}{SUFFIX}", read(address))
            if about is not None:
                archive.writestr(ABOUT, json.dumps(about, ensure_ascii=False))
    except OSError as error:
        raise BadFile(f"{path} cannot be written: {error.strerror}. Give a new file in a folder that is there.") from error
    return report


def opened(path: Path, most: int = MOST_BYTES) -> Archive:
    """What an archive holds. Raises `BadFile` where it is none, is damaged, or holds other files or too many bytes."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(path, archive.infolist(), most)
            rows = tuple(_row(json.loads(line)) for line in archive.read(EVENTS).decode("utf-8").split("\n") if line)
            files = {address: archive.read(f"{address}{SUFFIX}") for address in addresses(rows)}
            about = json.loads(archive.read(ABOUT)) if ABOUT in archive.namelist() else {}
            if not isinstance(about, dict):
                raise TypeError(f"{ABOUT} is no object")
    except (
        OSError,
        KeyError,
        TypeError,
        ValueError,
        RuntimeError,  # encrypted, or nested too deeply
        EOFError,
        zlib.error,
        zipfile.BadZipFile,
    ) as error:
        raise BadFile(f"{path.name} is not an archive that editlab ledger export wrote: {error}") from error

    def read(address: str) -> bytes:
        if address_of(files[address]) != address:
            raise BadFile(f"{path.name}: the file {address} was changed after it was written.")
        return files[address]

    report = checked(rows, read)
    _refuse(report, path.name)
    return Archive(rows, files, about, report)


def bring_in(ledger: Ledger, path: Path, model: str | None = None, called: str = "another one") -> Report:
    """Add an archive's workspaces to a ledger; of one that is there already, the events that are missing.

    Raises `BadFile` where the archive is damaged, where a workspace went another way here, and where it holds edits of
    another model than `model`, a fingerprint, where that is given, which people call so; then nothing is added.
    """
    archive = opened(path)
    if model is not None:
        refuse_other_model(archive, model, called)
    there = {_place(row): row["hash"] for row in ledger.rows()[0]}
    for row in archive.rows:
        if there.get(_place(row), row["hash"]) != row["hash"]:
            raise BadFile(f"The workspace {row['workspace']!r} went another way here. Import into another data folder.")
    add(ledger, archive.files, [row for row in archive.rows if _place(row) not in there])
    return archive.report


def add(ledger: Ledger, files: Mapping[str, bytes], rows: list[Row]) -> None:
    """Write files, then rows that name them. Raises `BadFile`; then none of the rows is there."""
    for content in files.values():
        ledger.tensors.keep(content)
    try:
        ledger.extend([dict(row) for row in rows])
    except Behind as error:
        raise BadFile("A workspace was changed while it was imported. Import again.") from error


def rechained(rows: Iterable[Row], workspace: str) -> list[Row]:
    """One workspace's rows under another id: every event as it was, with its time, and hashes of their own."""
    chained: list[Row] = []
    for row in rows:
        own = {**row, "workspace": workspace, "previous": chained[-1]["hash"] if chained else ""}
        chained.append({**own, "hash": hash_of(own)})
    return chained


def refuse_other_model(archive: Archive, model: str, loaded: str) -> None:
    """Raise `BadFile` where an archive has edits of another model than that of a fingerprint, which is called `loaded`."""
    others = {row["model"] for row in archive.rows} - {model}
    if others:
        known = archive.about.get("model")
        name = f"{known[:80]} " if isinstance(known, str) else "another model "
        told = ", ".join(sorted(other[:12] for other in others))
        raise BadFile(
            f"These edits belong to {name}(fingerprint {told}); loaded is {loaded} ({model[:12]}). An edit means nothing "
            "over other weights, or over the same in another precision: load that model, then import again."
        )


def checked(rows: Iterable[Row], read: Read) -> Report:
    """Whether rows are what was written and follow each other, and `read` finds every file that they name."""
    rows = sorted(rows, key=_key)  # stable: within a workspace as they were written
    faults = [fault for _, own in groupby(rows, key=_key) for fault in _faults(list(own))]
    named = addresses(rows)
    for address in named:
        try:
            read(address)
        except BadFile as error:
            faults.append(str(error))
    return Report(len(rows), len(named), tuple(faults))


def addresses(rows: Iterable[Row]) -> tuple[str, ...]:
    """The tensor files that events name, each once."""
    found: dict[str, None] = {}
    for row in rows:
        try:
            body = json.loads(row["body"])
            for edit in (*body.get("edits", ()), body.get("edit", {})):
                if isinstance(edit, dict) and edit:
                    found |= dict.fromkeys([*edit["solves"], *edit.get("pathways", ())])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue  # the row's own check says what is wrong with it
    return tuple(address for address in found if ADDRESS.fullmatch(address))


def _faults(rows: list[Row]) -> list[str]:
    """What is wrong with one workspace's rows; behind a missing or unreadable one, only the chain is checked."""
    faults, state, previous, number, moved = [], START, "", 0, _moved(rows)
    for row in sorted(rows, key=lambda row: row["number"]):
        number += 1
        if row["number"] in moved:
            faults.append(f"Workspace {row['workspace']!r}: {moved[row['number']]}")
        elif fault := fault_of(row, number, previous):
            faults.append(fault)
        elif not faults:
            try:
                state = step(state, event_of(row))
            except (EditLabError, ValueError, AttributeError, RecursionError) as error:
                faults.append(f"Workspace {row['workspace']!r}: {error}")
        previous, number = row["hash"], row["number"]
    return faults


def _moved(rows: list[Row]) -> dict[int, str]:
    """What is said of events that stand at another place than that at which they were written, by their number."""
    found, last = {}, 0
    for row in rows:
        if row["number"] <= last:
            found[row["number"]] = f"event {row['number']} stands behind event {last}: they were reordered."
        last = max(last, row["number"])
    changed = [row for row in rows if row["hash"] != hash_of(row)]
    for row in changed[:MOST_MOVED]:
        others = (other["number"] for other in changed[:MOST_MOVED])
        real = next((number for number in others if hash_of({**row, "number": number}) == row["hash"]), None)
        if real is not None:
            found[row["number"]] = f"event {real} stands at place {row['number']}: they were reordered."
    return found


def _check_members(path: Path, members: list[zipfile.ZipInfo], most: int) -> None:
    """Raise `BadFile` for anything that no archive of ours has, and for more than may be unpacked."""
    seen: set[str] = set()
    for name in (member.filename for member in members):
        known = name in (EVENTS, ABOUT) or (name.endswith(SUFFIX) and ADDRESS.fullmatch(name.removesuffix(SUFFIX)))
        if not known or name in seen:
            raise BadFile(f"{path.name} holds {name[:80]!r}, which no bundle of EditLab does. Export it again.")
        seen.add(name)
    size = sum(member.file_size for member in members)
    if size > most:
        raise BadFile(
            f"{path.name} would unpack to {size / 2**20:,.0f} MB; {most / 2**20:,.0f} MB are taken here. Larger ones go by "
            "the terminal: editlab ledger import."
        )


def _refuse(report: Report, what: str) -> None:
    if report.faults:
        raise BadFile(f"{what} is damaged: {report.faults[0]} Run: editlab ledger verify")


def _row(row: Row) -> Row:
    """A row of an archive. Raises `TypeError` or `KeyError` for what is none."""
    for name in (*HASHED, "hash"):
        wanted = int if name == "number" else str
        if type(row[name]) is not wanted:
            raise TypeError("an event has a field of another type")
        str(row[name]).encode()
    if not isinstance(json.loads(row["body"]), dict):
        raise TypeError("an event's body is no object")
    return row


def _key(row: Row) -> tuple[str, str]:
    return row["model"], row["workspace"]


def _place(row: Row) -> tuple[str, str, int]:
    return row["model"], row["workspace"], row["number"]
