"""The whole ledger at once: checked from the first event to the last, and carried from one data folder to another.

An archive, or the bundle of one workspace, is a zip file: `events.jsonl`, a row a line with its hash, the tensor files that
they name, and either `workspaces.jsonl`, whose each workspace is and what it is called, or in a bundle `about.json`, which
says what people call the workspace and its model. It comes from anywhere: nothing of it is believed before it was checked,
and nothing is written before all of it was.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import torch

from editlab import storage
from editlab.errors import BadFile, EditLabError
from editlab.lab.ledger import directory
from editlab.lab.ledger.bodies import LONGEST_TOLD
from editlab.lab.ledger.directory import WorkspaceRow
from editlab.lab.ledger.events import START, Edit, edits_of, step, steps
from editlab.lab.ledger.files import ADDRESS, Shape, address_of, patches_in
from editlab.lab.ledger.ledger import HASHED, Behind, Ledger, event_of, fault_of, hash_of

if TYPE_CHECKING:
    from editlab.model import LanguageModel

EVENTS, WORKSPACES, ABOUT, SUFFIX = "events.jsonl", "workspaces.jsonl", "about.json", ".safetensors"
MOST_MOVED = 100
"""Up to so many changed events of a workspace are held against each other, to tell a moved one from a changed one."""

Row = Mapping[str, Any]
Read = Callable[[str], bytes]


@dataclass(frozen=True)
class BundleLimits:
    """The most that an archive may hold.

    `bytes`: of all that it holds, unpacked; `events`: of rows and of the edits in them, and of files; `event_bytes`: of the
    rows' text; `ratio`: how many times what is packed it may unpack to, where that is more than `SMALL`.
    """

    bytes: int
    events: int
    event_bytes: int
    ratio: float


ARCHIVE = BundleLimits(8 * 2**30, 10_000_000, 2 * 2**30, 1_000.0)
"""What the terminal takes."""
SMALL = 2**20
"""Bytes that harm nobody, however small they were packed."""


@dataclass(frozen=True)
class Report:
    """How many events and tensor files there are, and in a sentence each what is wrong with them.

    `workspaces`: of how many it says whose they are and what they are called.
    """

    events: int
    files: int
    faults: tuple[str, ...] = ()
    workspaces: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing is."""
        return not self.faults


@dataclass(frozen=True)
class Archive:
    """What an archive holds, checked: its rows, its workspaces, its files by address, and what is said about it."""

    rows: tuple[Row, ...]
    workspaces: tuple[WorkspaceRow, ...]
    files: Mapping[str, bytes]
    about: Mapping[str, Any]
    report: Report


def verify(ledger: Ledger, workspace: str | None = None) -> Report:
    """Whether every event and every file, of all or of one workspace, is what was written, in order, and none is missing.

    An event that is missing at the end of a workspace is missed in the count of all, so that is told in both cases.
    """
    rows, gone = ledger.rows(None if workspace is None else [workspace])
    report = checked(rows, ledger.tensors.read)
    if not gone:
        return report
    told = "An event was taken out of the ledger." if gone == 1 else f"{gone} events were taken out of the ledger."
    return Report(report.events, report.files, (told, *report.faults))


def export(ledger: Ledger, path: Path, workspaces: Collection[str] | None = None) -> Report:
    """Write an archive of these workspaces, or of all, also those that were deleted or in which nothing has happened.

    Raises `BadFile` where something is damaged or not to be written.
    """
    rows, _ = ledger.rows(workspaces)
    return write(path, rows, ledger.tensors.read, directory.rows(ledger, workspaces))


def write(
    path: Path,
    rows: Iterable[Row],
    read: Read,
    workspaces: Collection[WorkspaceRow] = (),
    about: Mapping[str, Any] | None = None,
) -> Report:
    """Write rows and the files that they name into a new archive, which its owner alone may read. Raises as `export`."""
    rows = list(rows)
    report = checked(rows, read)
    _refuse(report, "What is to be exported")
    try:
        with open(path, "xb", opener=storage.opener) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            lines = (json.dumps({name: row[name] for name in (*HASHED, "hash")}, ensure_ascii=False) for row in rows)
            archive.writestr(EVENTS, "".join(f"{line}\n" for line in lines))
            for address in addresses(rows):
                archive.writestr(f"{address}{SUFFIX}", read(address))
            if workspaces:
                archive.writestr(WORKSPACES, "".join(f"{row.model_dump_json()}\n" for row in workspaces))
            if about is not None:
                archive.writestr(ABOUT, json.dumps(about, ensure_ascii=False))
    except OSError as error:
        raise BadFile(f"{path} cannot be written: {error.strerror}. Give a new file in a folder that is there.") from error
    return replace(report, workspaces=len(workspaces))


