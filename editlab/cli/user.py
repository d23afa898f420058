"""`user`: who may come in to a page that asks for a login."""

from __future__ import annotations

import sys
from getpass import getpass
from pathlib import Path
from typing import Annotated

import typer

from editlab.cli.terminal import Answer, Session, command
from editlab.errors import BadRequest
from editlab.lab.users import Users

app = typer.Typer(help="Who may come in: python app.py --auth FILE asks for a login.", no_args_is_help=True)

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
    """Name the users."""
    return _listed(file)


def _listed(file: Path, told: str = "") -> Answer:
    found = sorted(Users(file).hashes)
    return Answer({"users": found}, told or "\n".join(found) or "Nobody may come in.")


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass("Password: ")
    if getpass("Once more: ") != password:
        raise BadRequest("These are two passwords. Nothing was changed; try again.")
    return password
