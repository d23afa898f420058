"""The ledger: events that are only ever appended, each chained to the one before it by a hash, and the files they name.

One SQLite database in the data folder holds the events of all workspaces; a workspace belongs to a name and a model, for an
edit means nothing over other weights. Several processes may use it at a time: an event's number is unique in its
workspace, so of two that write at once one is told to look again (`Behind`). Each process holds a lock of its own as long as
it lives, by which the others tell an edit that is being computed from one that was interrupted.

Nothing opens the database's file but SQLite: a process that opens and closes it by itself loses SQLite's locks on it, and
with them what others have written and not yet moved into it. To copy a ledger there is `backup`. The folder and its files
belong to whoever runs EditLab alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock, Timeout

from editlab import storage
from editlab.errors import BadFile, BadRequest
from editlab.lab.ledger.events import Event
from editlab.lab.ledger.files import Files, TensorFiles
from editlab.lab.ledger.tables import EVENTS, FORGOTTEN

DATABASE, RUNNING, OPENING = "ledger.sqlite", "running", "opening.lock"
BUSY_SECONDS = 30
PROBED_BYTES = 4096
PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    "secure_delete = ON",
    f"busy_timeout = {1000 * BUSY_SECONDS}",
)

HASHED = ("model", "workspace", "number", "kind", "body", "at", "previous")


class Behind(Exception):
    """Somebody else has written this workspace's next event: read it and decide again."""


class Key(NamedTuple):
    """Whose events: a model's fingerprint and a workspace's name."""

    model: str
    workspace: str


