"""The tables of a data folder's database, as the migrations make them.

Only `EVENTS` holds edits: its rows are only appended, and form hash chains. The other tables hold the directory, jobs and
check-ups; without them, no edit would be lost.
"""

import sqlalchemy as sa

_all = sa.MetaData()


def _texts(*names: str, nullable: bool = False) -> list[sa.Column]:
    return [sa.Column(name, sa.String, nullable=nullable) for name in names]


EVENTS = sa.Table(
    "events",
    _all,
    sa.Column("id", sa.Integer, primary_key=True),
    *_texts("model", "workspace"),
    sa.Column("number", sa.Integer, nullable=False),
    *_texts("kind", "body", "at", "previous", "hash"),
)
"""The events. `id` counts all events ever written, so that a missing one is noticed."""

FORGOTTEN = sa.Table(
    "forgotten",
    _all,
    sa.Column("id", sa.Integer, primary_key=True),
    *_texts("model", "workspace", "last", "at"),
    sa.Column("events", sa.Integer, nullable=False),
)
"""The workspaces that were deleted for good: how many events they had, and the hash of the last one."""

WORKSPACES = sa.Table(
    "workspaces",
    _all,
    sa.Column("id", sa.String, primary_key=True),
    *_texts("owner", "name"),
    sa.Column("shared", sa.Boolean, nullable=False),
    *_texts("made_at", "seen_at"),
    *_texts("deleted_at", nullable=True),
)
"""The directory. `id` is in the events; `name` is for people."""

VISITORS = sa.Table("visitors", _all, sa.Column("id", sa.String, primary_key=True), *_texts("workspace", "seen_at"))
"""The workspace that each visitor has open."""

JOBS = sa.Table(
    "jobs",
    _all,
    sa.Column("id", sa.String, primary_key=True),
    *_texts("session", "kind", "title", "state", "model", "workspace", "author", "error", "request", "result"),
    *_texts("submitted_at"),
    *_texts("began_at", "ended_at", nullable=True),
)
"""The jobs. `session`: the process that runs it; `request`: plain JSON by which it can be resumed after a restart."""

CHECKUPS = sa.Table(
    "checkups",
    _all,
    sa.Column("model", sa.String, primary_key=True),
    sa.Column("workspace", sa.String, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    *_texts("at", "body"),
)
"""The check-ups, each of the edits after one event."""
