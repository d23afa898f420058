"""Every edit watched: after each change all edits are asked again, what came of it is kept, and an alarm says what broke.

A check-up belongs to an event: it says how the model did under what lay over it then. So a chain has a curve, every edit a
score at birth and one now, and the last healthy state is a number to return to.
"""

from __future__ import annotations

import json
import logging
import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from pandas import DataFrame

from editlab.errors import BadRequest, EditLabError
from editlab.facts import EditRequest
from editlab.insight.checkup import METRICS, Checkup, Reference, Watched, checkup
from editlab.lab.jobs.worker import Cancel, Job
from editlab.lab.ledger.events import Described, State
from editlab.lab.ledger.ledger import canonical, now
from editlab.lab.ledger.tables import CHECKUPS
from editlab.lab.workspaces.history import standing

if TYPE_CHECKING:
    from editlab.lab.lab import Lab
    from editlab.lab.workspaces.looking import Looking

log = logging.getLogger(__name__)

Told = Callable[[float, str], None]


@dataclass(frozen=True)
class Limits:
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


class Monitor:
    """Check-ups of one lab's workspaces. With `watching`, every change of what lies over the model is followed by one."""

    def __init__(self, lab: Lab, watching: bool = False) -> None:
        self.watching = watching
        self._lab = lab
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str, bool], Job[Any]] = {}
        self._reference: tuple[str, Reference] | None = None
        self._watched: dict[tuple[Any, ...], Watched] = {}

    def changed(self, workspace: Looking) -> None:
        """Something else lies over the model now: line a check-up up behind all that somebody waits for."""
        if not self.watching:
            return
        try:
            self.submit(workspace)
        except BadRequest as error:  # the change itself is made and stands
            log.warning("No check-up was lined up: %s", error)

    def submit(self, workspace: Looking, again: bool = False) -> Job[Checkup | None]:
        """Ask everything again as soon as nobody waits for anything else; the job that is lined up already, where one is.

        `again`: also where the answers are known, for nothing has changed.
        """
        key = workspace.fingerprint, workspace.name, again
        with self._lock:
            job = self._waiting.get(key)
            if job is None or job.state != "waiting":
                job = workspace.submit(
                    lambda progress, cancel: self.check(workspace, progress, cancel, again, self._lab.worker.give_way),
                    "checkup",
                    background=True,
                )
                self._waiting[key] = job
            return job

    def open(self, workspace: Looking) -> Job[Checkup | None] | None:
        """The check-up of a workspace that runs or, where none does, waits."""
        jobs = [job for job in self._jobs(workspace) if not job.done]
        return min(jobs, key=lambda job: (job.state != "running", job.number), default=None)

    def problem(self, workspace: Looking) -> str:
        """Why the latest check-up came to nothing; empty where it did not."""
        last = max(self._jobs(workspace), key=lambda job: job.number, default=None)
        if last is None or last.error is None:
            return ""
        return str(last.error) if isinstance(last.error, EditLabError) else "EditLab met an error of its own."

    def _jobs(self, workspace: Looking) -> list[Job[Checkup | None]]:
        keys = ((workspace.fingerprint, workspace.name, again) for again in (False, True))
        return [job for key in keys if (job := self._waiting.get(key)) is not None]

    def check_if_watching(self, workspace: Looking, progress: Told, cancel: Cancel) -> None:
        """The same in the middle of a long job, behind one of its changes."""
        if self.watching:
            self.check(workspace, progress, cancel, rest=self._lab.questions.answer)

    def check(
        self,
        workspace: Looking,
        progress: Told,
        cancel: Cancel,
        again: bool = False,
        rest: Callable[[], None] = lambda: None,
    ) -> Checkup | None:
        """Ask everything again here and now, for the worker's thread; None where no edit is on.

        `rest()` is called every moment: whoever waits for the model gets it there.
        """
        workspace.refresh()
        state, threshold = workspace.state, workspace.threshold
        lies = standing(workspace, state.number)
        chain = [record for record in lies.records if record.on]
        known = None if again else self._kept(workspace, state, threshold)
        if known is not None or not chain:
            return known
        lab = self._lab
        found = checkup(lab.model, self._all_watched(chain), lies.view, self._held_to(), progress, cancel, rest)
        row = {"model": workspace.fingerprint, "workspace": workspace.name, "number": state.number, "at": now()}
        body = asdict(found) | {"edits": {id: list(own) for id, own in found.edits.items()}}
        body |= {"count": _count(chain), "threshold": threshold}
        with lab.ledger.transaction() as connection:
            connection.execute(sa.insert(CHECKUPS).prefix_with("OR REPLACE"), {**row, "body": canonical(_finite(body))})
        return found

    def latest(self, workspace: Looking) -> tuple[int, str]:
        """Of which event the latest check-up is and when it was made; (0, "") where there is none."""
        chosen = sa.select(CHECKUPS.c.number, CHECKUPS.c.at).where(self._of(workspace)).order_by(CHECKUPS.c.number.desc())
        with self._lab.ledger.transaction() as connection:
            row = connection.execute(chosen).first()
        return (0, "") if row is None else (row.number, row.at)

    def fresh(self, workspace: Looking) -> bool:
        """Whether the latest check-up is of what lies over the model now."""
        return self._kept(workspace, workspace.state, workspace.threshold) is not None

    def scores(self, workspace: Looking) -> dict[str, tuple[float | None, float | None]]:
        """Of each edit the share of its three prompts that said the new object at its first check-up, and at the latest."""
        found: dict[str, tuple[float | None, float | None]] = {}
        rows = self._rows(workspace)
        for row in rows:
            found |= {id: (found[id][0] if id in found else own[1], own[1]) for id, own in row["edits"].items()}
        latest = rows[-1]["edits"] if rows else {}
        return {id: (birth, latest[id][1] if id in latest else None) for id, (birth, _) in found.items()}

    def edits(self, workspace: Looking) -> DataFrame:
        """A row an edit and check-up: `number`, `id`, `holds` (its own question), `share` (of its three prompts)."""
        rows = [
            (row["number"], id, own[0] >= 0.5, float(own[1]))
            for row in self._rows(workspace)
            for id, own in row["edits"].items()
        ]
        return DataFrame(rows, columns=["number", "id", "holds", "share"])

    def health(self, workspace: Looking) -> Health:
        """How the workspace does, by the check-ups that were made, under its limits."""
        table = table_of(self._rows(workspace))
        return judged(table, limits_of(workspace.state.limits))

    def _rows(self, workspace: Looking) -> list[dict[str, Any]]:
        chosen = sa.select(CHECKUPS).where(self._of(workspace)).order_by(CHECKUPS.c.number)
        with self._lab.ledger.transaction() as connection:
            rows = connection.execute(chosen).mappings().all()
        found = [json.loads(row["body"]) | {"number": row["number"], "at": row["at"]} for row in rows]
        return [{name: math.inf if value == "inf" else value for name, value in row.items()} for row in found]

    def _of(self, workspace: Looking) -> sa.ColumnElement[bool]:
        own = (CHECKUPS.c.model == workspace.fingerprint) & (CHECKUPS.c.workspace == workspace.name)
        return own & (CHECKUPS.c.number <= workspace.state.number)

    def _kept(self, workspace: Looking, state: State, threshold: float) -> Checkup | None:
        """What was found at an event already, or at an earlier one behind which nothing changed over the model."""
        rows = self._rows(workspace)
        if not rows or rows[-1].get("threshold", threshold) != threshold:
            return None
        if any(chain is not state.chain for chain in state.chains[rows[-1]["number"] :]):
            return None
        return Checkup(**{field.name: rows[-1][field.name] for field in fields(Checkup)})

    def _held_to(self) -> Reference:
        model = self._lab.model
        if self._reference is None or self._reference[0] != model.fingerprint:
            self._reference = (
                model.fingerprint,
                Reference.of(model, self._lab.facts, self._lab.passages.inside, self._lab.seed),
            )
        return self._reference[1]

    def _all_watched(self, chain: Iterable[Described]) -> list[Watched]:
        return [self._watch(edit, request) for edit in chain for request in edit.requests]

    def _watch(self, edit: Described, request: EditRequest) -> Watched:
        key = edit.id, request
        if key not in self._watched:
            self._watched[key] = Watched.of(edit.id, request, self._lab.facts, self._lab.seed)
        return self._watched[key]


def limits_of(chosen: Mapping[str, float]) -> Limits:
    """The usual limits, but for those that somebody has chosen. Raises `BadRequest` for one that does not fit."""
    unknown = sorted(set(chosen) - {field.name for field in fields(Limits)})
    if unknown:
        raise BadRequest(f"There is no limit called {', '.join(unknown)}.")
    return Limits(**chosen)


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


def judged(table: DataFrame, limits: Limits) -> Health:
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


def _count(chain: Iterable[Described]) -> int:
    return sum(len(edit.requests) for edit in chain)


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _finite(value: Any) -> Any:
    """The same as JSON takes it: of a model that broke altogether, figures can be no numbers. That counts as infinite."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return "inf" if isinstance(value, float) and not math.isfinite(value) else value
