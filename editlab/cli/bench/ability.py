"""`bench ability`: lm-evaluation-harness on the views of a workspace."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from editlab import network
from editlab.answers import ViewName
from editlab.bench import ability
from editlab.cli.ask import open_workspace
from editlab.cli.terminal import Answer, Session, command
from editlab.errors import BadRequest
from editlab.facts import FactBase
from editlab.lab.asking import completing
from editlab.patches import BASE, View
from editlab.probes import passages

app = typer.Typer()


@command(app, "ability")
def ability_table(
    session: Session,
    tasks: Annotated[str, typer.Option(help="Tasks of the harness, as NAME,NAME.")] = ",".join(ability.OURS),
    workspace: Annotated[
        str | None, typer.Option(help="The workspace whose views are asked; none: the model alone.")
    ] = None,
    views: Annotated[str, typer.Option(help="Its views, as NAME,NAME.")] = "base,edited",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many documents of each task.")] = None,
) -> Answer:
    """Ask tasks of lm-evaluation-harness under views: what an edit costs the model's other abilities.

    Nothing is downloaded. EditLab brings editlab_facts and editlab_prose; other tasks need their data on this computer.
    """
    names = [name.strip() for name in tasks.split(",") if name.strip()]
    wrong = next((name for name in views.split(",") if name not in list(ViewName)), None)
    if not names or wrong is not None:
        raise BadRequest(f"There is no view {wrong!r}. They are: {', '.join(ViewName)}." if names else "Name a task.")
    network.close()
    model = session.model()
    rows: list[dict[str, Any]] = []

    def ask(name: str, view: View) -> None:
        with session.progress() as progress:
            measured = ability.measure(model, view, names, limit, lambda part, text: progress(part, f"{name}: {text}"))
        rows.extend({"view": name, **row} for row in measured)

    if workspace is None:
        ask(ViewName.BASE, BASE)
    else:
        facts = FactBase.load(session.settings.presets / "facts")
        texts = passages(model, session.settings.presets / "texts")
        with open_workspace(session, model, facts, texts, workspace) as kept:
            chosen = {name: completing.view_of(kept, ViewName(name)) for name in views.split(",")}
        for name, view in chosen.items():
            ask(name, view)
    table = Table("task", "view", "metric", "value", "standard error", "n")
    for row in rows:
        error = "-" if row["stderr"] is None else f"{row['stderr']:.3f}"
        table.add_row(row["task"], row["view"], row["metric"], f"{row['value']:.3f}", error, str(row["n"]))
    found = {"model": session.settings.model, "fingerprint": model.fingerprint, "workspace": workspace, "rows": rows}
    return Answer(found, table)
