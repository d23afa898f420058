"""The tables of the Monitor tab: the edits with what they have lost, and the jobs of the service."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pandas import DataFrame

from editlab.lab import Job
from editlab.lab.kinds import Kind
from editlab.lab.ledger.events import Edit
from editlab.web.core.language import gettext as _
from editlab.web.core.language import noop
from editlab.web.monitor import words
from editlab.web.monitor.words import Timed

OPERATION_HEADS = (
    noop("Operation"),
    noop("Count"),
    noop("p50 wait"),
    noop("p95 wait"),
    noop("p50 run time"),
    noop("p95 run time"),
    noop("Errors"),
)
EDIT_HEADS = (noop("No."), noop("Edit"), noop("Applied"), noop("First score"), noop("Score now"), noop("Own prompt"))


class EditRow(NamedTuple):
    """An edit: its place in the chain (None if it has left it), its scores at its first check-up and now, if it holds."""

    place: int | None
    name: str
    at: str
    first: float
    now: float | None
    status: Timed
    lost: bool


class OperationRow(NamedTuple):
    """A kind of job: how many ended, its latencies, and its errors."""

    label: str
    count: int
    latencies: tuple[str, ...]
    errors: int


def edit_rows(checkups: DataFrame, scores: DataFrame, known: Mapping[str, Edit], places: Mapping[str, int]) -> list[EditRow]:
    """Return a row per edit, those that lost most first.

    `scores`: of `Monitor.edits`; `known`: the edits by id; `places`: those in the chain, by id, from 1.
    """
    latest, by_number = int(checkups["number"].iloc[-1]), checkups.set_index("number")
    rows = []
    for id, own in scores.groupby("id", sort=False):
        current = int(own["number"].iloc[-1]) == latest
        now, holds = (float(own["share"].iloc[-1]), bool(own["holds"].iloc[-1])) if current else (None, None)
        after = own[own["number"] > own[own["holds"]]["number"].max()]["number"]
        checkup = by_number.loc[after.iloc[0]] if len(after) else None
        since = None if checkup is None else (checkup["at"], int(checkup["edits"]))
        name, at = (known[id].name, known[id].at) if id in known else (str(id), "")
        status = words.edit_status(now, holds, since)
        rows.append(EditRow(places.get(str(id)), name, at, float(own["share"].iloc[0]), now, status, current and not holds))
    return sorted(rows, key=_most_lost)


def _most_lost(row: EditRow) -> tuple[bool, bool, float, float]:
    place = math.inf if row.place is None else row.place
    return row.now is None, not row.lost, 0.0 if row.now is None else row.now - row.first, place


def operation_rows(table: DataFrame) -> list[OperationRow]:
    """Return a row per kind of job. `table`: of `Metrics.table`."""
    columns = ("wait_p50", "wait_p95", "run_p50", "run_p95")
    return [
        OperationRow(
            _(Kind(row["kind"]).label), row["count"], tuple(words.latency(row[name]) for name in columns), row["errors"]
        )
        for row in table.to_dict("records")
    ]


def open_jobs(jobs: Sequence[Job], clock: float) -> list[dict[str, str]]:
    """Return the kind and the time of each job that runs or waits. `clock`: the monotonic one."""
    return [
        {
            "state": job.state,
            "label": _(Kind(job.kind).label),
            "since": words.since(job.state, clock - (job.began if job.state == "running" else job.submitted)),
        }
        for job in jobs
    ]