class Ledger:
    """The ledger of a data folder, which is made where there is none; `session` names this process in it.

    Raises `BadFile` where the folder cannot be written. Close it: it holds connections and a lock.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.session = folder, secrets.token_hex(8)
        self.tensors, self.files = TensorFiles(folder / "tensors"), Files(folder / "files")
        self._alive = FileLock(self._lock_of(self.session), mode=storage.FILE_MODE, thread_local=False)
        self._engine = sa.create_engine(f"sqlite:///{folder / DATABASE}")
        sa.event.listen(self._engine, "connect", _prepare)
        try:
            with _told(folder):
                _close_to_others(folder)
                (folder / RUNNING).mkdir(storage.FOLDER_MODE, exist_ok=True)
                with FileLock(folder / OPENING, mode=storage.FILE_MODE):
                    self.others()
                    self._alive.acquire()
                    with self._engine.begin() as connection:
                        _migrate(connection, folder)
        except BaseException:
            self.close()
            raise

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether anything was ever kept in a data folder."""
        return (folder / DATABASE).is_file()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """A connection whose changes are on the disk at the end, all or none. Raises `BadFile` for what a disk refuses.

        What the tables themselves refuse, a name that is taken say, is SQLAlchemy's `IntegrityError`.
        """
        with _told(self.folder), self._engine.begin() as connection:
            yield connection

    def append(self, key: Key, event: Event, previous: str) -> str:
        """Write an event behind the one whose hash is `previous`; its own hash.

        It is on the disk when this returns. Raises `Behind` where its number is taken.
        """
        row = {
            **key._asdict(),
            "number": event.number,
            "kind": event.kind,
            "body": canonical(event.body),
            "at": event.at,
            "previous": previous,
        }
        row["hash"] = hash_of(row)
        try:
            with self.transaction() as connection:
                connection.execute(sa.insert(EVENTS), row)
        except sa.exc.IntegrityError as error:
            raise Behind from error
        return row["hash"]

    def read(self, key: Key, after: int = 0, previous: str = "") -> list[tuple[Event, str]]:
        """A workspace's events behind the `after`th, whose hash is `previous`; each with its own hash.

        Raises `BadFile` where the chain is broken: what stands there is not what was written.
        """
        where = (EVENTS.c.model == key.model) & (EVENTS.c.workspace == key.workspace) & (EVENTS.c.number > after)
        with self.transaction() as connection:
            rows = connection.execute(sa.select(EVENTS).where(where).order_by(EVENTS.c.number)).mappings().all()
        for number, row in enumerate(rows, start=after + 1):
            if fault := fault_of(row, number, previous):
                raise BadFile(f"{fault} Run: editlab ledger verify")
            previous = row["hash"]
        return [(event_of(row), row["hash"]) for row in rows]

    def rows(self, workspaces: Collection[str] | None = None) -> tuple[list[dict[str, Any]], int]:
        """Return the events of these workspaces, or of all, as the table has them, oldest first; and how many are missing.

        In the whole ledger are missing what was ever written, less what was forgotten and what is there.
        """
        chosen = sa.select(EVENTS).order_by(EVENTS.c.id)
        if workspaces is not None:
            chosen = chosen.where(EVENTS.c.workspace.in_(workspaces))
        with self.snapshot() as connection:
            rows = [dict(row) for row in connection.execute(chosen).mappings()]
            there = connection.scalar(sa.select(sa.func.count()).select_from(EVENTS))
            written = connection.scalar(sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'events'"))
            forgotten = connection.scalar(sa.select(sa.func.sum(FORGOTTEN.c.events)))
        return rows, (written or 0) - (forgotten or 0) - there

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """Yield a connection that sees the database as it was at one moment, whatever others write meanwhile."""
        with self.transaction() as connection:
            connection.exec_driver_sql("BEGIN")
            yield connection

    @property
    def written(self) -> int:
        """How many events were ever written."""
        with _told(self.folder), self._engine.connect() as connection:
            return connection.scalar(sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'events'")) or 0

    def check_writable(self) -> None:
        """Raise `BadFile` where no event or file could be written now: a full disk, a folder without the right to write."""
        with _told(self.folder):
            with self._engine.connect() as connection:
                connection.execute(sa.text("BEGIN IMMEDIATE"))
                connection.rollback()
            with TemporaryFile(dir=self.folder) as file:
                file.write(bytes(PROBED_BYTES))
                file.flush()
                os.fsync(file.fileno())

    def extend(self, rows: Sequence[Mapping[str, Any]], also: Callable[[sa.Connection], None] = lambda _: None) -> None:
        """Write rows of another ledger as they are, and what goes with them, all or none.

        Raises `Behind` where one's number is taken.
        """
        try:
            with self.transaction() as connection:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                if rows:
                    connection.execute(sa.insert(EVENTS), [{name: row[name] for name in (*HASHED, "hash")} for row in rows])
                also(connection)
        except sa.exc.IntegrityError as error:
            raise Behind from error

    def copy(self, path: Path) -> None:
        """Write the database as it is at one moment into a new file, whatever others write meanwhile. Raises `BadFile`."""
        with _told(path.parent):
            os.close(storage.opener(str(path), os.O_CREAT | os.O_EXCL))
            with closing(self._engine.raw_connection()) as connection, closing(sqlite3.connect(path)) as copy:
                connection.driver_connection.backup(copy)

    def compact(self) -> None:
        """Write the database anew, so that nothing of what was taken out is left in its file. Raises `BadFile`."""
        with _told(self.folder), self._engine.connect() as connection:
            connection.exec_driver_sql("VACUUM")
        self.trim()

    def trim(self) -> None:
        """Empty the write-ahead log, in which what was taken out may still stand. Raises `BadFile`."""
        with _told(self.folder), self._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").close()

    def others(self) -> int:
        """Return how many other processes have this ledger open. Locks of killed processes are removed."""
        sessions = [lock.stem for lock in (self.folder / RUNNING).glob("*.lock")]
        return sum(self.alive(session) for session in sessions if session != self.session)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep others from opening this ledger as long as the block lasts. Raises `BadRequest` where another one has."""
        with _told(self.folder), FileLock(self.folder / OPENING, mode=storage.FILE_MODE):
            if count := self.others():
                raise BadRequest(
                    f"EditLab runs on {self.folder} ({count} other {'process' if count == 1 else 'processes'}) and keeps "
                    "workspaces in memory. Stop it first, then run this again."
                )
            yield

    def alive(self, session: str) -> bool:
        """Whether the process that called itself so still runs. The lock of one that was killed is taken away."""
        if session == self.session:
            return True
        path = self._lock_of(session)
        if not path.exists():
            return False
        try:
            with FileLock(path, blocking=False):
                path.unlink(missing_ok=True)
                return False
        except Timeout:
            return True

    def close(self) -> None:
        """Close the connections and let the lock go."""
        self._engine.dispose()
        self._alive.release()
        with suppress(OSError):  # where nothing could be made, there is nothing to take away
            self._lock_of(self.session).unlink()

    def _lock_of(self, session: str) -> Path:
        return self.folder / RUNNING / f"{Path(session).name}.lock"


def now() -> str:
    """The time as events carry it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def event_of(row: Mapping[str, Any]) -> Event:
    """The event that a row of the table is."""
    return Event(row["number"], row["kind"], json.loads(row["body"]), row["at"])


def canonical(value: Any) -> str:
    """JSON of which there is one spelling: sorted keys, no white space, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def hash_of(row: Mapping[str, Any]) -> str:
    """SHA-256 over all of an event, the hash of the one before it among it."""
    return hashlib.sha256(canonical({name: row[name] for name in HASHED}).encode()).hexdigest()


def fault_of(row: Mapping[str, Any], number: int, previous: str) -> str:
    """What is wrong with a row that should be its workspace's `number`th event; empty where nothing is."""
    name = f"Workspace {row['workspace']!r}"
    if row["number"] != number:
        return f"{name}: event {number} is missing."
    if row["hash"] != hash_of(row):
        return f"{name}: event {number} was changed after it was written."
    return "" if row["previous"] == previous else f"{name}: event {number} does not follow the one before it."


def _prepare(connection: Any, _record: Any) -> None:
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").close()


def _close_to_others(folder: Path) -> None:
    """Make a data folder that its owner alone may read; one that is there and ours becomes so, with its database."""
    folder.mkdir(storage.FOLDER_MODE, parents=True, exist_ok=True)
    with suppress(FileExistsError):  # what is there, SQLite alone may open
        os.close(storage.opener(str(folder / DATABASE), os.O_CREAT | os.O_EXCL))
    for path in (folder, *(folder / f"{DATABASE}{suffix}" for suffix in ("", "-wal", "-shm"))):
        with suppress(FileNotFoundError):
            found = path.stat()
            if found.st_uid == os.geteuid() and found.st_mode & storage.OTHERS:
                path.chmod(found.st_mode & storage.FOLDER_MODE)


def migrations(connection: sa.Connection) -> Config:
    """Return alembic's configuration for a connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _migrate(connection: sa.Connection, folder: Path) -> None:
    """Bring the database to this version's form, wholly or not at all. Raises `BadFile` for one of a newer version."""
    config = migrations(connection)
    known = ScriptDirectory.from_config(config)
    if _revision(connection) == known.get_current_head():
        return
    connection.exec_driver_sql("BEGIN IMMEDIATE")  # else SQLite would keep each table that was made before a process died
    form = _revision(connection)
    if form is not None and form not in {script.revision for script in known.walk_revisions()}:
        raise BadFile(
            f"The ledger in {folder} was written by a newer EditLab (its form is {form[:40]}; this one knows up to "
            f"{known.get_current_head()}). Update EditLab, or set EDITLAB_DATA to another folder. Nothing was changed."
        )
    command.upgrade(config, "head")


def _revision(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Turn what a disk or a database can refuse into a sentence."""
    try:
        yield
    except sa.exc.IntegrityError:  # no refusal of the disk: whoever wrote knows what it means
        raise
    except (OSError, sa.exc.DatabaseError) as error:
        why = error.strerror if isinstance(error, OSError) else str(getattr(error, "orig", error))
        raise BadFile(
            f"The ledger in {folder} cannot be used: {why}. Set EDITLAB_DATA to a folder with room that you may write in."
        ) from error
