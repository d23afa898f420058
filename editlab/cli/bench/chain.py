"""`bench chain`: what many edits one after the other do to a model, watched by the monitor; and the way back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.table import Table

from editlab import methods
from editlab.cli.bench.report import markdown, page
from editlab.cli.model import setting
from editlab.cli.terminal import Answer, Session, command
from editlab.errors import BadFile
from editlab.facts import EditRequest, FactBase, read_cases
from editlab.insight.checkup import METRICS
from editlab.lab import Lab, Workspace
from editlab.lab.workspaces.alarms import assess, limits_of
from editlab.lab.workspaces.edit_files import EditFile
from editlab.lab.workspaces.edits import apply, apply_many
from editlab.probes import passages
from editlab.work import Progress

app = typer.Typer()

SHOWN = ("number", "edits", *METRICS)


@command(app, "chain")
def chain(
    session: Session,
    data: Annotated[Path, typer.Option(help="Cases, in any form that apply reads.")],
    names: Annotated[str, typer.Option("--methods", help="One chain each: rome,memit.")] = "rome,memit",
    edits: Annotated[int, typer.Option(min=1, help="How many edits a chain has.")] = 200,
    batch: Annotated[int, typer.Option(min=1, help="How many edits a joint method such as MEMIT solves together.")] = 10,
    every: Annotated[int, typer.Option(min=1, help="A check-up after at least so many edits, and one at the end.")] = 1,
    change: Annotated[list[str] | None, typer.Option("--set", help="A setting of the methods: steps=40.")] = None,
    keep: Annotated[Path | None, typer.Option(help="Data folder in which the workspaces stay: open it in the app.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the table and the rows.")] = None,
) -> Answer:
    """Apply edit after edit under the monitor: what holds, where it breaks, and whether the return restores all metrics."""
    requests = list({case.request.text: case.request for case in read_cases(data)}.values())[:edits]
    if len(requests) < edits:
        raise BadFile(f"{data} holds {len(requests)} different questions; {edits} are wanted. Ask for fewer with --edits.")
    s, config = session.settings, dict(map(setting, change or ()))
    model, facts = session.model(), FactBase.load(s.presets / "facts")
    with TemporaryDirectory() as scratch, session.progress() as progress:
        lab = Lab(
            model, facts, passages(model, s.presets / "texts"), seed=s.seed, data=keep or Path(scratch), watching=every == 1
        )
        try:
            found = [
                _watched(lab, method, requests, batch if methods.get(method).joint else 1, every, config, progress)
                for method in names.split(",")
            ]
        finally:
            lab.close()
    table = Table(*("method", *SHOWN))
    parts = []
    for own in found:
        cells = [[_cell(row[name]) for name in SHOWN] for row in _thinned(own["rows"])]
        for row in cells:
            table.add_row(own["method"], *row)
        parts.append(f"## {own['method'].upper()}\n\n{_sentence(own)}\n\n{markdown(SHOWN, iter(cells))}")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "monitor.md").write_text(page("Chains of edits under the monitor", "\n\n".join(parts)), encoding="utf-8")
    return Answer({"chains": found}, table)


def _watched(
    lab: Lab,
    method: str,
    requests: Sequence[EditRequest],
    batch: int,
    every: int,
    config: dict[str, Any],
    progress: Progress,
) -> dict[str, Any]:
    """Return one chain: its check-ups, where each alarm began, the state returned to, and how far its metrics are off."""
    workspace = lab.workspace(lab.directory.adopt(method).id)
    events = workspace.events()
    if events and events[-1].kind == "returned":  # as a call before this one ended
        workspace.undo()
    looked = len(workspace.records)
    for done in _applied(workspace, method, requests, batch, config):
        if done - looked >= every:
            lab.monitor.submit(workspace).result()
            looked = done
        progress(done / len(requests), f"{method}: {done} of {len(requests)} edits")
    lab.monitor.submit(workspace).result()
    table, limits = lab.monitor.health(workspace).table, limits_of(workspace.state.limits)
    table = table[table["edits"] == table["edits"].cummax()].drop_duplicates("edits")  # without what was returned to
    first: dict[str, int] = {}
    for stop in range(1, len(table) + 1):
        for alarm in assess(table.head(stop), limits).alarms:
            first.setdefault(alarm.metric, int(table["edits"].iloc[stop - 1]))
    found: dict[str, Any] = {"method": method, "batch": batch, "rows": table.to_dict("records"), "alarms": first}
    healthy = assess(table, limits).healthy
    if healthy is None:
        return found
    workspace.return_to(healthy)
    lab.monitor.submit(workspace).result()
    after = lab.monitor.health(workspace)
    then, now = (row[[*METRICS]].astype(float) for row in (table[table["number"] == healthy].iloc[0], after.table.iloc[-1]))
    return found | {
        "returned_to": int(table[table["number"] == healthy]["edits"].iloc[0]),
        "alarms_after": len(after.alarms),
        "largest_difference": float((then - now).abs().max()),
    }


def _applied(
    workspace: Workspace, method: str, requests: Sequence[EditRequest], batch: int, config: dict[str, Any]
) -> Iterator[int]:
    """Apply the edits that are not applied yet, `batch` at a time, and yield how many are applied."""
    lying = {request for record in workspace.records for request in record.requests}
    for start in range(len(lying), len(requests), batch):
        part = requests[start : start + batch]
        if batch == 1:
            apply(workspace, part[0], method, config).result()
        else:
            apply_many(
                workspace, EditFile.of(part, f"edits {start + 1} to {start + len(part)}"), method, config, batch
            ).result()
        yield start + len(part)


def _sentence(found: dict[str, Any]) -> str:
    alarms = [f"{name} at {count} edits" for name, count in found["alarms"].items()]
    text = f"First alarms: {', '.join(alarms)}." if alarms else "No alarm."
    if "returned_to" not in found:
        return text
    return (
        f"{text} Returned to the state of {found['returned_to']} edits: {found['alarms_after']} alarms, largest difference "
        f"of any figure to what it was then {found['largest_difference']:g}."
    )


def _thinned(rows: Sequence[dict[str, Any]], most: int = 20) -> list[dict[str, Any]]:
    """Return evenly spaced rows, the first and the last among them."""
    if len(rows) <= most:
        return list(rows)
    return [rows[round(place * (len(rows) - 1) / (most - 1))] for place in range(most)]


def _cell(value: Any) -> str:
    return "-" if value is None or value != value else f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
