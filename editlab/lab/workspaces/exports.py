"""Exports: a workspace's edits in the formats of other tools.

An export is written into a temporary folder, flushed to the disk and renamed, so that a stop or a crash leaves nothing
incomplete under the name that was asked for.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from safetensors import SafetensorError

from editlab import methods, storage
from editlab.errors import BadFile, BadRequest
from editlab.exports import Entry, Export, format_named
from editlab.exports.format import STOPPED
from editlab.lab.access.downloads import Downloads
from editlab.lab.kinds import Kind
from editlab.lab.ledger.directory import WorkspaceInfo
from editlab.lab.worker import Job, JobProgress
from editlab.lab.workspaces.workspace import Workspace
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
        )
        for record in workspace.records
        if record.on
    )


def notes(workspace: Workspace, format: str) -> tuple[str, ...]:
    """Return what an export in this format omits or changes, one sentence each. Raises `BadRequest` as `export` does."""
    return format_named(format).notes_for(_export_of(workspace))


def export(
    workspace: Workspace, format: str, folder: Path, progress: Progress = no_progress, cancel: Cancel = never
) -> list[Path]:
    """Write the edits that are on into a new folder, and return its files.

    Raises `BadRequest` for an unknown format, where no edit is on, and for an edit that the format cannot hold; `BadFile`
    where the folder exists or cannot be written; `Cancelled`, after which nothing is left.
    """
    chosen, contents = format_named(format), _export_of(workspace)
    folder = Path(folder).expanduser().absolute()
    try:
        with storage.new_folder(folder) as part:
            progress(0.0, f"writing {format}")
            chosen.write_all(contents, part, progress, cancel)
            storage.sync(*part.rglob("*"), part)
            stop_if(cancel, STOPPED)
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise BadFile(
            f"{folder} cannot be written: {why}. Give a new folder on a disk with room, where you may write."
        ) from error
    return sorted(path for path in folder.rglob("*") if path.is_file())


def offer(workspace: Workspace, info: WorkspaceInfo, format: str, downloads: Downloads) -> Job[str]:
    """Export the edits that are on into a zip file, as a job; its result is the file's token among the downloads.

    Raises `BadRequest` as `export`.
    """
    notes(workspace, format)
    folder, name = downloads.new_folder(), f"{file_name(info)}-{format}"

    def work(progress: JobProgress, cancel: Cancel) -> str:
        export(workspace, format, folder / name, progress, cancel)
        progress(0.9, "packing")
        path = Path(shutil.make_archive(str(folder / name), "zip", folder, name))
        shutil.rmtree(folder / name)
        token = downloads.offer(info.id, path)
        progress.note(result={"download": token})
        return token

    return workspace.submit(work, Kind.EXPORT, title=f"{format}: {info.name}")


def file_name(info: WorkspaceInfo) -> str:
    """Return a workspace's name as the beginning of a file's."""
    return re.sub(r"[^A-Za-z0-9]+", "-", info.name).strip("-").lower()[:40] or "workspace"


def _export_of(workspace: Workspace) -> Export:
    """Return the contents of an export. Raises `BadRequest` where no edit is on, and as `Workspace.views_under` does."""
    chosen = entries(workspace)
    if not chosen:
        raise BadRequest("There is no edit to export. Apply one or switch one on first.")
    views = workspace.views_under(workspace.masked, workspace.guarded)
    masks = [mask for view in views.values() for mask in view.masks]
    return Export(workspace.context.ground, chosen, (workspace.robust or workspace.view).with_patches(masks))
