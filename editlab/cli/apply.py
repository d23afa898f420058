"""`apply`: many edits from a file, checked whole before the first one, applied in a workspace batch by batch."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.table import Table

from editlab import methods
from editlab.cli.ask import check_workspace, follow, open_workspace
from editlab.cli.model import setting
from editlab.cli.terminal import MISSED, Answer, Session, command
from editlab.errors import BadFile, BadRequest
from editlab.facts import FactBase, Fault, Placed
from editlab.facts.forms import FORMS
from editlab.lab import BATCH, MOST_BATCH, EditFile, read_edit_file
from editlab.lab.workspaces import edits
from editlab.model import LanguageModel
from editlab.probes import Passages

app = typer.Typer()

SHOWN_FAULTS = 20
SHOWN_NOTES = 10
ADVICE = re.compile(r"(?<=[.)]) (?=(?:Add|Give|Keep|Leave|Mend|Put|Remove|Shorten|Use|Write)\b)")
"""Where a reason stops saying what is wrong and begins to say what to do."""


@command(app, "apply")
def apply(
    session: Session,
    file: Annotated[
        Path,
        typer.Argument(help=f"Edits as a table, or as JSON or JSON Lines of {', '.join(form.title for form in FORMS)}."),
    ],
    workspace: Annotated[str | None, typer.Option(help="Keep the edits in this workspace, on top of its own.")] = None,
    method: Annotated[str, typer.Option(help=f"How to edit: {', '.join(methods.METHODS)}.")] = "memit",
    batch: Annotated[int, typer.Option(min=1, max=MOST_BATCH, help="How many edits are solved together.")] = BATCH,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the method, as steps=10; repeatable.")
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Skip rows that cannot be edited.")] = False,
    take: Annotated[
        bool, typer.Option("--take-proposals", help="Edit what a reason proposes, where a subject is spelled otherwise.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only check the file; edit nothing. Asks no model unless one is named.")
    ] = False,
) -> Answer:
    """Apply the edits of a file. If one row is bad, nothing is edited, and the row is named with the reason.

    Stopped or killed, what was applied stays: the same command goes on behind it. Exit status 3: all are applied, and some
    did not take.
    """
    config = dict(map(setting, change or ()))
    methods.get(method).check_settings(**config)
    if workspace is None and not check:
        raise BadRequest("Say where the edits are kept: --workspace NAME. Or only look the file over: --check.")
    check_workspace(session, workspace)
    model = None if check and "model" not in session.settings.model_fields_set else session.model()
    if model is not None:
        methods.config_for(method, model, **config)
    facts = FactBase.load(session.settings.presets / "facts")
    looked = read_edit_file(model, file, facts=facts, proposals=take)
    found: dict[str, Any] = {
        "file": str(file),
        "forms": looked.forms,
        "rows": looked.count,
        "faults": list(map(_fault, looked.faults)),
        "notes": list(looked.notes),
        "overlaps": [
            {"kind": overlap.kind, "places": list(map(str, overlap.places)), "text": overlap.text}
            for overlap in looked.overlaps
        ],
        "applied": 0,
        "resumed_from": 0,
        "workspace": workspace,
    }
    if looked.faults and (check or not (skip_bad and looked.rows)):
        first = looked.faults[0]
        advice = "apply the other rows without --check" if check and skip_bad else "leave them out with --skip-bad"
        message = (
            f"{file}: {len(looked.faults):,} of {looked.count:,} rows cannot be edited, so nothing was. The first: {first} "
            f"Mend them{f', or {advice}' if looked.rows else ''}."
        )
        session.errors.print(message, highlight=False)
        shown = Group(*_told(found), _faults(looked))
        return Answer(found | {"error": BadFile.__name__, "message": message}, shown, 2)
    if model is not None and not check:
        found |= _applied(session, model, facts, looked, workspace, method, config, batch)
    missed = found.get("missed")
    return Answer(found, Group(*_told(found), _overview(found), *_missed(missed)), MISSED if missed else 0)


def _applied(
    session: Session,
    model: LanguageModel,
    facts: FactBase,
    file: EditFile,
    name: str,
    method: str,
    config: dict[str, Any],
    batch: int,
) -> dict[str, Any]:
    """Apply the file's rows and say how that went."""
    began = time.monotonic()
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
            "took": not done.missed,
            "missed": list(map(_row, done.missed)),
            "edits": sum(len(record.requests) for record in kept.records),
        }


def _fault(fault: Fault) -> dict[str, Any]:
    proposal = fault.proposal and fault.proposal._asdict()
    told = {"row": fault.place.row, "place": str(fault.place), "column": fault.column, "reason": fault.reason}
    return told | {"proposal": proposal}


def _row(placed: Placed) -> dict[str, Any]:
    request = placed.case.request
    told = {"row": placed.place.row, "place": str(placed.place)}
    return told | {"subject": request.subject, "target_new": request.target_new}


def _told(found: dict[str, Any]) -> Iterator[str]:
    """Yield as what a file was read, what is to be known of it, and which of its rows bear on each other."""
    if found["forms"]:
        yield "Read as " + ", ".join(f"{count:,} records of {name}" for name, count in found["forms"].items()) + "."
    texts = [*found["notes"], *(overlap["text"] for overlap in found["overlaps"])]
    yield from texts[:SHOWN_NOTES]
    if len(texts) > SHOWN_NOTES:
        yield f"and {len(texts) - SHOWN_NOTES:,} more; --json has them all"


def _missed(missed: list[dict[str, Any]] | None) -> Iterator[Table]:
    """Yield the rows whose new object the model does not say at the end."""
    if missed:
        table = Table("row", "subject", "new object", title="Did not take, or did not hold")
        for row in missed[:SHOWN_FAULTS]:
            table.add_row(row["place"], row["subject"], row["target_new"])
        if len(missed) > SHOWN_FAULTS:
            table.caption = f"and {len(missed) - SHOWN_FAULTS:,} more; --json names them all"
        yield table


def _faults(file: EditFile) -> Table:
    """Return a table of reasons: the row, what is wrong, and what to do."""
    table = Table("row", "column", "what", "what to do", title=f"{file.name}: what has to be mended")
    for fault in file.faults[:SHOWN_FAULTS]:
        what, *todo = ADVICE.split(fault.reason, maxsplit=1)
        table.add_row(str(fault.place), fault.column or "", what, *todo)
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
