"""Exports: a workspace's edits in the formats of other tools.

An export is written into a temporary folder, flushed to the disk and renamed, so that a stop or a crash leaves nothing
incomplete under the name that was asked for.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from safetensors import SafetensorError

from editlab import __version__, methods, storage
from editlab.errors import BadFile, BadRequest
from editlab.exports import FORMATS, Entry, Export, Happening, Past, format_named
from editlab.exports.entry import base_of, requests_of
from editlab.exports.format import STOPPED, Format
from editlab.forensics.manifest import Manifest
from editlab.lab.access.downloads import Downloads
from editlab.lab.job import Job, JobProgress, Parts
from editlab.lab.kinds import Kind
from editlab.lab.ledger import audit
from editlab.lab.ledger.directory import WorkspaceInfo
from editlab.lab.workspaces import history
from editlab.lab.workspaces.workspace import Workspace
from editlab.patches import View
from editlab.wording import count, join
from editlab.wording import size as bytes_of
from editlab.work import Cancel, Progress, never, no_progress, stop_if


def entries(workspace: Workspace) -> tuple[Entry, ...]:
    """Return the edits that are on, in order, as plain entries."""
    model, seed = workspace.context.model, workspace.context.seed
    return tuple(
        Entry(
            requests=record.requests,
            method=record.method,
            config=vars(methods.config_for(record.method, model, **{"seed": seed, **record.config})),
            layers=record.layers,
            patches=record.patches,
            pathways=record.pathways if record.rep_on else (),
            rep=record.rep if record.rep_on else None,
            names=record.names,
            author=record.author,
            at=record.at,
            reason=record.reason,
            health=record.health,
            id=record.id,
        )
        for record in workspace.records
        if record.on
    )


def id_of(workspace: Workspace, number: int) -> str:
    """Return the id of an edit by its number among those that are on. Raises `BadRequest` where there is none."""
    on = [record.id for record in workspace.records if record.on]
    if not 1 <= number <= len(on):
        raise BadRequest(f"There is no edit {number}: {count(len(on), 'edit is', 'edits are')} on. Choose one of them.")
    return on[number - 1]


def count_requests(workspace: Workspace, only: str = "") -> int:
    """Return how many requests an export holds: of the edits that are on, or of the one whose id is `only`."""
    return sum(len(record.requests) for record in workspace.records if record.on and only in ("", record.id))


def notes(workspace: Workspace, format: str, only: str = "", rank: int | None = None) -> tuple[str, ...]:
    """Return what an export in this format omits or changes, one sentence each. Raises `BadRequest` as `export` does."""
    return format_named(format).notes_for(_export_of(workspace, only, rank))


def size(workspace: Workspace, format: str, only: str = "", rank: int | None = None) -> int | None:
    """Return how many bytes an export takes, about; None where that is little. Raises `BadRequest` as `export` does."""
    return _size_of(format_named(format), _export_of(workspace, only, rank))


def _size_of(chosen: Format, contents: Export) -> int | None:
    if contents.rank is not None and not chosen.cuts:
        raise BadRequest(f"{chosen.name} has no rank to cut. Only adapters have: {join(_adapters())}.")
    return None if chosen.size is None else chosen.size(contents)


def _adapters() -> list[str]:
    return [name for name, form in FORMATS.items() if form.cuts]


def export(
    workspace: Workspace,
    format: str,
    folder: Path,
    progress: Progress = no_progress,
    cancel: Cancel = never,
    only: str = "",
    rank: int | None = None,
) -> list[Path]:
    """Write the edits that are on, or the one whose id is `only`, into a new folder, and return its files.

    `rank`: what an adapter is cut to, one that vLLM takes.

    Raises `BadRequest` for an unknown format, where no edit is on, and for an edit that the format cannot hold; `BadFile`
    where the folder exists or cannot be written; `Cancelled`, after which nothing is left.
    """
    parts = export_parts(workspace, format, folder, progress, cancel, only, rank)
    while True:
        try:
            next(parts)
        except StopIteration as end:
            return end.value


def export_parts(
    workspace: Workspace,
    format: str,
    folder: Path,
    progress: Progress,
    cancel: Cancel,
    only: str = "",
    rank: int | None = None,
) -> Parts[list[Path]]:
    """Do the same part by part, so that others get the model between them."""
    return _write_parts(format_named(format), _export_of(workspace, only, rank), folder, progress, cancel)


def _write_parts(
    chosen: Format, contents: Export, folder: Path, progress: Progress, cancel: Cancel, copies: int = 1
) -> Parts[list[Path]]:
    """Write an export part by part, so that others get the model between them. `copies`: what the disk has to hold of it."""
    folder = Path(folder).expanduser().absolute()
    _check_room(folder, copies * (_size_of(chosen, contents) or 0))
    try:
        with storage.new_folder(folder) as part:
            progress(0.0, f"writing {chosen.name}")
            yield from chosen.write_all(contents, part, progress, cancel)
            stop_if(cancel, STOPPED)
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise BadFile(
            f"{folder} cannot be written: {why}. Give a new folder on a disk with room, where you may write."
        ) from error
    return sorted(path for path in folder.rglob("*") if path.is_file())


def about(workspace: Workspace, name: str, only: str = "") -> Manifest:
    """Return what the manifest of an export called `name` says: the base, the edits, and the ledger's last event."""
    model, past = workspace.context.model, _past_of(workspace, workspace.state.number)
    chosen = [record for record in workspace.records if record.on and only in ("", record.id)]
    base = base_of(model)
    return Manifest(
        editlab=__version__,
        name=name,
        base=Path(base).name if Path(base).exists() else base,
        base_fingerprint=model.fingerprint,
        edits=tuple(record.name for record in chosen),
        workspace=past.workspace,
        ledger=past.last,
    )


