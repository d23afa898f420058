"""What a long life costs a workspace: time over its events and over its check-ups, which should grow in proportion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa

from editlab.bench.growth import compare
from editlab.facts import EditRequest, FactBase
from editlab.insight.checkup import Checkup
from editlab.lab import Lab
from editlab.lab.ledger.events import Edit, Event, State, fold
from editlab.lab.ledger.ledger import Key, canonical, now
from editlab.lab.ledger.tables import CHECKUPS
from editlab.model import LanguageModel
from editlab.probes import Passages

SIZES = (10_000, 20_000)
EDITS = 20
"""Edits that each check-up has asked again."""


@dataclass(frozen=True, eq=False)
class Life:
    """What a monitor asks of a workspace."""

    key: Key
    state: State


def measure(model: LanguageModel, rounds: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of `growth.measure` for folding a workspace's events, and for a look at its monitor."""
    events = {size: events_of(size) for size in SIZES}
    folds = {size: lambda own=own: fold(own) for size, own in events.items()}
    yield from compare("events", folds, rounds, model.device)
    with TemporaryDirectory() as folder:
        lab = Lab(model, FactBase((), {}, {}), Passages((), ()), data=Path(folder))
        try:
            lives = {size: live(lab, size) for size in SIZES}
            looks = {
                size: lambda life=life: lab.monitor.health(replace(life)) for size, life in lives.items()
            }  # nothing read yet
            yield from compare("check-ups", looks, rounds, model.device)
        finally:
            lab.close()


def events_of(count: int) -> list[Event]:
    """Return so many events: edits, and now and then one that is undone and redone."""
    kinds = ("applied",) * 8 + ("undone", "redone")
    at = now()
    return [
        Event(number, kind, {"edit": edit(number)} if kind == "applied" else {}, at)
        for number, kind in ((number, kinds[(number - 1) % len(kinds)]) for number in range(1, count + 1))
    ]


def edit(number: int) -> dict[str, Any]:
    """Return an edit as its event carries it."""
    return Edit(
        id=f"edit {number}",
        request=EditRequest("{} is in", f"Place {number}", "Europe"),
        method="rome",
        config={"steps": 25},
        layers=(5,),
        seconds=1.0,
        health={"p_new": 0.9},
        contexts=("",),
        solves=(f"{number:064x}",),
    ).as_json()


def live(lab: Lab, count: int) -> Life:
    """Keep so many check-ups of a new workspace, one an event."""
    life = Life(Key(lab.model.fingerprint, f"{count} check-ups"), State(number=count))
    found = Checkup(
        edits={f"edit {number}": (1.0, 1.0) for number in range(EDITS)},
        holds=1.0,
        retention=1.0,
        locality=1.0,
        same_subject=1.0,
        loss=3.0,
        loss_base=3.0,
        kl=0.0,
        relative_norm=0.01,
        value_norm=1.0,
        attention=1.0,
        seconds=1.0,
    )
    body = canonical(vars(found) | {"count": EDITS, "threshold": 0.8})
    row = {**life.key._asdict(), "at": now(), "body": body}
    with lab.ledger.transaction() as connection:
        connection.execute(sa.insert(CHECKUPS), [row | {"number": number} for number in range(1, count + 1)])
    return life
