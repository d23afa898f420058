"""`user`: who may come in to a page that asks for a login."""

from __future__ import annotations

import sys
from getpass import getpass
from pathlib import Path
from typing import Annotated

import typer

from editlab.cli.terminal import Answer, Session, command
from editlab.errors import BadRequest
from editlab.lab.access.cookies import CookieSecret
from editlab.lab.access.users import Users

app = typer.Typer(help="Who may come in: editlab --auth FILE asks for a login.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The user's name.")]
File = Annotated[Path, typer.Option("--auth", envvar="EDITLAB_AUTH", help="The file of users.")]


@command(app, "add")
def add(session: Session, name: Name, file: File) -> Answer:
    """Add a user, or give one another password. It is asked for, or read from standard input."""
    Users(file).add(name, _password())
    return _listed(file, f"{name} may come in.")


@command(app, "remove")
def remove(session: Session, name: Name, file: File) -> Answer:
    """Remove a user, whose logins end at once."""
    Users(file).remove(name)
    return _listed(file, f"{name} may no longer come in.")


@command(app, "list")
def names(session: Session, file: File) -> Answer:
    """Name the users; with --json, also the ids that their work is kept under."""
    return _listed(file)


@command(app, "end-sessions")
def end_sessions(
    session: Session,
    data: Annotated[
        Path | None, typer.Option("--data", envvar="EDITLAB_DATA", help="The folder that the server keeps its data in.")
    ] = None,
) -> Answer:
    """End all logins at once, by a new secret for their cookies. A running server takes it over with its next request."""
    folder = data or session.settings.data
    CookieSecret(folder).renew()
    return Answer({"data": str(folder)}, f"All logins to {folder} have ended. Everybody has to log in again.")


def _listed(file: Path, told: str = "") -> Answer:
    known = Users(file).known
    found = sorted(known)
    ids = {name: known[name].id for name in found}
    return Answer({"users": found, "ids": ids}, told or "\n".join(found) or "Nobody may come in.")


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass("Password: ")
    if getpass("Once more: ") != password:
        raise BadRequest("These are two passwords. Nothing was changed; try again.")
    return password