def offer(workspace: Workspace, info: WorkspaceInfo, format: str, downloads: Downloads, only: str = "") -> Job[str]:
    """Export the edits that are on now, or one of them, as a job; its result is the file's token among the downloads.

    Several files are packed into one (.zip); a single one is offered as it is. Raises `BadRequest` as `export`.
    """
    chosen, contents = format_named(format), _export_of(workspace, only)
    folder, name = downloads.new_folder(), f"{file_name(info)}-{format}"

    def work(progress: JobProgress, cancel: Cancel) -> Parts[str]:
        token = ""
        try:
            own = replace(contents, ground=workspace.context.ground)  # the model may have been loaded again since
            files = yield from _write_parts(chosen, own, folder / name, progress, cancel, copies=2)  # and packed
            progress(0.9, "packing")
            token = downloads.offer(info.id, _packed(folder / name, files, file_name(info)))
        finally:
            if not token:
                shutil.rmtree(folder, ignore_errors=True)  # nobody could fetch what is left, and the disk may be full
        progress.note(result={"download": token})
        return token

    return workspace.submit(work, Kind.EXPORT, title=f"{format}: {info.name}")


def _packed(folder: Path, files: Sequence[Path], name: str) -> Path:
    """Return the one file of an export, or one with all of them, beside the folder, which is deleted. Raises `BadFile`."""
    try:
        if len(files) == 1:
            path = files[0].replace(folder.with_name(f"{name}-{files[0].name}"))
        else:
            path = Path(shutil.make_archive(str(folder), "zip", folder.parent, folder.name))
        shutil.rmtree(folder)
    except OSError as error:
        raise BadFile(f"The export could not be packed: {error.strerror}. Make room on the disk, then try again.") from error
    return path


def file_name(info: WorkspaceInfo) -> str:
    """Return a workspace's name as the beginning of a file's."""
    return re.sub(r"[^A-Za-z0-9]+", "-", info.name).strip("-").lower()[:40] or "workspace"


def _check_room(folder: Path, needed: int) -> None:
    """Raise `BadFile` where the disk of a new folder is too small for what is written there."""
    there = next((path for path in folder.parents if path.exists()), None)
    free = shutil.disk_usage(there).free if there else needed
    if free < needed:
        raise BadFile(
            f"The export needs {bytes_of(needed)}, and {there} has {bytes_of(free)} free. Make room, or give a folder on "
            "another disk."
        )


def _export_of(workspace: Workspace, only: str = "", rank: int | None = None) -> Export:
    """Return the contents of an export. Raises `BadRequest` where no edit is on, and as `Workspace.views_under` does."""
    chosen = entries(workspace)
    if not chosen:
        raise BadRequest("There is no edit to export. Apply one or switch one on first.")
    views = workspace.views_under(workspace.masked, workspace.guarded)
    masks = [mask for view in views.values() for mask in view.masks]
    view = workspace.robust or workspace.view
    requests = requests_of(chosen)
    if only:
        chosen = tuple(entry for entry in chosen if entry.id == only)
        if not chosen:
            raise BadRequest("This edit is off or not in the list any more. Choose one that is on.")
        patches = (*chosen[0].patches, *chosen[0].pathways)
        view = View(patches, view.threshold)
    ground, past = workspace.context.ground, partial(_past_of, workspace, workspace.state.number)
    return Export(ground, chosen, view.with_patches(masks), views, past, rank, requests)


def _past_of(workspace: Workspace, number: int) -> Past:
    """Return the events of a workspace up to this one with their hashes, and what the check of the ledger finds."""
    context, name = workspace.context, workspace.name
    rows = [row for row in context.ledger.read(workspace.key) if row[0].number <= number]
    made = {event.number: event.body.get("edit", {}).get("id", "") for event, _ in rows}
    hashes = {event.number: hash for event, hash in rows}
    events = tuple(
        Happening(m.number, m.at, m.author, m.text, m.edits, hashes[m.number], made[m.number])
        for m in history.moments_of(event for event, _ in rows)
    )
    info, faults = context.directory.look_up(name), audit.verify(context.ledger, name).faults
    for text in (f"Workspace {name!r}: ", f"{context.ledger.tensors.folder}/"):  # not for readers
        faults = tuple(fault.replace(text, "") for fault in faults)
    return Past(info.name if info else name, events, faults, rows[-1][1] if rows else "")
