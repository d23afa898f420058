"""The file of the users who may come in: a line `name:hash` each, the hash by argon2. No password is kept anywhere."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from pathlib import Path
from tempfile import NamedTemporaryFile

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from editlab.errors import BadFile, BadRequest

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
SHORTEST, LONGEST = 8, 256
"""Characters of a password."""


class Users:
    """A file of users, read again as soon as it changes. Raises `BadFile` where it cannot be read or has a bad line."""

    def __init__(self, path: Path) -> None:
        self._path, self._hasher = path, PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_hex())
        self._stamp: tuple[int, int, int] | None = None
        self._hashes: dict[str, str] = {}

    @property
    def hashes(self) -> dict[str, str]:
        """Each user's hash, as the file now has it."""
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp != self._stamp:
                self._hashes, self._stamp = _read(self._path.read_text(encoding="utf-8")), stamp
        except FileNotFoundError:
            raise BadFile(f"There is no file of users at {self._path}. {_how(self._path)}") from None
        except (OSError, UnicodeDecodeError, BadFile) as error:
            raise BadFile(f"{self._path} is no file of users: {error}. {_how(self._path)}") from error
        return self._hashes

    def check(self) -> None:
        """Raise `BadFile` where nobody could come in."""
        if not self.hashes:
            raise BadFile(f"{self._path} names no user, so nobody could come in. {_how(self._path)}")

    def verify(self, name: str, password: str) -> bool:
        """Whether that is the user's password; nobody's where the file cannot be read. An unknown name takes as long."""
        try:
            known = self.hashes.get(name)
        except BadFile:
            known = None
        try:
            return self._hasher.verify(known or self._nobody, password[: LONGEST + 1]) and known is not None
        except (VerificationError, InvalidHashError):
            return False

    def mark(self, name: str) -> str | None:
        """What a login holds of a user, another one after each change of the password; None where there is no such user."""
        known = self.hashes.get(name)
        return None if known is None else hashlib.sha256(known.encode()).hexdigest()

    def add(self, name: str, password: str) -> None:
        """Add a user, or give one another password. Raises `BadRequest` for a name or password that will not do."""
        if not NAME.fullmatch(name):
            raise BadRequest(f"{name!r} cannot be a name. Use up to 32 letters, digits, dots, dashes and underscores.")
        if not SHORTEST <= len(password) <= LONGEST:
            raise BadRequest(f"A password has {SHORTEST} to {LONGEST} characters; this one has {len(password)}.")
        known = self.hashes if self._path.exists() else {}
        self._write({**known, name: self._hasher.hash(password)})

    def remove(self, name: str) -> None:
        """Remove a user, whose logins end at once. Raises `BadRequest` where there is none of that name."""
        known = self.hashes
        if name not in known:
            raise BadRequest(f"{self._path} has no user {name!r}. It has: {', '.join(sorted(known)) or 'nobody'}.")
        self._write({other: kept for other, kept in known.items() if other != name})

    def _write(self, hashes: dict[str, str]) -> None:
        """Replace the file, readable to its owner alone, as a whole or not at all."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile("w", dir=self._path.parent, prefix=".users-", delete=False, encoding="utf-8") as file:
                file.writelines(f"{name}:{kept}\n" for name, kept in sorted(hashes.items()))
                file.flush()
                os.fsync(file.fileno())
            os.replace(file.name, self._path)
        except OSError as error:
            raise BadFile(f"{self._path} cannot be written: {error.strerror}. Name a file in a folder of yours.") from error


def _read(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        name, _, kept = line.strip().partition(":")
        if not line.strip():
            continue
        if not NAME.fullmatch(name) or not kept.startswith("$argon2") or name in found:
            raise BadFile(f"line {number} is no name with a hash, or repeats a name")
        found[name] = kept
    return found


def _how(path: Path) -> str:
    return f"Add one: editlab user add NAME --auth {path}"
