"""What the operator of an EditLab sees of its workshops, whoever opened them, and how they are closed from a terminal."""

from __future__ import annotations

import sqlalchemy as sa

from editlab.errors import BadRequest
from editlab.lab.ledger.ledger import Ledger, now
from editlab.lab.ledger.names import handle_of
from editlab.lab.ledger.tables import PARTICIPANTS, WORKSHOPS
from editlab.lab.workshops.parts import Workshop


def open_workshops(ledger: Ledger) -> tuple[tuple[Workshop, int], ...]:
    """Return the workshops that are open, in the order in which they began, each with how many take part."""
    there = sa.func.count(PARTICIPANTS.c.id)
    of = (PARTICIPANTS.c.workshop == WORKSHOPS.c.id) & PARTICIPANTS.c.removed_at.is_(None)
    chosen = sa.select(WORKSHOPS, there.label("there")).outerjoin(PARTICIPANTS, of)
    with ledger.transaction() as connection:
        rows = connection.execute(chosen.group_by(WORKSHOPS.c.id).order_by(WORKSHOPS.c.made_at)).mappings().all()
    found = ((Workshop(**{column.name: row[column.name] for column in WORKSHOPS.c}), row["there"]) for row in rows)
    return tuple((workshop, count) for workshop, count in found if workshop.open)


def close(ledger: Ledger, handle: str) -> Workshop:
    """Close an open workshop for whoever opened it. Raises `BadRequest` where there is none with this handle."""
    workshop = next((workshop for workshop, _ in open_workshops(ledger) if handle_of(workshop.id) == handle), None)
    if workshop is None:
        raise BadRequest(f"There is no open workshop {handle[:40]!r}. editlab workshop list shows their ids.")
    with ledger.transaction() as connection:
        connection.execute(sa.update(WORKSHOPS).where(WORKSHOPS.c.id == workshop.id).values(closed_at=now()))
    return workshop
