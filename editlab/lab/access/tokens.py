"""Personal tokens: by one, a program acts for a user, within the token's scopes.

They are kept beside the users' file, one line `id:user's id:hash:scopes:date:label` for each. A token has 256 random bits,
so that a plain SHA-256 hides it; it is shown once. It ends when it is revoked and with its user.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, get_args

from editlab import storage
from editlab.errors import BadFile, BadRequest
from editlab.lab.access.users import User, Users

Scope = Literal["ask", "edit"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
PREFIX, SUFFIX = "editlab", ".tokens"
"""How a token begins, and how the file's name ends behind that of the users' file."""
SECRET_BYTES, ID_BYTES = 32, 4
MOST = 1_000
FORM = re.compile(rf"{PREFIX}_([0-9a-f]{{8}})_[A-Za-z0-9_-]{{43}}", re.ASCII)
LABEL = re.compile(r"[\w .,-]{0,40}")
LINE = re.compile(r"([0-9a-f]{8}):([A-Za-z0-9._-]+):([0-9a-f]{64}):([a-z,]+):([0-9-]{10}):([\w .,-]{0,40})")


@dataclass(frozen=True)
class Token:
    """A token without its secret. `owner`: the id of its user; `made`: the day on which it was made."""

    id: str
    owner: str
    hash: str = field(repr=False)
    scopes: tuple[str, ...]
    made: str
    label: str = ""


class Tokens:
    """The tokens of a users' file, read again as soon as they change."""

    def __init__(self, users: Users) -> None:
        self._users = users
        self._path = users.path.parent / f"{users.path.name}{SUFFIX}"
        self._stamp: tuple[int, int, int] | None = None
        self._by_id: dict[str, Token] = {}

    def find(self, given: str) -> tuple[User, Token] | None:
        """Return the user behind a token, and the token; None where there is none. Raises `BadFile`."""
        match = FORM.fullmatch(given)
        token = None if match is None else self._read().get(match[1])
        if token is None or not hmac.compare_digest(token.hash, _hash(given)):
            return None
        user = next((user for user in self._users.by_name.values() if user.id == token.owner), None)
        return None if user is None else (user, token)

    def of(self, name: str | None = None) -> list[tuple[str, Token]]:
        """Return the users' names with their tokens, or those of one user. Raises `BadFile`, `BadRequest`."""
        names = {user.id: user.name for user in self._users.by_name.values()}
        if name is not None and name not in names.values():
            raise BadRequest(f"There is no user {name!r}. There are: {', '.join(sorted(names.values())) or 'none'}.")
        found = [(names[token.owner], token) for token in self._read().values() if token.owner in names]
        return sorted((pair for pair in found if name in (None, pair[0])), key=lambda pair: (pair[0], pair[1].made))

    def create(self, name: str, scopes: tuple[str, ...], label: str = "") -> tuple[str, Token]:
        """Make a token for a user, and return it, which is the only time, with what is kept of it. Raises `BadRequest`."""
        self.of(name)
        wrong = next((scope for scope in scopes if scope not in SCOPES), None)
        if wrong is not None or not scopes:
            raise BadRequest(f"A token's scopes are {' and '.join(SCOPES)}, not {wrong!r}. Choose one or both.")
        if not LABEL.fullmatch(label):
            raise BadRequest("A token's label has up to 40 letters, digits, spaces, dots and dashes. Choose another one.")
        id = secrets.token_hex(ID_BYTES)
        given = f"{PREFIX}_{id}_{secrets.token_urlsafe(SECRET_BYTES)}"
        chosen = tuple(scope for scope in SCOPES if scope in scopes)
        token = Token(id, self._users.by_name[name].id, _hash(given), chosen, f"{datetime.now(UTC):%Y-%m-%d}", label)
        with self._changing():
            tokens = self._read()
            if len(tokens) >= MOST:
                raise BadRequest(f"There are {MOST} tokens. Revoke some first: editlab user token list.")
            self._write({**tokens, id: token})
        return given, token

    def revoke(self, id: str) -> None:
        """End a token at once. Raises `BadRequest` where there is none with this id."""
        with self._changing():
            tokens = self._read()
            if id not in tokens:
                raise BadRequest(f"There is no token {id[:40]!r}. editlab user token list shows their ids.")
            self._write({other: token for other, token in tokens.items() if other != id})

    def _read(self) -> dict[str, Token]:
        try:
            stamp = storage.stamp(self._path)
            if stamp != self._stamp:
                self._by_id, self._stamp = _tokens(self._path.read_text(encoding="utf-8")), stamp
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError, ValueError) as error:
            raise BadFile(f"{self._path} is no file of tokens: {error}. Delete it, and make new tokens.") from error
        return self._by_id

    def _write(self, tokens: dict[str, Token]) -> None:
        """Write the tokens, without those of users who are gone."""
        owners = {user.id for user in self._users.by_name.values()}
        lines = (
            f"{one.id}:{one.owner}:{one.hash}:{','.join(one.scopes)}:{one.made}:{one.label}\n"
            for one in tokens.values()
            if one.owner in owners
        )
        storage.write(self._path, "".join(lines).encode())

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Keep others from changing the tokens while the block reads and writes them. Raises `BadFile`."""
        try:
            with storage.locked(self._path):
                yield
        except OSError as error:
            raise BadFile(f"{self._path} cannot be written: {error.strerror}. Nothing was changed.") from error


def _hash(given: str) -> str:
    return hashlib.sha256(given.encode(errors="replace")).hexdigest()


def _tokens(text: str) -> dict[str, Token]:
    found: dict[str, Token] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match = LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"line {number} is not written as a token")
        id, owner, hash, scopes, made, label = match.groups()
        found[id] = Token(id, owner, hash, tuple(scopes.split(",")), made, label)
    return found
