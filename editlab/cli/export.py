"""`export`: a workspace's edits in forms that others take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from editlab.cli.ask import follow, open_workspace
from editlab.cli.terminal import Answer, Session, command
from editlab.errors import BadFile
from editlab.exports import FORMATS, adapter, format_named
from editlab.facts import FactBase
from editlab.forensics.manifest import MANIFEST, signer
from editlab.lab.ledger.directory import Directory
from editlab.lab.ledger.ledger import Ledger
from editlab.lab.model import integrity
from editlab.lab.workspaces import exports
from editlab.probes import passages
from editlab.wording import join, size

app = typer.Typer()


@command(app, "export")
def export_edits(
    session: Session,
    workspace: Annotated[str, typer.Option(help="The workspace; its edits that are on are exported.")],
    form: Annotated[
        str, typer.Option("--format", help="; ".join(f"{own.name}: {own.title}" for own in FORMATS.values()) + ".")
    ],
    to: Annotated[Path, typer.Option(help="The new folder to write.")],
    number: Annotated[int | None, typer.Option("--edit", min=1, help="Only this edit: its number among those on.")] = None,
    rank: Annotated[
        int | None, typer.Option(help=f"Cut an adapter to this rank, one that vLLM takes: {join(adapter.RANKS)}.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--sign", help="Add a manifest, and sign all files with this private key: editlab sign.")
    ] = None,
) -> Answer:
    """Export a workspace's edits as an adapter, a checkpoint, a GGUF file, a data set, a script or a report.

    Nothing is changed.
    """
    format_named(form)
    if key is not None:
        signer(key)
    folder = session.settings.data
    if not Ledger.exists(folder):
        raise BadFile(f"There is no ledger in {folder}. Apply an edit with --workspace first, or set EDITLAB_DATA.")
    with Ledger(folder) as ledger:
        Directory(ledger).id_of(workspace)
    model, facts = session.model(), FactBase.load(session.settings.presets / "facts")
    texts = passages(model, session.settings.presets / "texts")
    with session.progress() as progress, open_workspace(session, model, facts, texts, workspace) as kept:
        only = "" if number is None else exports.id_of(kept, number)
        expected, notes = exports.size(kept, form, only, rank), exports.notes(kept, form, only, rank)
        if expected is not None:
            session.errors.print(f"{form} takes {size(expected)}.", highlight=False)
        job = kept.submit(lambda progress, cancel: exports.export(kept, form, to, progress, cancel, only, rank), "export")
        files = [str(path) for path in follow(job, progress)]
        if key is not None:
            signature = integrity.sign(to, key, exports.about(kept, to.name, only))
            files += [str(to / MANIFEST), str(signature)]
    table = Table(show_header=False)
    for file in files:
        table.add_row("file", file)
    for note in notes:
        table.add_row("note", note)
    told = {"workspace": workspace, "format": form, "path": str(to), "files": files, "notes": list(notes)}
    return Answer(told | {"bytes": expected}, table)
