"""What a public demo keeps no longer: workspaces that nobody has opened for long, with everything that belongs to them.

Elsewhere nothing is ever forgotten. What goes leaves a line, so that `verify` still counts every event that was written.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from editlab.lab.archive import addresses
from editlab.lab.ledger import Ledger, now
from editlab.lab.tables import CHECKUPS, EVENTS, FORGOTTEN, JOBS, VISITORS, WORKSPACES

FRESH_SECONDS = 3600.0


def forget(ledger: Ledger, seconds: float) -> tuple[str, ...]:
    """Take out the workspaces that were last opened so long ago, their events, jobs, check-ups and files; their ids."""
    before = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="milliseconds")
    with ledger.transaction() as connection:
        ids = tuple(connection.scalars(sa.select(WORKSPACES.c.id).where(WORKSPACES.c.seen_at < before)))
        if not ids:
            return ()
        for id in ids:
            own = EVENTS.c.workspace == id
            counted = sa.select(EVENTS.c.model, sa.func.count(), sa.func.max(EVENTS.c.number)).where(own)
            for model, events, last in connection.execute(counted.group_by(EVENTS.c.model)).all():
                hashed = sa.select(EVENTS.c.hash).where(own, EVENTS.c.model == model, EVENTS.c.number == last)
                row = {"model": model, "workspace": id, "events": events, "last": connection.scalar(hashed), "at": now()}
                connection.execute(sa.insert(FORGOTTEN), row)
        for table in (EVENTS, CHECKUPS, JOBS, VISITORS):
            connection.execute(sa.delete(table).where(table.c.workspace.in_(ids)))
        connection.execute(sa.delete(WORKSPACES).where(WORKSPACES.c.id.in_(ids)))
    _sweep(ledger)
    return ids


def _sweep(ledger: Ledger) -> None:
    """Remove the files that no event and no job names any more; fresh ones stay, whose event may be about to be written."""
    rows, _ = ledger.rows()
    kept = set(addresses(rows))
    with ledger.transaction() as connection:
        requests = " ".join(connection.scalars(sa.select(JOBS.c.request)))
    for files in (ledger.tensors, ledger.files):
        for path in files.folder.glob("*"):
            if path.stem not in kept and path.stem not in requests and time.time() - path.stat().st_mtime > FRESH_SECONDS:
                path.unlink(missing_ok=True)
