"""The users' file: one line `name:hash:id` for each user, hashed by argon2. No password is kept anywhere.

A user's work is kept under the id, which nobody else ever gets: a new user with a removed user's name does not inherit it. A
line without an id, as older versions wrote it, has the name as its id.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from editlab import storage
from editlab.errors import BadFile, BadRequest

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
SHORTEST, LONGEST = 8, 256
"""Characters of a password."""
ID_BYTES = 16


@dataclass(frozen=True)
class User:
    """Somebody who may log in. `hash`: of the password; `id`: what their work is kept under."""

    name: str
    hash: str
    id: str

    @property
    def mark(self) -> str:
        """Return what a login remembers of a user. It changes with the password."""
        return hashlib.sha256(f"{self.hash}:{self.id}".encode()).hexdigest()


class Users:
    """A file of users, read again as soon as it changes. Raises `BadFile` where it cannot be read or has a bad line."""

    def __init__(self, path: Path) -> None:
        self._path, self._hasher = path, PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_hex())
        self._stamp: tuple[int, int, int] | None = None
        self._known: dict[str, User] = {}

    @property
    def known(self) -> dict[str, User]:
        """Return the file's present users by name. Raises `BadFile`."""
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp != self._stamp:
                self._known, self._stamp = _read(self._path.read_text(encoding="utf-8")), stamp
        except FileNotFoundError:
            raise BadFile(f"There is no file of users at {self._path}. {_how(self._path)}") from None
        except (OSError, UnicodeDecodeError, BadFile) as error:
            raise BadFile(f"{self._path} is no file of users: {error}. {_how(self._path)}") from error
        return self._known

    def check(self, served: Iterable[Path] = ()) -> None:
        """Raise `BadFile` where nobody could log in, or others could read the hashes: by rights, or in folders `served`."""
        if not self.known:
            raise BadFile(f"{self._path} names no user, so nobody could log in. {_how(self._path)}")
        if storage.exposed(self._path):
            raise BadFile(f"Others can read or change {self._path}, which holds the hashes. Run: chmod 600 {self._path}")
        place = self._path.resolve()
        folder = next((folder for folder in served if place.is_relative_to(folder.resolve())), None)
        if folder is not None:
            raise BadFile(f"{self._path} lies in {folder}, whose files others are given. Move it elsewhere.")

    def verify(self, name: str, password: str) -> bool:
        """Whether that is the user's password; nobody's where the file cannot be read. An unknown name takes as long."""
        try:
            user = self.known.get(name)
        except BadFile:
            user = None
        try:
            right = self._hasher.verify(self._nobody if user is None else user.hash, password[: LONGEST + 1])
        except (VerificationError, InvalidHashError):
            return False
        return right and user is not None

    def add(self, name: str, password: str) -> None:
        """Add a user, or give one another password. Raises `BadRequest` for a name or password that will not do.

        Another password keeps the id, so all work; a name that was removed and is added again gets a new one.
        """
        if not NAME.fullmatch(name):
            raise BadRequest(f"{name!r} cannot be a name. Use up to 32 letters, digits, dots, dashes and underscores.")
        if not SHORTEST <= len(password) <= LONGEST:
            raise BadRequest(f"A password has {SHORTEST} to {LONGEST} characters; this one has {len(password)}.")
        known = self.known if self._path.exists() else {}
        id = known[name].id if name in known else secrets.token_hex(ID_BYTES)
        self._write({**known, name: User(name, self._hasher.hash(password), id)})

    def remove(self, name: str) -> None:
        """Remove a user, whose logins end at once. Raises `BadRequest` where there is none of that name."""
        known = self.known
        if name not in known:
            raise BadRequest(f"{self._path} has no user {name!r}. It has: {', '.join(sorted(known)) or 'nobody'}.")
        self._write({other: user for other, user in known.items() if other != name})

    def _write(self, users: dict[str, User]) -> None:
        lines = (f"{user.name}:{user.hash}:{user.id}\n" for _, user in sorted(users.items()))
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            storage.write(self._path, "".join(lines).encode())
        except OSError as error:
            raise BadFile(f"{self._path} cannot be written: {error.strerror}. Name a file in a folder of yours.") from error


def _read(text: str) -> dict[str, User]:
    found: dict[str, User] = {}
    ids: set[str] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name, hash, id = (*line.strip().split(":"), "", "")[:3]
        user = User(name, hash, id or name)
        if not NAME.fullmatch(name) or not hash.startswith("$argon2") or not NAME.fullmatch(user.id) or line.count(":") > 2:
            raise BadFile(f"line {number} is not written as name:hash:id")
        if name in found or user.id in ids:
            raise BadFile(f"line {number} repeats a name or an id")
        found[name] = user
        ids.add(user.id)
    return found


def _how(path: Path) -> str:
    return f"Add one: editlab user add NAME --auth {path}"
