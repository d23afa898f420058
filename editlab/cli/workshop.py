"""`workshop`: the workshops that are open, whoever opened them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from editlab.cli.terminal import Answer, Session, command
from editlab.errors import BadFile
from editlab.lab.access.users import Users
from editlab.lab.ledger.ledger import Ledger
from editlab.lab.ledger.names import handle_of
from editlab.lab.workshops import Workshop, operator

app = typer.Typer(help="Who takes part without an account: workshops, by whoever has their link.", no_args_is_help=True)


@command(app, "list")
def workshops(session: Session) -> Answer:
    """List the workshops that are open, without their links. EDITLAB_AUTH says in which file of users their owners are."""
    if not Ledger.exists(session.settings.data):
        return _answer(session, ())
    with Ledger(session.settings.data) as ledger:
        return _answer(session, operator.open_workshops(ledger))


@command(app, "close")
def close(session: Session, id: Annotated[str, typer.Argument(help="The workshop's id, as the list shows it.")]) -> Answer:
    """Close a workshop, also while EditLab runs: within two seconds its link and its participants' pages say so."""
    folder = session.settings.data
    if not Ledger.exists(folder):
        raise BadFile(f"There is no ledger in {folder}, so no workshop is open. Set EDITLAB_DATA to the server's folder.")
    with Ledger(folder) as ledger:
        closed = operator.close(ledger, id)
        return _answer(session, operator.open_workshops(ledger), f"The workshop “{closed.title}” is closed.")


def _answer(session: Session, found: tuple[tuple[Workshop, int], ...], message: str = "") -> Answer:
    names = _names(session.settings.auth)
    rows: list[dict[str, Any]] = [
        {
            "id": handle_of(one.id),
            "title": one.title,
            "owner": one.owner,
            "user": names.get(one.owner, ""),
            "made_at": one.made_at,
            "ends_at": one.ends_at,
            "participants": count,
        }
        for one, count in found
    ]
    table = Table(Column("id", no_wrap=True), "title", "opened by", "ends (UTC)", "participants")
    for row in rows:
        ends = row["ends_at"][:16].replace("T", " ")
        table.add_row(row["id"], row["title"], row["user"] or row["owner"], ends, f"{row['participants']:,}")
    return Answer({"workshops": rows}, message or (table if rows else "No workshop is open."))


def _names(file: Path | None) -> dict[str, str]:
    """Return the users' names by their ids; none where they cannot be read, which keeps no workshop open."""
    try:
        return {} if file is None else {user.id: name for name, user in Users(file).by_name.items()}
    except BadFile:
        return {}
