"""Deletion of workspaces for good, with everything that belongs to them.

A public demo deletes workspaces that nobody has opened for long. Elsewhere only the operator deletes. Each deleted workspace
leaves a row, so that `verify` can still account for every event that was written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

import sqlalchemy as sa

from editlab.errors import BadFile
from editlab.lab.ledger.audit import addresses
from editlab.lab.ledger.ledger import Ledger, now
from editlab.lab.ledger.tables import (
    CHECKUPS,
    EVENTS,
    FORGOTTEN,
    GUESSES,
    JOBS,
    PARTICIPANTS,
    QUESTIONS,
    VISITORS,
    WORKSHOPS,
    WORKSPACES,
)

FRESH_SECONDS = 3600.0
AT_ONCE = 500
"""Workspaces in one SQL statement."""


def forget(ledger: Ledger, seconds: float, drop: Callable[[Collection[str]], None] = lambda ids: None) -> tuple[str, ...]:
    """Delete the workspaces that nobody has opened for so many seconds, and return their ids. Raises as `forget_these`.

    Also those of which only events are left, because one was written while the workspace was deleted. `drop(ids)` is called
    where any were to be deleted, also if an error is raised.
    """
    before = now(-seconds)
    unseen = sa.select(WORKSPACES.c.id).where(WORKSPACES.c.seen_at < before)
    without_row = sa.select(EVENTS.c.workspace).where(EVENTS.c.workspace.not_in(sa.select(WORKSPACES.c.id)))
    left = without_row.group_by(EVENTS.c.workspace).having(sa.func.max(EVENTS.c.at) < before)
    with ledger.transaction() as connection:
        ids = tuple(connection.scalars(sa.union(unseen, left)))
    if ids:
        try:
            forget_these(ledger, ids)
            ledger.trim()
        finally:
            drop(ids)
    return ids


def unused(ledger: Ledger, days: float) -> tuple[str, ...]:
    """Return the ids of workspaces that nobody has opened or changed for so many days."""
    before = now(-86400 * days)
    worked = sa.select(EVENTS.c.workspace).where(EVENTS.c.at >= before)
    where = (WORKSPACES.c.seen_at < before) & WORKSPACES.c.id.not_in(worked)
    with ledger.transaction() as connection:
        return tuple(connection.scalars(sa.select(WORKSPACES.c.id).where(where).order_by(WORKSPACES.c.made_at)))


def forget_these(ledger: Ledger, ids: Collection[str], owner: str = "", fresh: float = FRESH_SECONDS) -> int:
    """Delete workspaces with their events, jobs and check-ups, and their `owner`; return how many events were deleted.

    With the workspace of a participant, their guesses go; with that of which a workshop makes copies, the workshop.

    Files that nothing names any more are deleted too, except those younger than `fresh` seconds, because an event that names
    them may be written next. Raises `BadFile`; then nothing is deleted, or all but a file that it names.
    """
    ids, gone = list(ids), 0
    with ledger.transaction() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        for start in range(0, len(ids), AT_ONCE):
            gone += _delete(connection, ids[start : start + AT_ONCE])
        if owner:
            connection.execute(sa.delete(VISITORS).where(VISITORS.c.id == owner))
            connection.execute(sa.delete(JOBS).where(JOBS.c.author == owner))
            _forget_workshops(connection, WORKSHOPS.c.owner == owner)
    _sweep(ledger, fresh)
    return gone


def forget_unused(ledger: Ledger, id: str) -> bool:
    """Delete a workspace in which nothing was done yet but to look at a request; return whether that was so."""
    with ledger.transaction() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        done = sa.select(EVENTS.c.id).where(EVENTS.c.workspace == id, EVENTS.c.kind != "looked")
        if any(connection.scalar(some.limit(1)) for some in (done, sa.select(JOBS.c.id).where(JOBS.c.workspace == id))):
            return False
        _delete(connection, [id])
    return True


def _delete(connection: sa.Connection, ids: Collection[str]) -> int:
    """Delete workspaces with all rows that belong to them; return how many events that were."""
    gone = _note(connection, ids)
    for table in (EVENTS, CHECKUPS, JOBS, VISITORS):
        connection.execute(sa.delete(table).where(table.c.workspace.in_(ids)))
    _forget_workshops(connection, WORKSHOPS.c.seed.in_(ids))
    _forget_participants(connection, PARTICIPANTS.c.workspace.in_(ids))
    connection.execute(sa.delete(WORKSPACES).where(WORKSPACES.c.id.in_(ids)))
    return gone


def _forget_workshops(connection: sa.Connection, which: sa.ColumnElement[bool]) -> None:
    ids = connection.scalars(sa.select(WORKSHOPS.c.id).where(which)).all()
    _forget_participants(connection, PARTICIPANTS.c.workshop.in_(ids))
    connection.execute(sa.delete(QUESTIONS).where(QUESTIONS.c.workshop.in_(ids)))
    connection.execute(sa.delete(WORKSHOPS).where(WORKSHOPS.c.id.in_(ids)))


def _forget_participants(connection: sa.Connection, which: sa.ColumnElement[bool]) -> None:
    ids = connection.scalars(sa.select(PARTICIPANTS.c.id).where(which)).all()
    connection.execute(sa.delete(GUESSES).where(GUESSES.c.participant.in_(ids)))
    connection.execute(sa.delete(PARTICIPANTS).where(PARTICIPANTS.c.id.in_(ids)))


def named_files(ledger: Ledger) -> tuple[set[str], str]:
    """Return the addresses of the tensor files that events name, and the text in which jobs name other files."""
    rows, _ = ledger.rows()
    with ledger.transaction() as connection:
        return set(addresses(rows)), " ".join(connection.scalars(sa.select(JOBS.c.request)))


def _note(connection: sa.Connection, ids: Collection[str]) -> int:
    """Write a row for the events of each workspace and model that are about to be deleted; return how many they are."""
    own = EVENTS.c.workspace.in_(ids)
    last = sa.select(EVENTS.c.model, EVENTS.c.workspace, sa.func.max(EVENTS.c.number), sa.func.count()).where(own)
    rows = []
    for model, workspace, number, events in connection.execute(last.group_by(EVENTS.c.model, EVENTS.c.workspace)).all():
        where = (EVENTS.c.model == model) & (EVENTS.c.workspace == workspace) & (EVENTS.c.number == number)
        hash_ = connection.scalar(sa.select(EVENTS.c.hash).where(where))
        rows.append({"model": model, "workspace": workspace, "events": events, "last": hash_, "at": now()})
    if rows:
        connection.execute(sa.insert(FORGOTTEN), rows)
    return sum(row["events"] for row in rows)


def _sweep(ledger: Ledger, fresh: float) -> None:
    """Delete the files that no event and no job names any more, except fresh ones."""
    kept, requests = named_files(ledger)
    for files in (ledger.tensors, ledger.files):
        for path in files.folder.glob("*"):
            if path.stem in kept or path.stem in requests:
                continue
            try:
                if time.time() - path.stat().st_mtime > fresh:
                    path.unlink()
            except FileNotFoundError:  # it was being written, and has its own name by now
                continue
            except OSError as error:
                raise BadFile(
                    f"{path} could not be deleted: {error.strerror}. What it belonged to is gone. Delete the file too."
                ) from error
