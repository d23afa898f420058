"""The ledger: events, which are only appended and form hash chains, and the files that they name.

One SQLite database in the data folder holds the events of all workspaces. The key of a workspace has the model's
fingerprint, because an edit is only valid for its own weights. Several processes may use a ledger: the number of an event is
unique in its workspace, so that of two processes that write at once, one has to read again (`Behind`). Each process holds a
lock as long as it runs, by which the others distinguish edits that are being computed from interrupted ones.

Only SQLite may open the database's file: a process that opens and closes it otherwise loses SQLite's locks, and with them
what other processes have written to the write-ahead log. `backup` copies a ledger. Only the user who runs EditLab may read
the folder and its files.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
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
from editlab.wording import count, noop

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
"""The columns of an event that its hash covers."""
COUNT_WRITTEN = sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'events'")


class Behind(Exception):
    """Another process has written the workspace's next event, which has to be read first."""


class Key(NamedTuple):
    """The key of a chain of events: a model's fingerprint and a workspace's id."""

    model: str
    workspace: str


class Ledger:
    """The ledger of a data folder, which is made if needed; `session`: the id of this process.

    Raises `BadFile` where the folder cannot be written. It holds connections and a lock until it is closed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.session = folder, secrets.token_hex(8)
        self.tensors, self.files = TensorFiles(folder / "tensors"), Files(folder / "files")
        self._alive = FileLock(self._lock_of(self.session), mode=storage.FILE_MODE, thread_local=False)
        self._engine = sa.create_engine(f"sqlite:///{folder / DATABASE}")
        sa.event.listen(self._engine, "connect", _prepare)
        try:
            with _explain_errors(folder):
                _make_private(folder)
                (folder / RUNNING).mkdir(storage.FOLDER_MODE, exist_ok=True)
                with FileLock(folder / OPENING, mode=storage.FILE_MODE):
                    self.count_others()
                    self._alive.acquire()
                    with self._engine.begin() as connection:
                        _migrate(connection, folder)
        except BaseException:
            self.close()
            raise

    @staticmethod
    def exists(folder: Path) -> bool:
        """Return whether a data folder has a ledger; an empty file is none."""
        database = folder / DATABASE
        return database.is_file() and database.stat().st_size > 0

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Yield a connection whose changes are written at the end, all or none.

        Raises `BadFile` for errors of the disk or the database, and SQLAlchemy's `IntegrityError` where the tables refuse a
        row, for example because its name is taken.
        """
        with _explain_errors(self.folder), self._engine.begin() as connection:
            yield connection

    def append(self, key: Key, event: Event, previous: str) -> str:
        """Write an event after the one whose hash is `previous`, and return its hash.

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
        """Return a workspace's events after the `after`th, whose hash is `previous`, each with its own hash.

        Raises `BadFile` where the hash chain is broken.
        """
        where = (EVENTS.c.model == key.model) & (EVENTS.c.workspace == key.workspace) & (EVENTS.c.number > after)
        with self.transaction() as connection:
            rows = connection.execute(sa.select(EVENTS).where(where).order_by(EVENTS.c.number)).mappings().all()
        for number, row in enumerate(rows, start=after + 1):
            if fault := fault_of(row, number, previous):
                raise BadFile(f"{fault} Run: editlab ledger verify")
            previous = row["hash"]
        return [(event_of(row), row["hash"]) for row in rows]

    def applied_elsewhere(self, key: Key) -> int:
        """Return how many edits were ever applied in this workspace to other models, or in another precision."""
        where = (EVENTS.c.workspace == key.workspace) & (EVENTS.c.model != key.model) & (EVENTS.c.kind == "applied")
        with self.transaction() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(EVENTS).where(where)) or 0

    def rows(self, workspaces: Collection[str] | None = None) -> tuple[list[dict[str, Any]], int]:
        """Return the rows of the events of these workspaces, or of all, oldest first; and how many events are missing.

        The missing events are counted in the whole ledger: those ever written, less those deleted and those that are there.
        """
        chosen = sa.select(EVENTS).order_by(EVENTS.c.id)
        if workspaces is not None:
            chosen = chosen.where(EVENTS.c.workspace.in_(workspaces))
        with self.snapshot() as connection:
            rows = [dict(row) for row in connection.execute(chosen).mappings()]
            there = connection.scalar(sa.select(sa.func.count()).select_from(EVENTS))
            written = connection.scalar(COUNT_WRITTEN)
            forgotten = connection.scalar(sa.select(sa.func.sum(FORGOTTEN.c.events)))
        return rows, (written or 0) - (forgotten or 0) - there

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """Yield a connection that sees the database as it was at one moment, also while others write."""
        with self.transaction() as connection:
            connection.exec_driver_sql("BEGIN")
            yield connection

    @property
    def event_count(self) -> int:
        """The number of events that were ever written."""
        with _explain_errors(self.folder), self._engine.connect() as connection:
            return connection.scalar(COUNT_WRITTEN) or 0

    def check_writable(self) -> None:
        """Raise `BadFile` where no event or file can be written now, because the disk is full or the folder read-only."""
        with _explain_errors(self.folder):
            with self._engine.connect() as connection:
                connection.execute(sa.text("BEGIN IMMEDIATE"))
                connection.rollback()
            with TemporaryFile(dir=self.folder) as file:
                file.write(bytes(PROBED_BYTES))
                file.flush()
                os.fsync(file.fileno())

    def extend(self, rows: Sequence[Mapping[str, Any]], also: Callable[[sa.Connection], None] = lambda _: None) -> None:
        """Write rows of another ledger unchanged, and what `also` writes, all or none.

        Raises `Behind` where the number of a row is taken.
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
        """Write the database as it is at one moment into a new file, also while others write. Raises `BadFile`."""
        with _explain_errors(path.parent):
            os.close(storage.opener(str(path), os.O_CREAT | os.O_EXCL))
            with closing(self._engine.raw_connection()) as connection, closing(sqlite3.connect(path)) as copy:
                connection.driver_connection.backup(copy)

    def compact(self) -> None:
        """Write the database again, so that nothing of the deleted rows is left in its file. Raises `BadFile`."""
        with _explain_errors(self.folder), self._engine.connect() as connection:
            connection.exec_driver_sql("VACUUM")
        self.trim()

    def trim(self) -> None:
        """Empty the write-ahead log, which may still hold deleted rows. Raises `BadFile`."""
        with _explain_errors(self.folder), self._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").close()

    def count_others(self) -> int:
        """Return how many other processes have this ledger open. Locks of killed processes are removed."""
        sessions = [lock.stem for lock in (self.folder / RUNNING).glob("*.lock")]
        return sum(self.alive(session) for session in sessions if session != self.session)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other processes from opening this ledger during the block. Raises `BadRequest` where one has it open."""
        with _explain_errors(self.folder), FileLock(self.folder / OPENING, mode=storage.FILE_MODE):
            if others := self.count_others():
                raise BadRequest(
                    f"EditLab runs on {self.folder} ({count(others, 'other process', 'other processes')}) and keeps "
                    "workspaces in memory. Stop it first, then run this again."
                )
            yield

    def alive(self, session: str) -> bool:
        """Return whether the process with this id runs. The lock of a killed process is removed. Raises `BadFile`."""
        if session == self.session:
            return True
        path = self._lock_of(session)
        with _explain_errors(self.folder):
            if not path.exists():
                return False
            try:
                with FileLock(path, blocking=False):
                    path.unlink(missing_ok=True)
                    return False
            except Timeout:
                return True

    def close(self) -> None:
        """Close the connections and release the lock."""
        self._engine.dispose()
        self._alive.release()
        with suppress(OSError):  # where the folder could not be made, there is no lock
            self._lock_of(self.session).unlink()

    def _lock_of(self, session: str) -> Path:
        return self.folder / RUNNING / f"{Path(session).name}.lock"


def now(offset: float = 0.0) -> str:
    """Return the time, plus so many seconds, as events have it: ISO 8601 in UTC."""
    return (datetime.now(UTC) + timedelta(seconds=offset)).isoformat(timespec="milliseconds")


def event_of(row: Mapping[str, Any]) -> Event:
    """Return the event of a row."""
    return Event(row["number"], row["kind"], json.loads(row["body"]), row["at"])


def canonical(value: Any) -> str:
    """Return the one JSON text of a value: with sorted keys, without white space and NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def hash_of(row: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an event, which covers the hash of the event before it."""
    return hashlib.sha256(canonical({name: row[name] for name in HASHED}).encode()).hexdigest()


def fault_of(row: Mapping[str, Any], number: int, previous: str) -> str:
    """Return what is wrong with a row that should be its workspace's `number`th event; empty where it is right."""
    name = f"Workspace {row['workspace']!r}"
    if row["number"] != number:
        return noop(f"{name}: event {number} is missing.")
    if row["hash"] != hash_of(row):
        return noop(f"{name}: event {number} was changed after it was written.")
    return "" if row["previous"] == previous else noop(f"{name}: event {number} does not follow the one before it.")


def _prepare(connection: Any, _record: Any) -> None:
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").close()


def _make_private(folder: Path) -> None:
    """Make a data folder that only its owner may read, or restrict one of our own, with its database."""
    folder.mkdir(storage.FOLDER_MODE, parents=True, exist_ok=True)
    with suppress(FileExistsError):  # only SQLite may open an existing database
        os.close(storage.opener(str(folder / DATABASE), os.O_CREAT | os.O_EXCL))
    for path in (folder, *(folder / f"{DATABASE}{suffix}" for suffix in ("", "-wal", "-shm"))):
        with suppress(FileNotFoundError):
            status = path.stat()
            if status.st_uid == os.geteuid() and status.st_mode & storage.OTHERS:
                path.chmod(status.st_mode & storage.FOLDER_MODE)


def migrations(connection: sa.Connection) -> Config:
    """Return alembic's configuration for a connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _migrate(connection: sa.Connection, folder: Path) -> None:
    """Upgrade the database to this version, as a whole or not at all. Raises `BadFile` for one of a newer version."""
    config = migrations(connection)
    known = ScriptDirectory.from_config(config)
    if _revision(connection) == known.get_current_head():
        return
    connection.exec_driver_sql("BEGIN IMMEDIATE")  # else SQLite would keep the tables that were made before a crash
    revision = _revision(connection)
    if revision is not None and revision not in {script.revision for script in known.walk_revisions()}:
        raise BadFile(
            f"The ledger in {folder} was written by a newer EditLab (it has revision {revision[:40]}; this version knows up "
            f"to {known.get_current_head()}). Update EditLab, or set EDITLAB_DATA to another folder. Nothing was changed."
        )
    command.upgrade(config, "head")


def _revision(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


@contextmanager
def _explain_errors(folder: Path) -> Iterator[None]:
    """Turn the errors of a disk or a database into `BadFile`."""
    try:
        yield
    except sa.exc.IntegrityError:  # the caller's: a row was refused
        raise
    except (OSError, sa.exc.DatabaseError) as error:
        why = error.strerror if isinstance(error, OSError) else str(getattr(error, "orig", error))
        raise BadFile(
            f"The ledger in {folder} cannot be used: {why}. Set EDITLAB_DATA to a folder where there is room and you may "
            "write."
        ) from error
