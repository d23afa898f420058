"""The table of events."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the table. AUTOINCREMENT remembers how many rows were ever written."""
    op.create_table(
        "events",
        sa.Column("id", sa.Integer, primary_key=True),
        *(sa.Column(name, sa.String, nullable=False) for name in ("model", "workspace")),
        sa.Column("number", sa.Integer, nullable=False),
        *(sa.Column(name, sa.String, nullable=False) for name in ("kind", "body", "at", "previous", "hash")),
        sa.UniqueConstraint("model", "workspace", "number"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
