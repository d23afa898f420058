"""`bench ability`: what edits cost elsewhere, before and after: multiple-choice tasks, and loss on prose."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from editlab import network
from editlab.answers import ViewName
from editlab.bench import ability
from editlab.bench.ability import Measured
from editlab.cli.ask import open_workspace
from editlab.cli.ledger import folder_with_ledger
from editlab.cli.terminal import Answer, Session, command
from editlab.errors import BadRequest
from editlab.facts import FactBase
from editlab.lab.asking import completing
from editlab.lab.ledger.directory import Directory
from editlab.lab.ledger.ledger import Ledger
from editlab.patches import BASE, View
from editlab.probes import passages
from editlab.work import Progress, part_of

app = typer.Typer()

HEADS = ("task", "metric", "view", "value", "change from base", "n")


@command(app, "ability")
def ability_table(
    session: Session,
    tasks: Annotated[str, typer.Option(help="EditLab's tasks, or the harness's, as NAME,NAME.")] = ",".join(ability.OURS),
    workspace: Annotated[
        str | None, typer.Option(help="The workspace whose views are asked; none: the model alone.")
    ] = None,
    views: Annotated[str, typer.Option(help="Its views, as NAME,NAME.")] = "base,edited",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many documents of each task.")] = None,
) -> Answer:
    """Ask what a model can do apart from its edits, before and after: what they cost elsewhere.

    Beside the tasks stands the loss on prose. Nothing is downloaded. EditLab brings editlab_facts and editlab_prose; other
    tasks are those of lm-evaluation-harness, which has to be installed, with their data on this computer.
    """
    names = [name.strip() for name in tasks.split(",") if name.strip()]
    wrong = next((name for name in views.split(",") if name not in list(ViewName)), None)
    if not names or wrong is not None:
        raise BadRequest(f"There is no view {wrong!r}. They are: {', '.join(ViewName)}." if names else "Name a task.")
    ability.check(names)
    if workspace is not None:
        with Ledger(folder_with_ledger(session)) as ledger:
            Directory(ledger).id_of(workspace)
    network.close()
    model, settings = session.model(), session.settings
    texts = passages(model, settings.presets / "texts")
    chosen: dict[str, View] = {ViewName.BASE: BASE}
    subjects: list[str] = []
    if workspace is not None:
        with open_workspace(session, model, FactBase.load(settings.presets / "facts"), texts, workspace) as kept:
            chosen = {name: completing.view_of(kept, ViewName(name)) for name in views.split(",")}
            subjects = [request.subject for record in kept.records if record.on for request in record.requests]
    found: dict[str, list[Measured]] = {}
    with session.progress() as progress:
        for number, (name, view) in enumerate(chosen.items()):
            part = part_of(progress, number / len(chosen), (number + 1) / len(chosen))
            found[name] = ability.measure(model, view, names, limit, subjects, texts.inside, _named(part, name))
    base = found.get(ViewName.BASE)
    rows = [
        row
        for name, own in found.items()
        for row in ability.rows(name, own, None if name == ViewName.BASE else base, settings.seed)
    ]
    answer = {"model": settings.model, "fingerprint": model.fingerprint, "workspace": workspace, "rows": rows}
    return Answer(answer, _table(rows))


def _named(progress: Progress, name: str) -> Progress:
    """Return the progress of a view, which names it."""
    return lambda fraction, text: progress(fraction, f"{name}: {text}")


def _table(rows: list[dict[str, Any]]) -> Table:
    """Return the rows, the views of each metric under one another."""
    order = list(dict.fromkeys((row["task"], row["metric"]) for row in rows))
    table = Table(*HEADS, title="With 95 % intervals")
    for row in sorted(rows, key=lambda row: order.index((row["task"], row["metric"]))):
        value, change = _told(row["value"], row["ci"], ".3f"), _told(row["change"], row["change_ci"], "+.3f")
        if row["change"] == 0 and row["change_ci"] == [0.0, 0.0]:
            change = "none changed"
        table.add_row(row["task"], row["metric"], row["view"], value, change, str(row["n"]))
    return table


def _told(value: float | None, ci: list[float] | None, form: str) -> str:
    """Return a value with its interval, unless that has no width: it would say that there can be no other value."""
    if value is None:
        return "-"
    return f"{value:{form}}" + (f" ({ci[0]:{form}} to {ci[1]:{form}})" if ci and ci[0] < ci[1] else "")
