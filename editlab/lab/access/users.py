"""The users' file: one line `name:hash:id` for each user, hashed by argon2. No password is stored.

A user's work is stored under the id, which is never given out again: a new user with a removed user's name does not inherit
it. In a line without an id, as older versions wrote it, the name is the id.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from editlab import storage
from editlab.errors import BadFile, BadRequest
from editlab.wording import noop

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
SHORTEST, LONGEST = 8, 256
"""Characters of a password."""
ID_BYTES = 16


@dataclass(frozen=True)
class User:
    """A person who may log in. `hash`: of the password; `id`: the key of their work."""

    name: str
    hash: str
    id: str

    @property
    def mark(self) -> str:
        """The digest that a login's cookie keeps of a user. It changes with the password."""
        return hashlib.sha256(f"{self.hash}:{self.id}".encode()).hexdigest()


class Users:
    """A file of users, read again as soon as it changes. Raises `BadFile` where it cannot be read or has a bad line."""

    def __init__(self, path: Path) -> None:
        self._path, self._hasher = path, PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_hex())
        self._stamp: tuple[int, int, int] | None = None
        self._by_name: dict[str, User] = {}

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def by_name(self) -> dict[str, User]:
        """The users that the file has now, by name. Raises `BadFile`."""
        try:
            stamp = storage.stamp(self._path)
            if stamp != self._stamp:
                self._by_name, self._stamp = _read(self._path.read_text(encoding="utf-8")), stamp
        except FileNotFoundError:
            raise BadFile(f"There is no file of users at {self._path}. {_hint(self._path)}") from None
        except (OSError, UnicodeDecodeError, BadFile) as error:
            raise BadFile(f"{self._path} is no file of users: {error}. {_hint(self._path)}") from error
        return self._by_name

    def has(self, id: str) -> bool:
        """Return whether there is a user with this id. Raises `BadFile`."""
        return any(user.id == id for user in self.by_name.values())

    def check(self, public_folders: Iterable[Path] = ()) -> None:
        """Raise `BadFile` where nobody could log in, or where others could read the file."""
        if not self.by_name:
            raise BadFile(f"{self._path} has no users, so nobody could log in. {_hint(self._path)}")
        if storage.is_exposed(self._path):
            raise BadFile(f"Others can read or change {self._path}, which holds the hashes. Run: chmod 600 {self._path}")
        place = self._path.resolve()
        folder = next((folder for folder in public_folders if place.is_relative_to(folder.resolve())), None)
        if folder is not None:
            raise BadFile(f"{self._path} is in {folder}, whose files others can download. Move it elsewhere.")

    def verify(self, name: str, password: str) -> bool:
        """Return whether a password is the user's; False where the file cannot be read. Unknown names take as long."""
        try:
            user = self.by_name.get(name)
        except BadFile:
            user = None
        try:
            right = self._hasher.verify(self._nobody if user is None else user.hash, password[: LONGEST + 1])
        except (VerificationError, InvalidHashError):
            return False
        return right and user is not None

    def add(self, name: str, password: str) -> None:
        """Add a user, or change a user's password. Raises `BadRequest` for a name or password that is not allowed.

        A changed password keeps the id, and so all work. A name that was removed and is added again gets a new id.
        """
        if not NAME.fullmatch(name):
            raise BadRequest(f"{name!r} cannot be a name. Use up to 32 letters, digits, dots, dashes and underscores.")
        if not SHORTEST <= len(password) <= LONGEST:
            raise BadRequest(f"A password has {SHORTEST} to {LONGEST} characters; this one has {len(password)}.")
        hash = self._hasher.hash(password)
        with self._changing(make=True):
            users = self.by_name if self._path.exists() else {}
            id = users[name].id if name in users else secrets.token_hex(ID_BYTES)
            self._write({**users, name: User(name, hash, id)})

    def remove(self, name: str) -> None:
        """Remove a user, whose logins end at once. Raises `BadRequest` where there is none of that name."""
        with self._changing():
            users = self.by_name
            if name not in users:
                raise BadRequest(f"{self._path} has no user {name!r}. It has: {', '.join(sorted(users)) or 'nobody'}.")
            self._write({other: user for other, user in users.items() if other != name})

    def _write(self, users: dict[str, User]) -> None:
        lines = (f"{user.name}:{user.hash}:{user.id}\n" for _, user in sorted(users.items()))
        storage.write(self._path, "".join(lines).encode())

    @contextmanager
    def _changing(self, make: bool = False) -> Iterator[None]:
        """Keep others from changing the users while the block reads and writes them; `make`: also a folder for them.

        Raises `BadFile`.
        """
        if not make:
            _ = self.by_name  # where there is no file, none is made beside it
        try:
            if make:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            with storage.locked(self._path):
                yield
        except OSError as error:
            raise BadFile(
                f"{self._path} cannot be written: {error.strerror}. Choose a file in a folder that you may write in."
            ) from error


def _read(text: str) -> dict[str, User]:
    users: dict[str, User] = {}
    ids: set[str] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name, hash, id = (*line.strip().split(":"), "", "")[:3]
        user = User(name, hash, id or name)
        if not NAME.fullmatch(name) or not hash.startswith("$argon2") or not NAME.fullmatch(user.id) or line.count(":") > 2:
            raise BadFile(f"line {number} is not written as name:hash:id")
        if name in users or user.id in ids:
            raise BadFile(f"line {number} repeats a name or an id")
        users[name] = user
        ids.add(user.id)
    return users


def _hint(path: Path) -> str:
    return noop(f"Add one: editlab user add NAME --auth {path}")
