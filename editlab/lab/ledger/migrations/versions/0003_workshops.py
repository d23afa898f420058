"""The tables of workshops, their participants, what they were asked and what they guessed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables. A join code and, in a workshop, a participant's number are unique."""

    def texts(*names: str, nullable: bool = False) -> list[sa.Column]:
        return [sa.Column(name, sa.String, nullable=nullable) for name in names]

    op.create_table(
        "workshops",
        sa.Column("id", sa.String, primary_key=True),
        *texts("code", "owner", "title", "seed"),
        sa.Column("most", sa.Integer, nullable=False),
        *texts("made_at", "ends_at"),
        *texts("closed_at", "question", nullable=True),
        sa.UniqueConstraint("code"),
    )
    op.create_table(
        "participants",
        sa.Column("id", sa.String, primary_key=True),
        *texts("workshop"),
        sa.Column("number", sa.Integer, nullable=False),
        *texts("workspace", "joined_at", "seen_at"),
        *texts("removed_at", nullable=True),
        sa.UniqueConstraint("workshop", "number"),
    )
    op.create_table(
        "questions",
        *(sa.Column(name, sa.String, primary_key=True) for name in ("workshop", "id")),
        *texts("text", "options"),
        sa.Column("answer", sa.Integer, nullable=False),
        *texts("asked_at"),
        *texts("revealed_at", nullable=True),
    )
    op.create_table(
        "guesses",
        *(sa.Column(name, sa.String, primary_key=True) for name in ("workshop", "question", "participant")),
        sa.Column("choice", sa.Integer, nullable=False),
        *texts("at"),
    )
