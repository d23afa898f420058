"""`user`: the users of a page with a login."""

from __future__ import annotations

import sys
from getpass import getpass
from pathlib import Path
from typing import Annotated, Any

import typer

from editlab.cli.terminal import Answer, Session, command
from editlab.errors import BadFile, BadRequest
from editlab.lab.access.cookies import CookieSecret
from editlab.lab.access.tokens import Token, Tokens
from editlab.lab.access.users import Users
from editlab.lab.ledger.ledger import Ledger

tokens = typer.Typer(help="Personal tokens, by which programs call the HTTP interface for a user.", no_args_is_help=True)
app = typer.Typer(help="Who may come in: editlab --auth FILE asks for a login.", no_args_is_help=True)

app.add_typer(tokens, name="token")

Name = Annotated[str, typer.Argument(help="The user's name.")]
File = Annotated[Path, typer.Option("--auth", envvar="EDITLAB_AUTH", help="The file of users.")]


@command(app, "add")
def add(session: Session, name: Name, file: File) -> Answer:
    """Add a user, or change a user's password. The password is prompted for, or read from standard input."""
    Users(file).add(name, _password())
    return _listed(file, f"{name} may come in.")


@command(app, "remove")
def remove(session: Session, name: Name, file: File) -> Answer:
    """Remove a user and end the user's logins."""
    Users(file).remove(name)
    return _listed(file, f"{name} may no longer come in.")


@command(app, "list")
def names(session: Session, file: File) -> Answer:
    """List the users; with --json, also the ids under which their work is kept."""
    return _listed(file)


@command(app, "end-sessions")
def end_sessions(
    session: Session,
    data: Annotated[Path | None, typer.Option("--data", envvar="EDITLAB_DATA", help="The server's data folder.")] = None,
) -> Answer:
    """End all logins by a new secret for cookies. A running server uses it from its next request on."""
    folder = data or session.settings.data
    if not (CookieSecret.exists(folder) or Ledger.exists(folder)):
        raise BadFile(
            f"{folder} is no data folder: it has neither a ledger nor a login secret. No login was ended. Name the server's "
            "own with --data or EDITLAB_DATA."
        )
    CookieSecret(folder).renew()
    return Answer({"data": str(folder)}, f"All logins to {folder} have ended. Everybody has to log in again.")


@command(tokens, "create")
def create_token(
    session: Session,
    name: Name,
    file: File,
    scope: Annotated[list[str] | None, typer.Option(help="ask, edit; give it twice for both. Without it: ask.")] = None,
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
) -> Answer:
    """Make a token for a user. It is shown this once; a hash of it is kept beside the file of users."""
    given, token = Tokens(Users(file)).create(name, tuple(scope or ("ask",)), label)
    text = f"{given}\nKeep it: it is not shown again. It may {' and '.join(token.scopes)} as {name}."
    return Answer({"token": given, **_shown(name, token)}, text)


@command(tokens, "list")
def list_tokens(
    session: Session, file: File, name: Annotated[str | None, typer.Argument(help="The user's name; all without it.")] = None
) -> Answer:
    """List the tokens, without their secrets."""
    found = [_shown(*pair) for pair in Tokens(Users(file)).of(name)]
    lines = [f"{one['id']}  {one['user']}  {','.join(one['scopes'])}  {one['made']}  {one['label']}" for one in found]
    return Answer({"tokens": found}, "\n".join(lines) or "There is no token.")


@command(tokens, "revoke")
def revoke_token(session: Session, id: Annotated[str, typer.Argument(help="The token's id.")], file: File) -> Answer:
    """End a token at once."""
    known = Tokens(Users(file))
    known.revoke(id)
    return Answer({"tokens": [_shown(*pair) for pair in known.of()]}, f"The token {id} has ended.")


def _shown(name: str, token: Token) -> dict[str, Any]:
    return {"id": token.id, "user": name, "scopes": list(token.scopes), "made": token.made, "label": token.label}


def _listed(file: Path, message: str = "") -> Answer:
    known = Users(file).by_name
    found = sorted(known)
    ids = {name: known[name].id for name in found}
    return Answer({"users": found, "ids": ids}, message or "\n".join(found) or "Nobody may come in.")


def _password() -> str:
    if not sys.stdin.isatty():
        try:
            return sys.stdin.readline().rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise BadRequest("The password is not text in UTF-8. Write it in UTF-8. Nothing was changed.") from error
    password = getpass("Password: ")
    if getpass("Once more: ") != password:
        raise BadRequest("These are two passwords. Nothing was changed; try again.")
    return password
