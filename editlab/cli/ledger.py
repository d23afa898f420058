"""`ledger`: verify, export, import, back up and forget what the data folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from editlab.cli.terminal import Answer, Session, command
from editlab.errors import BadFile, BadRequest
from editlab.lab.ledger import archive, audit, directory
from editlab.lab.ledger.backup import backup as copied
from editlab.lab.ledger.directory import Directory, WorkspaceRow
from editlab.lab.ledger.expiry import forget_these, unused
from editlab.lab.ledger.ledger import Ledger

app = typer.Typer(help="What was kept: checking, carrying, copying it, and letting it go.", no_args_is_help=True)

SHOWN = 50
MOST_DAYS = 36_500


@command(app, "verify")
def verify(session: Session) -> Answer:
    """Check every event and every tensor file of the data folder.

    Exit status 1 if anything was changed; 2 where there is no ledger.
    """
    with Ledger(folder_with_ledger(session)) as ledger:
        return _answer(audit.verify(ledger))


@command(app, "export")
def export(
    session: Session,
    to: Annotated[Path, typer.Option(help="The zip file to write.")] = Path("editlab-ledger.zip"),
    workspace: Annotated[
        str | None, typer.Option(help="Only this workspace, by its name where it is shared, else by its id.")
    ] = None,
    owner: Annotated[str | None, typer.Option(help="Only the workspaces of this user, deleted ones too.")] = None,
) -> Answer:
    """Write workspaces with their events and tensor files into one archive."""
    if workspace is not None and owner is not None:
        raise BadRequest("--workspace names one workspace, --owner all of one user. Give one of them.")
    with Ledger(folder_with_ledger(session)) as ledger:
        ids = None if workspace is None else (Directory(ledger).id_of(workspace),)
        ids = ids if owner is None else directory.ids_of_owner(ledger, owner)
        return _answer(archive.export(ledger, to, ids), to, count=True)


@command(app, "import")
def bring_in(
    session: Session, source: Annotated[Path, typer.Option("--from", help="An archive written by ledger export.")]
) -> Answer:
    """Add an archive's workspaces to the data folder. Nothing in it is changed.

    With --model, an archive of another model, or of the same in another precision, is refused, and so are tensors that do
    not fit the model.
    """
    model = session.model() if "model" in session.settings.model_fields_set else None
    with Ledger(session.settings.data) as ledger:
        return _answer(archive.import_archive(ledger, source, model, session.settings.model), source, count=True)


@command(app, "backup")
def backup(session: Session, to: Annotated[Path, typer.Option(help="The new folder to write.")]) -> Answer:
    """Copy the ledger, also while EditLab runs, and check the copy; exit status 1 if anything in it was changed.

    The copy is a data folder: set EDITLAB_DATA to it, or put it in the place of the one that was lost. Never copy the file
    of a ledger that is open by other means. Logins' secret, statistics, masks and benchmarks are not in it.
    """
    with Ledger(folder_with_ledger(session)) as ledger:
        return _answer(copied(ledger, to), to)


@command(app, "forget")
def forget(
    session: Session,
    owner: Annotated[str | None, typer.Option(help="All workspaces of this user, deleted and shared ones too.")] = None,
    workspace: Annotated[
        str | None, typer.Option(help="This workspace, by its name where it is shared, else by its id.")
    ] = None,
    unused_days: Annotated[
        float | None,
        typer.Option(min=0, max=MOST_DAYS, help="All workspaces that were not opened or changed for so many days."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete them. Without it, only say what would be deleted.")] = False,
) -> Answer:
    """Delete workspaces for good: events, files, jobs and check-ups. One line stays, with the number of events.

    Files that no event names go as well, which edits leave that were stopped or failed.

    Stop EditLab first, which keeps workspaces in memory. What somebody wrote into workspaces of others stays there, signed
    with their name: taken out, nothing would prove any more that the rest is what was written.
    """
    if sum(way is not None for way in (owner, workspace, unused_days)) != 1:
        raise BadRequest("Say what to forget: one of --owner ID, --workspace NAME or --unused-days N.")
    with Ledger(folder_with_ledger(session)) as ledger, ledger.exclusive():
        if owner is not None:
            ids = directory.ids_of_owner(ledger, owner)
        else:
            ids = unused(ledger, unused_days) if workspace is None else (Directory(ledger).id_of(workspace),)
        rows = directory.rows(ledger, ids)
        count = len(ledger.rows(ids)[0])
        if ids and not yes:
            what = "1 workspace" if len(ids) == 1 else f"{len(ids):,} workspaces"
            raise BadRequest(
                f"This would delete {what} with {count:,} events for good: {_named(rows) or ', '.join(ids)}. Keep a copy "
                "(editlab ledger export), then run it again with --yes."
            )
        if yes:  # also where no workspace goes: for the files that nothing names
            forget_these(ledger, ids, owner or "", fresh=0.0)
        if ids:
            ledger.compact()
    table = Table("owner", "workspace", title=f"{count:,} events are gone")
    for row in rows:
        table.add_row(row.owner or "-", row.name)
    found = [{"id": row.id, "owner": row.owner, "name": row.name, "shared": row.shared} for row in rows]
    return Answer({"events": count, "workspaces": found}, table)


def folder_with_ledger(session: Session) -> Path:
    """Return the data folder, which must hold a ledger. Raises `BadFile` where it does not."""
    folder = session.settings.data
    if not Ledger.exists(folder):
        raise BadFile(
            f"There is no ledger in {folder}. Set EDITLAB_DATA to the data folder, restore it from a backup, or begin one: "
            "apply an edit with --workspace."
        )
    return folder


def _named(rows: tuple[WorkspaceRow, ...]) -> str:
    names = [f"{row.name}{' (shared)' * row.shared}" for row in rows[:SHOWN]]
    return ", ".join(names) + (f" and {len(rows) - SHOWN:,} more" if len(rows) > SHOWN else "")


def _answer(report: audit.Report, path: Path | None = None, count: bool = False) -> Answer:
    found: dict[str, Any] = {"ok": report.ok, "events": report.events, "files": report.files, "faults": list(report.faults)}
    found |= {"workspaces": report.workspaces} if count else {}
    found |= {} if path is None else {"path": str(path)}
    table = Table(show_header=False)
    for name in ("workspaces", "events", "files"):
        if name in found:
            table.add_row(name, f"{found[name]:,}")
    for fault in report.faults:
        table.add_row("fault", fault)
    table.add_row("ok", "yes" if report.ok else "no")
    return Answer(found, table, 0 if report.ok else 1)
