"""Archives: a whole ledger, or some of its workspaces, as one file.

An archive, or the bundle of one workspace, is a zip file. It has `events.jsonl`, one row a line with its hash, and the
tensor files that the events name. An archive also has `workspaces.jsonl`, the owners and names of the workspaces; a bundle
has `about.json`, the names of the workspace and the model. An archive may be forged: everything is checked before anything
is written.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import torch

from editlab import storage
from editlab.errors import BadFile
from editlab.lab.ledger import directory
from editlab.lab.ledger.audit import Read, Report, Row, addresses, by_workspace, check, edits_in
from editlab.lab.ledger.bodies import LONGEST_FAULT
from editlab.lab.ledger.directory import WorkspaceRow
from editlab.lab.ledger.events import Edit, edits_of, steps
from editlab.lab.ledger.files import ADDRESS, Shape, address_of, patches_in
from editlab.lab.ledger.ledger import HASHED, Behind, Ledger, event_of, hash_of
from editlab.wording import count, join, noop, size

if TYPE_CHECKING:
    from editlab.model import LanguageModel

EVENTS, WORKSPACES, ABOUT, SUFFIX = "events.jsonl", "workspaces.jsonl", "about.json", ".safetensors"


@dataclass(frozen=True)
class BundleLimits:
    """The limits of an archive.

    `bytes`: of all files, unpacked; `events`: of the rows and the edits in them, and of the files; `event_bytes`: of the
    rows' text; `ratio`: of the unpacked to the packed size, where the unpacked size is more than `SMALL`.
    """

    bytes: int
    events: int
    event_bytes: int
    ratio: float


ARCHIVE = BundleLimits(8 * 2**30, 10_000_000, 2 * 2**30, 1_000.0)
"""The limits on the terminal."""
SMALL = 2**20
"""The unpacked bytes up to which any ratio is allowed."""


@dataclass(frozen=True)
class Archive:
    """The checked content of an archive: its rows, its workspaces, its files by address, and its `about.json`."""

    rows: tuple[Row, ...]
    workspaces: tuple[WorkspaceRow, ...]
    files: Mapping[str, bytes]
    about: Mapping[str, Any]
    report: Report


def export(ledger: Ledger, path: Path, workspaces: Collection[str] | None = None) -> Report:
    """Write an archive of these workspaces, or of all, including deleted ones and those without events.

    Raises `BadFile` where events or files are damaged, or the archive cannot be written.
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
    """Write rows and the files that they name into a new archive that only its owner may read. Raises as `export` does."""
    rows = list(rows)
    report = check(rows, read)
    _refuse(report, "The ledger")
    try:
        if path.exists():
            raise BadFile(f"{path} exists already. Give the name of a new file.")
        with (
            storage.new_file(path) as part,
            open(part, "xb", opener=storage.opener) as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            lines = (json.dumps({name: row[name] for name in (*HASHED, "hash")}, ensure_ascii=False) for row in rows)
            archive.writestr(EVENTS, "".join(f"{line}\n" for line in lines))
            for address in addresses(rows):
                archive.writestr(f"{address}{SUFFIX}", read(address))
            if workspaces:
                archive.writestr(WORKSPACES, "".join(f"{row.model_dump_json()}\n" for row in workspaces))
            if about is not None:
                archive.writestr(ABOUT, json.dumps(about, ensure_ascii=False))
    except OSError as error:
        raise BadFile(f"{path} cannot be written: {error.strerror}. Give a new file in an existing folder.") from error
    return replace(report, workspaces=len(workspaces))


def open_archive(path: Path, limits: BundleLimits = ARCHIVE) -> Archive:
    """Return the checked content of an archive. Raises `BadFile` where it is damaged, too large, or no archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(path, archive.infolist(), limits)
            if members[EVENTS].file_size > limits.event_bytes:
                raise _too_large(path, noop(f"{size(members[EVENTS].file_size)} of events"), size(limits.event_bytes))
            text = _unpack(archive, members[EVENTS]).decode("utf-8")
            if (lines := text.count("\n") + 1) > limits.events:
                raise _too_large(path, count(lines, "event"), f"{limits.events:,}")
            rows = tuple(_check_row(json.loads(line)) for line in text.split("\n") if line)
            if (items := len(rows) + sum(1 for _ in edits_in(rows))) > limits.events:
                raise _too_large(path, noop(f"{items:,} events and edits"), f"{limits.events:,}")
            files = {address: _unpack(archive, members[f"{address}{SUFFIX}"]) for address in addresses(rows)}
            about = json.loads(_unpack(archive, members[ABOUT])) if ABOUT in members else {}
            workspace_lines = _unpack(archive, members[WORKSPACES]).split(b"\n") if WORKSPACES in members else ()
            workspaces = tuple(WorkspaceRow.model_validate_json(line) for line in workspace_lines if line)
            if not isinstance(about, dict):
                raise TypeError(f"{ABOUT} is no object")
            if len({row.id for row in workspaces}) != len(workspaces):
                raise ValueError(noop(f"{WORKSPACES} names a workspace twice"))
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
        why = str(error)[:LONGEST_FAULT]
        raise BadFile(f"{path.name} is not an archive that editlab ledger export wrote: {why}") from error

    def read(address: str) -> bytes:
        if address_of(files[address]) != address:
            raise BadFile(f"{path.name}: the file {address} was changed after it was written.")
        return files[address]

    report = check(rows, read)
    _refuse(report, path.name)
    return Archive(rows, workspaces, files, about, replace(report, workspaces=len(workspaces)))


def import_archive(
    ledger: Ledger, path: Path, model: LanguageModel | None = None, model_name: str = "another model"
) -> Report:
    """Add the workspaces of an archive to a ledger; to a workspace that exists, the events that are missing.

    A workspace keeps its owner and its name; a name that is taken gets a number. A workspace without a row in the archive,
    as in older ones, becomes a shared one. Raises `BadFile` where the archive is damaged, where a workspace has other events
    here, and where edits belong to another model than `model` or do not fit it; then nothing is added.
    """
    archive = open_archive(path)
    if model is not None:
        refuse_other_model(archive, model.fingerprint, model_name)
        check_fit(archive, model)
    ids = {row["workspace"] for row in archive.rows}
    known = {_place(row): row["hash"] for row in ledger.rows()[0] if row["workspace"] in ids}
    for row in archive.rows:
        if known.get(_place(row), row["hash"]) != row["hash"]:
            raise BadFile(f"The workspace {row['workspace']!r} has other events here. Import into another data folder.")
    with_row = {row.id for row in archive.workspaces}
    name = archive.about.get("workspace") if len(ids) == 1 else None
    without_row = [directory.row_without_owner(id, name) for id in dict.fromkeys(row["workspace"] for row in archive.rows)]

    def add_workspaces(connection: sa.Connection) -> None:
        directory.add_rows(connection, (*archive.workspaces, *(row for row in without_row if row.id not in with_row)))

    add(ledger, archive.files, [row for row in archive.rows if _place(row) not in known], add_workspaces)
    return archive.report


def add(
    ledger: Ledger, files: Mapping[str, bytes], rows: list[Row], also: Callable[[sa.Connection], None] = lambda _: None
) -> None:
    """Write files, then the rows that name them and what `also` writes. Raises `BadFile`; then no row is added."""
    for content in files.values():
        ledger.tensors.keep(content)
    try:
        ledger.extend(rows, also)
    except Behind as error:
        raise BadFile("A workspace was changed during the import. Import again.") from error


def check_fit(archive: Archive, model: LanguageModel, most: int = ARCHIVE.bytes) -> None:
    """Raise `BadFile` where an archive's patches do not fit a model, or more than `most` bytes of them are applied at once.

    Its workspaces could not be opened, or would fill the memory.
    """
    shape, cpu, pathways = Shape.of(model), torch.device("cpu"), set()
    solves: set[tuple[str, tuple[int, ...]]] = set()

    def weight(edit: Edit) -> int:
        return sum(len(archive.files[address]) for address in edit.files)

    try:
        for _, own in groupby(sorted(archive.rows, key=by_workspace), key=by_workspace):
            for event, _, _, applied in steps(map(event_of, own), weight):
                if applied > most:
                    raise ValueError(noop(f"{size(applied)} of patches are applied after event {event.number}"))
                for edit in edits_of(event):
                    shape.check(edit.layers, (), ())
                    solves.update((address, tuple(edit.layers)) for address in edit.solves)
                    pathways.update(edit.pathways)
        for address, layers in solves:
            shape.check(layers, patches_in(archive.files[address], cpu), ())
        for address in pathways:
            shape.check((), (), patches_in(archive.files[address], cpu))
    except (BadFile, KeyError, ValueError) as error:
        raise BadFile(f"The bundle does not fit together: {error}. Export it again where it was made.") from error


def rechain(rows: Iterable[Row], workspace: str) -> list[Row]:
    """Return the rows of one workspace under another id. Events and times are unchanged; the hashes are new."""
    chained: list[Row] = []
    for row in rows:
        own = {**row, "workspace": workspace, "previous": chained[-1]["hash"] if chained else ""}
        chained.append({**own, "hash": hash_of(own)})
    return chained


def refuse_other_model(archive: Archive, fingerprint: str, name: str) -> None:
    """Raise `BadFile` where an archive has edits of another model than the one with this fingerprint and name."""
    others = {row["model"] for row in archive.rows} - {fingerprint}
    if others:
        other = archive.about.get("model")
        other = other[:80] if isinstance(other, str) else "another model"
        raise BadFile(
            f"These edits belong to {other} (fingerprint {join(sorted(own[:12] for own in others))}), but {name} "
            f"({fingerprint[:12]}) is loaded. An edit is valid only for the same weights in the same precision: load that "
            "model, then import again."
        )


def _members(path: Path, members: list[zipfile.ZipInfo], limits: BundleLimits) -> dict[str, zipfile.ZipInfo]:
    """Return the members by name. Raises `BadFile` for a file that no archive of EditLab has, and for a large archive."""
    if len(members) > limits.events + 3:
        raise _too_large(path, count(len(members), "file"), f"{limits.events:,}")
    found: dict[str, zipfile.ZipInfo] = {}
    for member in members:
        name = member.filename
        known = name in (EVENTS, WORKSPACES, ABOUT) or (
            name.endswith(SUFFIX) and ADDRESS.fullmatch(name.removesuffix(SUFFIX))
        )
        if not known or name in found or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BadFile(f"{path.name} holds {name[:80]!r}, which no bundle of EditLab does. Export it again.")
        found[name] = member
    unpacked, packed = sum(member.file_size for member in members), path.stat().st_size
    if unpacked > limits.bytes:
        raise _too_large(path, size(unpacked), size(limits.bytes))
    if unpacked > max(SMALL, limits.ratio * packed):
        raise BadFile(
            f"{path.name} would unpack to {unpacked / packed:,.0f} times its size, which no bundle of EditLab does. Export "
            "it again."
        )
    return found


def _too_large(path: Path, amount: str, most: str) -> BadFile:
    return BadFile(
        f"{path.name} would unpack to {amount}; at most {most} are accepted here. Import a larger one on the terminal: "
        "editlab ledger import."
    )


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return a member's bytes. Never reads more than its declared size, which may be false."""
    with archive.open(member) as file:
        content = file.read(member.file_size)
        if len(content) != member.file_size or file.read(1):
            raise zipfile.BadZipFile(noop(f"{member.filename} has another size than it declares"))
        return content


def _refuse(report: Report, what: str) -> None:
    if report.faults:
        raise BadFile(f"{what} is damaged: {report.faults[0]} Run: editlab ledger verify")


def _check_row(row: Row) -> Row:
    """Return a row of an archive. Raises `TypeError` or `KeyError` for a row that is not valid."""
    for name in (*HASHED, "hash"):
        wanted = int if name == "number" else str
        if type(row[name]) is not wanted:
            raise TypeError("an event has a field of another type")
        str(row[name]).encode()
    if not isinstance(json.loads(row["body"]), dict):
        raise TypeError("an event's body is no object")
    return row


def _place(row: Row) -> tuple[str, str, int]:
    return row["model"], row["workspace"], row["number"]
