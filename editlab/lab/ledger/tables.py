"""The tables of a data folder's database, as the migrations make them.

Only `EVENTS` holds edits: its rows are only appended, and form hash chains. The other tables hold the directory, jobs,
check-ups and workshops; without them, no edit would be lost.
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

WORKSHOPS = sa.Table(
    "workshops",
    _all,
    sa.Column("id", sa.String, primary_key=True),
    *_texts("code", "owner", "title", "seed"),
    sa.Column("most", sa.Integer, nullable=False),
    *_texts("made_at", "ends_at"),
    *_texts("closed_at", "question", nullable=True),
)
"""The workshops. `code`: the secret of the join link; `seed`: the workspace that is copied; `question`: the open one."""

PARTICIPANTS = sa.Table(
    "participants",
    _all,
    sa.Column("id", sa.String, primary_key=True),
    *_texts("workshop"),
    sa.Column("number", sa.Integer, nullable=False),
    *_texts("workspace", "joined_at", "seen_at"),
    *_texts("removed_at", nullable=True),
)
"""The participants of the workshops, who have no account; `number` is what others see of them."""

QUESTIONS = sa.Table(
    "questions",
    _all,
    sa.Column("workshop", sa.String, primary_key=True),
    sa.Column("id", sa.String, primary_key=True),
    *_texts("text", "options"),
    sa.Column("answer", sa.Integer, nullable=False),
    *_texts("asked_at"),
    *_texts("revealed_at", nullable=True),
)
"""What was asked in a workshop. `options`: a JSON list of texts; `answer`: the place of the right one."""

GUESSES = sa.Table(
    "guesses",
    _all,
    sa.Column("workshop", sa.String, primary_key=True),
    sa.Column("question", sa.String, primary_key=True),
    sa.Column("participant", sa.String, primary_key=True),
    sa.Column("choice", sa.Integer, nullable=False),
    *_texts("at"),
)
"""What each participant guessed: `choice` is a place in the question's list."""
