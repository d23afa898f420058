"""The check-ups of a workspace as the ledger keeps them.

The row of a check-up holds its metrics and those scores of edits that have changed since the check-up before it, so that the
ledger grows with changes, not with edits times check-ups. Rows of release 0.2 and before hold all scores.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from pandas import DataFrame

from editlab.insight.checkup import Checkup
from editlab.lab.ledger.ledger import Key, Ledger, canonical, now
from editlab.lab.ledger.tables import CHECKUPS

Scores = dict[str, tuple[float, float]]
"""By the id of an edit: the share of its own prompts, and of all its prompts, at which the model says the new object."""


@dataclass
class Checkups:
    """The check-ups of one workspace that were read, oldest first, and the scores of its edits at the latest of them."""

    key: Key
    rows: list[dict[str, Any]] = field(default_factory=list)
    scores: Scores = field(default_factory=dict)
    first: dict[str, float] = field(default_factory=dict)

    def read(self, ledger: Ledger, upto: int) -> None:
        """Read the check-ups of events up to a number, if they were not read yet."""
        stamp = sa.select(CHECKUPS.c.number, CHECKUPS.c.at).where(self._upto(upto)).order_by(CHECKUPS.c.number)
        with ledger.transaction() as connection:
            stamps = [tuple(row) for row in connection.execute(stamp)]
            known = len(self.rows)
            if [(row["number"], row["at"]) for row in self.rows] != stamps[:known]:  # one of them was made again
                self.rows, self.scores, self.first, known = [], {}, {}, 0
            if known == len(stamps):
                return
            after = self.rows[-1]["number"] if self.rows else -1
            chosen = sa.select(CHECKUPS).where(self._upto(upto) & (CHECKUPS.c.number > after)).order_by(CHECKUPS.c.number)
            bodies = connection.execute(chosen).mappings().all()
        for body in bodies:
            self._add(json.loads(body["body"]) | {"number": body["number"], "at": body["at"]})

    def write(self, ledger: Ledger, number: int, checkup: Checkup, more: Mapping[str, Any]) -> None:
        """Write the check-up of an event, in place of an earlier one of the same event. `more`: further fields of its row.

        It is dropped if a later event was checked meanwhile.
        """
        body = {**vars(checkup), **more, "edits": {id: list(scores) for id, scores in checkup.edits.items()}}
        self.read(ledger, number)
        if self.rows and self.rows[-1]["number"] < number:
            body["gone"] = [id for id in self.scores if id not in checkup.edits]
            body["edits"] = {id: own for id, own in body["edits"].items() if self.scores.get(id) != tuple(own)}
        row = {"model": self.key.model, "workspace": self.key.workspace, "number": number, "at": now()}
        newest = sa.select(sa.func.max(CHECKUPS.c.number)).where(self._mine)
        with ledger.transaction() as connection:
            if (connection.scalar(newest) or 0) > number:
                return
            connection.execute(sa.insert(CHECKUPS).prefix_with("OR REPLACE"), {**row, "body": canonical(_finite(body))})

    def table(self) -> DataFrame:
        """Return a row per edit and check-up: `number`, `id`, `holds` (at its own prompt), `share` (of its prompts)."""
        rows = [
            (row["number"], id, own >= 0.5, float(share))
            for row, scores in self._each()
            for id, (own, share) in scores.items()
        ]
        return DataFrame(rows, columns=["number", "id", "holds", "share"])

    def _each(self) -> Iterator[tuple[dict[str, Any], Scores]]:
        scores: Scores = {}
        for row in self.rows:
            scores = _update(scores, row)
            yield row, scores

    def _add(self, row: dict[str, Any]) -> None:
        row = {name: math.inf if value == "inf" else value for name, value in row.items()}
        self.scores = _update(self.scores, row)
        for id in row["edits"]:
            self.first.setdefault(id, self.scores[id][1])
        self.rows.append(row)

    @property
    def _mine(self) -> sa.ColumnElement[bool]:
        return (CHECKUPS.c.model == self.key.model) & (CHECKUPS.c.workspace == self.key.workspace)

    def _upto(self, number: int) -> sa.ColumnElement[bool]:
        return self._mine & (CHECKUPS.c.number <= number)


def _update(scores: Scores, row: Mapping[str, Any]) -> Scores:
    """Return the scores after a check-up. `scores` may be changed: nobody else holds them."""
    if "gone" not in row:
        return {id: tuple(own) for id, own in row["edits"].items()}
    for id in row["gone"]:
        scores.pop(id, None)
    scores.update((id, tuple(own)) for id, own in row["edits"].items())
    return scores


def _finite(value: Any) -> Any:
    """Return a value that JSON can hold: metrics of a broken model can be NaN, which counts as infinite."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return "inf" if isinstance(value, float) and not math.isfinite(value) else value
