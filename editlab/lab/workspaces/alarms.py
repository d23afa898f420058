"""Alarms: when a metric of a check-up is one, since when, and the state to return to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
from pandas import DataFrame

from editlab.bench.bootstrap import mean_difference
from editlab.errors import BadRequest
from editlab.insight.checkup import METRICS, Ability

ABILITY = ("ability_base", "ability_low", "ability_high", "ability_asked")
"""What the table says of ability besides: it without edits, its 95 % interval beside that, and the number of questions."""
LOWER_LIMITS = ("holds", "locality", "same_subject")
"""Metrics that must not fall below their limit, as shares of 1. The others must not exceed theirs."""


@dataclass(frozen=True)
class AlarmLimits:
    """The value of each metric beyond which it is an alarm. See `Checkup` for the metrics.

    `loss` is the increase over the base model in nats per token. Norms have no limit: how large they may be depends on the
    method, by more than a factor of ten. Raises `BadRequest` for a value that is no limit.
    """

    holds: float = 0.8
    locality: float = 0.9
    same_subject: float = 0.5
    loss: float = 0.1
    kl: float = 0.5

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            most = 1.0 if limit.name in LOWER_LIMITS else math.inf
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
                raise BadRequest(f"{value!r} is not a limit for {limit.name}. Write a number from 0 to {most:g}.")

    def exceeded(self, metrics: Mapping[str, float | None]) -> tuple[str, ...]:
        """Return the metrics of a check-up that are beyond their limits. A metric without a value is not."""
        return tuple(name for name in asdict(self) if is_beyond(name, metrics[name], getattr(self, name)))


@dataclass(frozen=True)
class Alarm:
    """A metric that is beyond its limit now. `since`: the number of the first event since which it has been.

    `before`: its value at the check-up before that event, None where there was none.
    """

    metric: str
    value: float
    limit: float
    since: int
    before: float | None


@dataclass(frozen=True)
class Health:
    """The check-ups of a workspace, its alarms now, and its last state without any.

    `table`: a row per check-up, oldest first: `number`, `at`, `edits`, `seconds`, the metrics, of which `loss` is the
    increase over the base model, and `ABILITY`. `healthy`: the number of the event to return to, None where the workspace is
    healthy now or never was.
    """

    table: DataFrame
    alarms: tuple[Alarm, ...]
    healthy: int | None


def limits_of(chosen: Mapping[str, float]) -> AlarmLimits:
    """Return the default limits, replaced by those that were chosen. Raises `BadRequest` for one that is no limit."""
    unknown = sorted(set(chosen) - {field.name for field in fields(AlarmLimits)})
    if unknown:
        raise BadRequest(f"There is no limit called {', '.join(unknown)}.")
    return AlarmLimits(**chosen)


def table_of(rows: Sequence[Mapping[str, Any]]) -> DataFrame:
    """Return check-ups as the table of a `Health`, oldest first."""
    return DataFrame([_told(row) for row in rows], columns=["number", "at", "edits", "seconds", *METRICS, *ABILITY])


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a check-up with its metrics; None for what was not measured."""
    told = {name: row.get(name) for name in METRICS} | dict.fromkeys(ABILITY)
    if (kept := row.get("ability")) is not None:
        found = Ability(*kept)
        low, high = (found.base + bound for bound in interval(found))
        told |= {"ability": found.share, **dict(zip(ABILITY, (found.base, low, high, found.asked), strict=True))}
    told |= {"edits": row["count"], "loss": row["loss"] - row["loss_base"]}
    return told | {name: row[name] for name in ("number", "at", "seconds")}


@lru_cache(maxsize=4096)
def interval(found: Ability) -> tuple[float, float]:
    """Return the 95 % interval of the change of ability: the questions, each with its answer before and now, drawn again."""
    was = [1] * found.before + [0] * (found.asked - found.before)
    now = [0] * found.lost + was[found.lost : found.asked - found.gained] + [1] * found.gained
    items = np.ones((1, found.asked))
    return mean_difference((np.array([now], float), items), (np.array([was], float), items))[1]


def assess(table: DataFrame, limits: AlarmLimits) -> Health:
    """Return the alarms of the latest check-up, since when each has been on, and the last state without any."""
    rows = [{name: _none_for_nan(value) for name, value in row.items()} for row in table.to_dict("records")]
    if not rows or not (exceeded := limits.exceeded(rows[-1])):
        return Health(table, (), None)
    alarms = []
    for name in exceeded:
        limit, since = getattr(limits, name), len(rows) - 1
        while since and is_beyond(name, rows[since - 1][name], limit):
            since -= 1
        before = rows[since - 1][name] if since else None
        alarms.append(Alarm(name, rows[-1][name], limit, int(rows[since]["number"]), before))
    healthy = next((int(row["number"]) for row in reversed(rows) if not limits.exceeded(row)), None)
    return Health(table, tuple(alarms), healthy)


def is_beyond(name: str, value: float | None, limit: float) -> bool:
    """Return whether a metric is beyond a limit. A metric without a value is not."""
    if value is None:
        return False
    return value < limit if name in LOWER_LIMITS else not value <= limit


def _none_for_nan(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
