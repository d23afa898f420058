"""`bench chain`: what many edits one after the other do to a model, watched by the monitor; and the way back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.table import Table

from editlab import methods
from editlab.cli.bench.report import markdown, page
from editlab.cli.model import setting
from editlab.cli.terminal import Answer, Session, command
from editlab.errors import BadFile, BadRequest
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
    given = {"seed": s.seed, **config}
    chosen = {name: methods.config_for(name, model, **given) for name in map(str.strip, names.split(","))}
    with TemporaryDirectory() as scratch, session.progress() as progress:
        lab = Lab(
            model, facts, passages(model, s.presets / "texts"), seed=s.seed, data=keep or Path(scratch), watching=every == 1
        )
        try:
            chains = [
                _opened(lab, name, settings, requests, batch if methods.get(name).joint else 1)
                for name, settings in chosen.items()
            ]
            found = [_watched(lab, own, every, config, progress) for own in chains]
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


@dataclass(frozen=True)
class _Chain:
    """One chain: its workspace, its method with all settings, and its edits as they are solved together."""

    workspace: Workspace
    method: str
    settings: Any
    packs: Sequence[Sequence[EditRequest]]


def _opened(lab: Lab, method: str, settings: Any, requests: Sequence[EditRequest], batch: int) -> _Chain:
    """Return a chain in its workspace. Raises `BadRequest` where that holds anything else than the chain's first edits."""
    workspace = lab.workspace(lab.directory.adopt(method).id)
    events = workspace.events()
    if events and events[-1].kind == "returned":  # as a call before this one ended
        workspace.undo()
    packs = [requests[start : start + batch] for start in range(0, len(requests), batch)]
    records, plain = workspace.records, methods.as_json(settings)
    if [_asked(record.requests) for record in records] != [_asked(pack) for pack in packs[: len(records)]]:
        raise BadRequest(
            f"The chain of {method} in the folder of --keep has other edits, or they were solved together in another way. "
            "Call it with the data, --edits and --batch of that call, or choose another folder."
        )
    for record in records:
        differing = [name for name in plain if dict(record.config).get(name) != plain[name]]
        if differing or record.method != method or not record.on or record.rep:
            raise BadRequest(
                f"The chain of {method} in the folder of --keep was made with other settings"
                f"{': ' if differing else ''}{', '.join(differing)}. Call it with those, or choose another folder."
            )
    return _Chain(workspace, method, settings, packs)


def _asked(requests: Sequence[EditRequest]) -> list[tuple[str, str]]:
    return [(request.text, request.target_new) for request in requests]


def _watched(lab: Lab, chain: _Chain, every: int, config: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Return one chain: its check-ups, where each alarm began, the state returned to, and how far its metrics are off."""
    workspace, method, count = chain.workspace, chain.method, sum(map(len, chain.packs))
    looked = len(workspace.records)
    for done in _applied(chain, config):
        if done - looked >= every:
            lab.monitor.submit(workspace).result()
            looked = done
        progress(done / count, f"{method}: {done} of {count} edits")
    lab.monitor.submit(workspace).result()
    table, limits = lab.monitor.health(workspace).table, limits_of(workspace.state.limits)
    table = table[table["edits"] == table["edits"].cummax()].drop_duplicates("edits")  # without what was returned to
    first: dict[str, int] = {}
    for stop in range(1, len(table) + 1):
        for alarm in assess(table.head(stop), limits).alarms:
            first.setdefault(alarm.metric, int(table["edits"].iloc[stop - 1]))
    found: dict[str, Any] = {
        "method": method,
        "batch": len(chain.packs[0]),
        "settings": methods.as_json(chain.settings),
        "rows": table.to_dict("records"),
        "alarms": first,
    }
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


def _applied(chain: _Chain, config: dict[str, Any]) -> Iterator[int]:
    """Apply the packs that are not applied yet, and yield how many edits are."""
    applied = len(chain.workspace.records)
    done, batch = sum(map(len, chain.packs[:applied])), len(chain.packs[0])
    for pack in chain.packs[applied:]:
        if batch == 1:
            apply(chain.workspace, pack[0], chain.method, config).result()
        else:
            file = EditFile.of(pack, f"edits {done + 1} to {done + len(pack)}")
            apply_many(chain.workspace, file, chain.method, config, batch).result()
        done += len(pack)
        yield done


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
