"""The tables of workspaces, visitors, jobs, check-ups and deleted workspaces."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables. A name is unique among the shared workspaces, and among the private ones of each owner.

    Some tables may exist: older versions upgraded without a transaction, and one that was killed has left them.
    """

    def texts(*names: str, nullable: bool = False) -> list[sa.Column]:
        return [sa.Column(name, sa.String, nullable=nullable) for name in names]

    op.create_table(
        "workspaces",
        sa.Column("id", sa.String, primary_key=True),
        *texts("owner", "name"),
        sa.Column("shared", sa.Boolean, nullable=False),
        *texts("made_at", "seen_at"),
        *texts("deleted_at", nullable=True),
        if_not_exists=True,
    )
    kept = "deleted_at IS NULL"
    for name, columns, which in (("shared_name", ["name"], "shared"), ("private_name", ["owner", "name"], "NOT shared")):
        where = sa.text(f"{which} AND {kept}")
        op.create_index(name, "workspaces", columns, unique=True, sqlite_where=where, if_not_exists=True)
    op.create_table(
        "visitors", sa.Column("id", sa.String, primary_key=True), *texts("workspace", "seen_at"), if_not_exists=True
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.String, primary_key=True),
        *texts("session", "kind", "title", "state", "model", "workspace", "author", "error", "request", "result"),
        *texts("submitted_at"),
        *texts("began_at", "ended_at", nullable=True),
        if_not_exists=True,
    )
    op.create_table(
        "checkups",
        *(sa.Column(name, sa.String, primary_key=True) for name in ("model", "workspace")),
        sa.Column("number", sa.Integer, primary_key=True),
        *texts("at", "body"),
        if_not_exists=True,
    )
    op.create_table(
        "forgotten",
        sa.Column("id", sa.Integer, primary_key=True),
        *texts("model", "workspace", "last", "at"),
        sa.Column("events", sa.Integer, nullable=False),
        if_not_exists=True,
    )
