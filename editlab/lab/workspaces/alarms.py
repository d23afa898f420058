"""Alarms: from which value on a metric of a check-up is one, since when, and the state to return to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from pandas import DataFrame

from editlab.errors import BadRequest
from editlab.insight.checkup import METRICS


@dataclass(frozen=True)
class AlarmLimits:
    """From where on a figure is an alarm: a least share of what holds, a most of what wears. See `Checkup`.

    `loss` is the growth against the model without edits, in nats a token. Sizes have no limit: what a model bears of them
    depends on the method, by more than ten times. Raises `BadRequest` for what is no limit.
    """

    holds: float = 0.8
    locality: float = 0.9
    same_subject: float = 0.5
    loss: float = 0.1
    kl: float = 0.5

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            most = 1.0 if limit.name in LEAST else math.inf
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
                raise BadRequest(f"A limit of {value!r} for {limit.name} does not fit. Write a number from 0 to {most:g}.")

    def broken(self, figures: Mapping[str, float | None]) -> tuple[str, ...]:
        """The figures of a check-up that are beyond their limits; what could not be asked is not."""
        return tuple(name for name in asdict(self) if beyond(name, figures[name], getattr(self, name)))


LEAST = ("holds", "locality", "same_subject")
"""Figures that shall stay above their limit; the others shall stay below."""


@dataclass(frozen=True)
class Alarm:
    """A figure that is beyond its limit now. `since`: the number of the first event from which on it has been.

    `before`: its value at the check-up before that one, None where there was none.
    """

    figure: str
    value: float
    limit: float
    since: int
    before: float | None


@dataclass(frozen=True)
class Health:
    """How a workspace does, by its check-ups; the alarms now; and where it was last without any.

    `table`: a row a check-up, oldest first: `number`, `at`, `edits`, `seconds`, and the figures, of which `loss` is the
    growth against the model without edits. `healthy`: the number of the event to return to, None where it is healthy now or
    never was.
    """

    table: DataFrame
    alarms: tuple[Alarm, ...]
    healthy: int | None


def limits_of(chosen: Mapping[str, float]) -> AlarmLimits:
    """The usual limits, but for those that somebody has chosen. Raises `BadRequest` for one that does not fit."""
    unknown = sorted(set(chosen) - {field.name for field in fields(AlarmLimits)})
    if unknown:
        raise BadRequest(f"There is no limit called {', '.join(unknown)}.")
    return AlarmLimits(**chosen)


def table_of(rows: Sequence[Mapping[str, Any]]) -> DataFrame:
    """Check-ups as a table, oldest first: see `Health`."""
    columns = ["number", "at", "edits", "seconds", *METRICS]
    return DataFrame(
        [
            [row["number"], row["at"], row["count"], row["seconds"]]
            + [row["loss"] - row["loss_base"] if name == "loss" else row[name] for name in METRICS]
            for row in rows
        ],
        columns=columns,
    )


def judged(table: DataFrame, limits: AlarmLimits) -> Health:
    """The alarms of the latest check-up, since when each has been there, and the last state without any."""
    rows = [{name: _number(value) for name, value in row.items()} for row in table.to_dict("records")]
    if not rows or not (broken := limits.broken(rows[-1])):
        return Health(table, (), None)
    alarms = []
    for name in broken:
        limit, since = getattr(limits, name), len(rows) - 1
        while since and beyond(name, rows[since - 1][name], limit):
            since -= 1
        before = rows[since - 1][name] if since else None
        alarms.append(Alarm(name, rows[-1][name], limit, int(rows[since]["number"]), before))
    healthy = next((int(row["number"]) for row in reversed(rows) if not limits.broken(row)), None)
    return Health(table, tuple(alarms), healthy)


def beyond(name: str, value: float | None, limit: float) -> bool:
    """Whether a figure is beyond a limit; what could not be asked is not."""
    if value is None:
        return False
    return value < limit if name in LEAST else not value <= limit


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
