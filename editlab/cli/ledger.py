"""`ledger`: is everything still what was written, and how it gets to another machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from editlab.cli.terminal import Answer, Session, command
from editlab.errors import BadFile
from editlab.lab import archive
from editlab.lab.directory import Directory
from editlab.lab.ledger import Ledger

app = typer.Typer(help="What was kept: checking it, and carrying it elsewhere.", no_args_is_help=True)


@command(app, "verify")
def verify(session: Session) -> Answer:
    """Check every event and every tensor file of the data folder; status 1 where something is not what was written."""
    folder = session.settings.data
    if not Ledger.exists(folder):
        return _answer(archive.Report(0, 0))
    with Ledger(folder) as ledger:
        return _answer(archive.verify(ledger))


@command(app, "export")
def export(
    session: Session,
    to: Annotated[Path, typer.Option(help="The zip file to write.")] = Path("editlab-ledger.zip"),
    workspace: Annotated[str | None, typer.Option(help="Only this workspace, by its name where it is shared.")] = None,
) -> Answer:
    """Write events and tensor files into one archive."""
    folder = session.settings.data
    if not Ledger.exists(folder):
        raise BadFile(f"There is no ledger in {folder}. Apply an edit with --workspace first, or set EDITLAB_DATA.")
    with Ledger(folder) as ledger:
        room = Directory(ledger).called(workspace) if workspace is not None else None
        return _answer(archive.export(ledger, to, workspace if room is None else room.id), to)


@command(app, "import")
def bring_in(
    session: Session, source: Annotated[Path, typer.Option("--from", help="An archive that export wrote.")]
) -> Answer:
    """Add an archive's workspaces to the data folder; nothing that is there is changed.

    With --model, an archive of another model, or of the same in another precision, is refused.
    """
    asked = "model" in session.settings.model_fields_set
    model = session.model().fingerprint if asked else None
    with Ledger(session.settings.data) as ledger:
        return _answer(archive.bring_in(ledger, source, model, session.settings.model), source)


def _answer(report: archive.Report, path: Path | None = None) -> Answer:
    found = {"ok": report.ok, "events": report.events, "files": report.files, "faults": list(report.faults)}
    found |= {} if path is None else {"path": str(path)}
    table = Table(show_header=False)
    for name in ("events", "files"):
        table.add_row(name, f"{found[name]:,}")
    for fault in report.faults:
        table.add_row("fault", fault)
    table.add_row("ok", "yes" if report.ok else "no")
    return Answer(found, table, 0 if report.ok else 1)