def opened(path: Path, limits: BundleLimits = ARCHIVE) -> Archive:
    """What an archive holds. Raises `BadFile` where it is none, is damaged, or holds other files or too much."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(path, archive.infolist(), limits)
            if members[EVENTS].file_size > limits.event_bytes:
                raise _too_much(path, members[EVENTS].file_size / 2**20, limits.event_bytes / 2**20, "MB of events")
            text = _unpacked(archive, members[EVENTS]).decode("utf-8")
            if (count := text.count("\n") + 1) > limits.events:
                raise _too_much(path, count, limits.events, "events")
            rows = tuple(_row(json.loads(line)) for line in text.split("\n") if line)
            if (count := len(rows) + sum(1 for _ in _edits(rows))) > limits.events:
                raise _too_much(path, count, limits.events, "events and edits")
            files = {address: _unpacked(archive, members[f"{address}{SUFFIX}"]) for address in addresses(rows)}
            about = json.loads(_unpacked(archive, members[ABOUT])) if ABOUT in members else {}
            lines = _unpacked(archive, members[WORKSPACES]).split(b"\n") if WORKSPACES in members else ()
            workspaces = tuple(WorkspaceRow.model_validate_json(line) for line in lines if line)
            if not isinstance(about, dict):
                raise TypeError(f"{ABOUT} is no object")
            if len({row.id for row in workspaces}) != len(workspaces):
                raise ValueError(f"{WORKSPACES} names a workspace twice")
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
        why = str(error)[:LONGEST_TOLD]
        raise BadFile(f"{path.name} is not an archive that editlab ledger export wrote: {why}") from error

    def read(address: str) -> bytes:
        if address_of(files[address]) != address:
            raise BadFile(f"{path.name}: the file {address} was changed after it was written.")
        return files[address]

    report = checked(rows, read)
    _refuse(report, path.name)
    return Archive(rows, workspaces, files, about, replace(report, workspaces=len(workspaces)))


def bring_in(ledger: Ledger, path: Path, model: LanguageModel | None = None, called: str = "another one") -> Report:
    """Add an archive's workspaces to a ledger; of one that is there already, the events that are missing.

    A workspace keeps its owner and its name, or where that is taken gets a free one behind it; one of which the archive says
    neither, as older ones do, becomes a shared one. Raises `BadFile` where the archive is damaged, where a workspace went
    another way here, and where it holds edits that were made for another model than `model`, which people call `called`, or
    do not fit it; then nothing is added.
    """
    archive = opened(path)
    if model is not None:
        refuse_other_model(archive, model.fingerprint, called)
        check_fit(archive, model)
    ids = {row["workspace"] for row in archive.rows}
    there = {_place(row): row["hash"] for row in ledger.rows()[0] if row["workspace"] in ids}
    for row in archive.rows:
        if there.get(_place(row), row["hash"]) != row["hash"]:
            raise BadFile(f"The workspace {row['workspace']!r} went another way here. Import into another data folder.")
    named = {row.id for row in archive.workspaces}
    name = archive.about.get("workspace") if len(ids) == 1 else None
    unnamed = [directory.row_without_owner(id, name) for id in dict.fromkeys(row["workspace"] for row in archive.rows)]

    def settle(connection: sa.Connection) -> None:
        directory.add_rows(connection, (*archive.workspaces, *(row for row in unnamed if row.id not in named)))

    add(ledger, archive.files, [row for row in archive.rows if _place(row) not in there], settle)
    return archive.report


def add(
    ledger: Ledger, files: Mapping[str, bytes], rows: list[Row], also: Callable[[sa.Connection], None] = lambda _: None
) -> None:
    """Write files, then rows that name them and what goes with those. Raises `BadFile`; then none of the rows is there."""
    for content in files.values():
        ledger.tensors.keep(content)
    try:
        ledger.extend(rows, also)
    except Behind as error:
        raise BadFile("A workspace was changed while it was imported. Import again.") from error


def check_fit(archive: Archive, model: LanguageModel, most: int = ARCHIVE.bytes) -> None:
    """Raise `BadFile` where an archive's patches do not fit a model, or more than `most` bytes of them lie there at a time.

    Either would harm whoever opens its workspaces.
    """
    shape, cpu, solves, pathways = Shape.of(model), torch.device("cpu"), set(), set()

    def weight(edit: Edit) -> int:
        return sum(len(archive.files[address]) for address in edit.files)

    try:
        for _, own in groupby(sorted(archive.rows, key=_key), key=_key):
            for event, _, _, lying in steps(map(event_of, own), weight):
                if lying > most:
                    raise ValueError(f"{lying / 2**20:,.0f} MB of patches lie over the model after event {event.number}")
                for edit in edits_of(event):
                    shape.check(edit.layers, (), ())
                    solves.update(edit.solves)
                    pathways.update(edit.pathways)
        for address in solves:
            shape.check((), patches_in(archive.files[address], cpu), ())
        for address in pathways:
            shape.check((), (), patches_in(archive.files[address], cpu))
    except (BadFile, KeyError, ValueError) as error:
        raise BadFile(f"The bundle does not fit together: {error}. Export it again where it comes from.") from error


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
    for edit in _edits(rows):
        try:
            found |= dict.fromkeys([*edit["solves"], *edit.get("pathways", ())])
        except (KeyError, TypeError):
            continue  # the row's own check says what is wrong with it
    return tuple(address for address in found if isinstance(address, str))


def _edits(rows: Iterable[Row]) -> Iterator[Mapping[str, Any]]:
    """The edits in the bodies of events, none of which was checked."""
    for row in rows:
        try:
            body = json.loads(row["body"])
        except (ValueError, RecursionError):
            continue
        given = body if isinstance(body, dict) else {}
        edits = given.get("edits") if isinstance(given.get("edits"), list) else []
        yield from (edit for edit in (*edits, given.get("edit")) if isinstance(edit, dict))


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
            except (EditLabError, ValueError, RecursionError) as error:
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


def _members(path: Path, members: list[zipfile.ZipInfo], limits: BundleLimits) -> dict[str, zipfile.ZipInfo]:
    """The members by name. Raises `BadFile` for anything that no archive of ours has, and for more than may be unpacked."""
    if len(members) > limits.events + 3:
        raise _too_much(path, len(members), limits.events, "files")
    found: dict[str, zipfile.ZipInfo] = {}
    for member in members:
        name = member.filename
        known = name in (EVENTS, WORKSPACES, ABOUT) or (
            name.endswith(SUFFIX) and ADDRESS.fullmatch(name.removesuffix(SUFFIX))
        )
        if not known or name in found or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BadFile(f"{path.name} holds {name[:80]!r}, which no bundle of EditLab does. Export it again.")
        found[name] = member
    size, packed = sum(member.file_size for member in members), path.stat().st_size
    if size > limits.bytes:
        raise _too_much(path, size / 2**20, limits.bytes / 2**20, "MB")
    if size > max(SMALL, limits.ratio * packed):
        raise BadFile(
            f"{path.name} would unpack to {size / packed:,.0f} times its size, which no bundle of EditLab does. Export it "
            "again."
        )
    return found


def _too_much(path: Path, count: float, most: float, what: str) -> BadFile:
    return BadFile(
        f"{path.name} would unpack to {count:,.0f} {what}; {most:,.0f} {what} are taken here. Larger ones go by the "
        "terminal: editlab ledger import."
    )


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """A member's bytes. No more than it says to have are ever unpacked: read as a whole, a false size comes out too late."""
    with archive.open(member) as file:
        content = file.read(member.file_size)
        if len(content) != member.file_size or file.read(1):
            raise zipfile.BadZipFile(f"{member.filename} has another size than it says")
        return content


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
