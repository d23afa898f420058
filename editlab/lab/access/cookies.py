"""The secrets that sign the cookies of the login and of workshops, and the logins that were ended early.

Anyone who has a secret can forge every cookie. So its folder can only be entered by the owner, and a new secret ends all
logins at once, also those of a running server.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from editlab import storage
from editlab.errors import BadFile
from editlab.wording import noop

FOLDER, SECRET, WORKSHOP_SECRET, ENDED = "secrets", "cookie-secret", "workshop-secret", "ended-logins"
SECRET_BYTES = 32
MOST_ENDED = 10_000

log = logging.getLogger(__name__)


class CookieSecret:
    """A secret of a data folder, made if there is none. Raises `BadFile` where it cannot be written or is damaged.

    Version 0.1.0 wrote it into the data folder itself, where strangers could read it through the page. That file is deleted.
    """

    def __init__(self, data: Path, name: str = SECRET) -> None:
        self._path = data / FOLDER / name
        self._stamp: tuple[int, int, int] | None = None
        self._value = ""
        with _explain_errors(self._path):
            storage.make_folder(self._path.parent)
            (data / SECRET).unlink(missing_ok=True)

    @staticmethod
    def exists(data: Path, name: str = SECRET) -> bool:
        """Return whether a data folder has the secret, also one of version 0.1.0."""
        return (data / FOLDER / name).is_file() or (data / name).is_file()

    def read(self) -> str:
        """Return the secret, 64 hexadecimal digits. A secret that others could read is replaced. Raises `BadFile`."""
        with _explain_errors(self._path):
            if not self._path.exists():
                self.renew()
            elif storage.is_exposed(self._path):
                log.warning(f"Others could read {self._path.name}, which signs cookies. A new one is made; they all end.")
                self.renew()
            stamp = storage.stamp(self._path)
            if stamp != self._stamp:
                self._value, self._stamp = self._path.read_text(encoding="utf-8"), stamp
        if len(self._value) != 2 * SECRET_BYTES:
            renew = noop("Make a new secret: editlab user end-sessions") if self._path.name == SECRET else noop("Delete it")
            raise BadFile(f"{self._path} is damaged. {renew}")
        return self._value

    def renew(self) -> None:
        """Make a new secret, which ends all logins. Raises `BadFile`."""
        with _explain_errors(self._path):
            storage.write(self._path, secrets.token_hex(SECRET_BYTES).encode())


class EndedLogins:
    """Logins that were ended by logging out, until their cookies expire. A restart keeps them, and processes share them.

    `seconds`: how long a cookie is valid. The latest 10,000 are kept.
    """

    def __init__(self, data: Path, seconds: float) -> None:
        self._path, self._seconds, self._lock = data / FOLDER / ENDED, seconds, threading.Lock()
        self._until: OrderedDict[str, float] = OrderedDict()
        self._stamp: tuple[int, int, int] | None = None
        self._read()

    def __contains__(self, login: str) -> bool:
        with self._lock:
            self._read()
            return login in self._until

    def _read(self) -> None:
        """Add what another process has written. Raises `BadFile`."""
        try:
            stamp = storage.stamp(self._path)
            if stamp != self._stamp:
                self._until |= json.loads(self._path.read_text(encoding="utf-8"))
                self._stamp = stamp
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError) as error:
            raise BadFile(f"{self._path} is damaged. Delete it, and run: editlab user end-sessions") from error

    def add(self, login: str) -> None:
        """End a login. Raises `BadFile` where that cannot be written; then the login is ended until the next start."""
        with self._lock, _explain_errors(self._path):
            self._until[login] = time.time() + self._seconds
            with storage.locked(self._path):
                self._read()
                self._until.move_to_end(login)
                while len(self._until) > MOST_ENDED or next(iter(self._until.values())) < time.time():
                    self._until.popitem(last=False)
                storage.write(self._path, json.dumps(self._until).encode())


@contextmanager
def _explain_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BadFile(
            f"{path} cannot be written: {error.strerror}. Set EDITLAB_DATA to a folder that you may write in."
        ) from error
