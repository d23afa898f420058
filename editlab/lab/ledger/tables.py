"""The tables of a data folder's database, as the migrations make them.

Only `EVENTS` counts as what happened: it is appended to alone, and chained by hashes. The others say who has which workspace
open, what was worked on, and what was measured; all of them could be lost without losing an edit.
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
"""`id` counts all events ever written, so that none can be taken out unseen."""

FORGOTTEN = sa.Table(
    "forgotten",
    _all,
    sa.Column("id", sa.Integer, primary_key=True),
    *_texts("model", "workspace", "last", "at"),
    sa.Column("events", sa.Integer, nullable=False),
)
"""What was let go: how many events of which workspace, and the hash of the last."""

WORKSPACES = sa.Table(
    "workspaces",
    _all,
    sa.Column("id", sa.String, primary_key=True),
    *_texts("owner", "name"),
    sa.Column("shared", sa.Boolean, nullable=False),
    *_texts("made_at", "seen_at"),
    *_texts("deleted_at", nullable=True),
)
"""`id` is what events name; `name` is what people read."""

VISITORS = sa.Table("visitors", _all, sa.Column("id", sa.String, primary_key=True), *_texts("workspace", "seen_at"))
"""Which workspace a visitor has open."""

JOBS = sa.Table(
    "jobs",
    _all,
    sa.Column("id", sa.String, primary_key=True),
    *_texts("session", "kind", "title", "state", "model", "workspace", "author", "error", "request", "result"),
    *_texts("submitted_at"),
    *_texts("began_at", "ended_at", nullable=True),
)
"""`session`: the process that does it; `request`: what it needs to go on after a restart; `result`: what came of it."""

CHECKUPS = sa.Table(
    "checkups",
    _all,
    sa.Column("model", sa.String, primary_key=True),
    sa.Column("workspace", sa.String, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    *_texts("at", "body"),
)
"""What was measured under the edits as they were after an event."""
