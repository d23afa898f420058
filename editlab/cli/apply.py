"""`apply`: many edits from a file, checked whole before the first one, applied in a workspace batch by batch."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from editlab import methods
from editlab.cli.ask import follow, open_workspace
from editlab.cli.model import setting
from editlab.cli.terminal import Answer, Session, command
from editlab.errors import BadFile, BadRequest
from editlab.facts import FactBase
from editlab.lab import BATCH, MOST_BATCH, EditFile, read_edit_file
from editlab.lab.workspaces import edits
from editlab.model import LanguageModel
from editlab.probes import Passages

app = typer.Typer()

SHOWN_FAULTS = 20


@command(app, "apply")
def apply(
    session: Session,
    file: Annotated[Path, typer.Argument(help="Edits as CSV, or as JSON of CounterFact, zsRE, REP or EasyEdit.")],
    workspace: Annotated[str | None, typer.Option(help="Keep the edits in this workspace, on top of its own.")] = None,
    method: Annotated[str, typer.Option(help=f"How to edit: {', '.join(methods.METHODS)}.")] = "memit",
    batch: Annotated[int, typer.Option(min=1, max=MOST_BATCH, help="How many edits are solved together.")] = BATCH,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the method, as steps=10; repeatable.")
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Skip rows that cannot be edited.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only check the file; edit nothing.")] = False,
) -> Answer:
    """Apply the edits of a file. If one row is bad, nothing is edited, and the row is named with the reason.

    Stopped or killed, what was applied stays: the same command goes on behind it.
    """
    methods.get(method)
    if workspace is None and not check:
        raise BadRequest("Say where the edits are kept: --workspace NAME. Or only look the file over: --check.")
    model = session.model()
    looked = read_edit_file(model, file)
    found: dict[str, Any] = {
        "file": str(file),
        "rows": looked.count,
        "faults": [
            {"row": fault.place.row, "place": str(fault.place), "column": fault.column, "reason": fault.reason}
            for fault in looked.faults
        ],
        "applied": 0,
        "resumed_from": 0,
        "workspace": workspace,
    }
    if looked.faults and (check or not skip_bad):
        first = looked.faults[0]
        message = (
            f"{file}: {len(looked.faults):,} of {looked.count:,} rows cannot be edited, so nothing was. The first: {first} "
            "Mend them, or leave them out with --skip-bad."
        )
        session.errors.print(message, highlight=False)
        return Answer(found | {"error": BadFile.__name__, "message": message}, _faults(looked), 2)
    if not check:
        found |= _applied(session, model, looked, workspace, method, dict(map(setting, change or ())), batch)
    return Answer(found, _overview(found))


def _applied(
    session: Session, model: LanguageModel, file: EditFile, name: str, method: str, config: dict[str, Any], batch: int
) -> dict[str, Any]:
    """Apply the file's rows and say how that went."""
    began = time.monotonic()
    facts = FactBase.load(session.settings.presets / "facts")
    with session.progress() as progress, open_workspace(session, model, facts, Passages((), ()), name) as kept:
        job = edits.apply_many(kept, file, method, config, batch)
        try:
            done = follow(job, progress)
        except KeyboardInterrupt:
            session.errors.print("What was applied is kept: the same command goes on behind it.", highlight=False)
            raise
        return {
            "applied": done.done - done.resumed,
            "resumed_from": done.resumed,
            "method": method,
            "seconds": time.monotonic() - began,
            "success": done.said,
            "held": done.held,
            "edits": sum(len(record.requests) for record in kept.records),
        }


def _faults(file: EditFile) -> Table:
    table = Table("row", "column", "reason", title=f"{file.name}: what has to be mended")
    for fault in file.faults[:SHOWN_FAULTS]:
        table.add_row(str(fault.place), fault.column or "", fault.reason)
    if len(file.faults) > SHOWN_FAULTS:
        table.caption = f"and {len(file.faults) - SHOWN_FAULTS:,} more; --json names them all"
    return table


def _overview(found: dict[str, Any]) -> Table:
    table = Table(show_header=False)
    for name in ("file", "rows", "applied", "resumed_from", "seconds", "success", "held", "workspace", "edits"):
        if found.get(name) is not None:
            value = found[name]
            table.add_row(name, f"{value:.3f}" if isinstance(value, float) else str(value))
    table.add_row("faults", f"{len(found['faults']):,}, left out" if found["faults"] else "none")
    return table
