"""The monitor: after each change a check-up asks all edits again, its result is kept, and alarms say what broke.

A check-up belongs to an event and describes the model under the edits that were applied then. So each metric has a curve
over the chain, each edit a first and a latest score, and the last healthy state an event to return to.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import fields
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from pandas import DataFrame

from editlab.errors import BadRequest, EditLabError
from editlab.insight.checkup import Ability, Checkup, Reference, checkup
from editlab.insight.holding import Watched
from editlab.lab.context import Context
from editlab.lab.job import Job
from editlab.lab.kinds import Kind
from editlab.lab.ledger.events import EditFields
from editlab.lab.workspaces.alarms import Health, assess, limits_of, table_of
from editlab.lab.workspaces.checkups import Checkups
from editlab.lab.workspaces.history import snapshot
from editlab.lab.workspaces.workspace import Workspace
from editlab.probes.ability import few
from editlab.wording import noop
from editlab.work import Cancel, Progress

log = logging.getLogger(__name__)

MOST_WATCHED = 20_000
"""Edits whose questions are kept ready: twice the largest file of edits."""


class Monitor:
    """The check-ups of one lab's workspaces. With `watching`, one follows every change of the applied edits."""

    def __init__(self, context: Context, watching: bool = False) -> None:
        self.watching = watching
        self._context = context
        self._reading = threading.RLock()
        self._waiting: dict[tuple[str, str, bool], Job[Any]] = {}
        self._reference: tuple[str, Reference] | None = None
        self._watched = lru_cache(MOST_WATCHED)(lambda id, asked: Watched.of(id, asked, context.facts, context.seed))
        self._read: WeakKeyDictionary[Workspace, Checkups] = WeakKeyDictionary()
        context.after_change, context.after_batch = self.changed, self.check_if_watching

    def changed(self, workspace: Workspace) -> None:
        """Queue a check-up behind all jobs that somebody waits for, because the applied edits have changed."""
        if not self.watching:
            return
        try:
            self.submit(workspace)
        except BadRequest as error:  # the change itself has been made
            log.warning("No check-up was queued: %s", error)

    def submit(self, workspace: Workspace, again: bool = False) -> Job[Checkup | None]:
        """Queue a check-up in the background and return its job; one that waits already is returned instead.

        `again`: run it even if nothing has changed since the last one.
        """
        key = workspace.fingerprint, workspace.name, again
        job = self._waiting.get(key)
        if job is None or job.state != "waiting":
            give_way = self._context.worker.give_way
            for ended in [own for own, one in list(self._waiting.items()) if one.done and one.error is None]:
                self._waiting.pop(ended, None)  # only what failed is still told of
            job = self._waiting[key] = workspace.submit(
                lambda progress, cancel: self.check(workspace, progress, cancel, again, give_way),
                Kind.CHECKUP,
                background=True,
            )
        return job

    def open(self, workspace: Workspace) -> Job[Checkup | None] | None:
        """Return the check-up of a workspace that runs or, if none does, waits."""
        jobs = [job for job in self._jobs(workspace) if not job.done]
        return min(jobs, key=lambda job: (job.state != "running", job.number), default=None)

    def problem(self, workspace: Workspace) -> str:
        """Return why the latest check-up failed; empty if it did not."""
        last = max(self._jobs(workspace), key=lambda job: job.number, default=None)
        if last is None or last.error is None:
            return ""
        return str(last.error) if isinstance(last.error, EditLabError) else noop("EditLab met an internal error.")

    def _jobs(self, workspace: Workspace) -> list[Job[Checkup | None]]:
        keys = ((workspace.fingerprint, workspace.name, again) for again in (False, True))
        return [job for key in keys if (job := self._waiting.get(key)) is not None]

    def check_if_watching(self, workspace: Workspace, progress: Progress, cancel: Cancel) -> None:
        """Run a check-up in the middle of a long job, after one of its changes, if the monitor is watching."""
        if self.watching:
            self.check(workspace, progress, cancel, rest=self._context.answer_waiting)

    def check(
        self,
        workspace: Workspace,
        progress: Progress,
        cancel: Cancel,
        again: bool = False,
        rest: Callable[[], None] = lambda: None,
    ) -> Checkup | None:
        """Run a check-up now, on the worker's thread, and return it; None if no edit is on.

        `rest()` is called between two forwards, so that jobs that somebody waits for can run there.
        """
        workspace.refresh()
        number, threshold = workspace.state.number, workspace.threshold
        applied = snapshot(workspace, number)
        chain = [record for record in applied.records if record.on]
        known = None if again else self._known(workspace)
        if known is not None or not chain:
            return known
        model = self._context.model
        result = checkup(model, self._all_watched(chain), applied.view, self._held_to(rest), progress, cancel, rest)
        more = {"count": sum(len(edit.requests) for edit in chain), "threshold": threshold}
        with self._reading:
            self._checkups(workspace, number).write(self._context.ledger, number, result, more)
        return result

    def latest(self, workspace: Workspace) -> tuple[int, str]:
        """Return the number of the event that was checked last, and the time; (0, "") if there is none."""
        rows = self._checkups(workspace).rows
        return (rows[-1]["number"], rows[-1]["at"]) if rows else (0, "")

    def fresh(self, workspace: Workspace) -> bool:
        """Return whether the latest check-up is of the edits that are applied now."""
        return self._known(workspace) is not None

    def scores(self, workspace: Workspace) -> dict[str, tuple[float | None, float | None]]:
        """Return the share of each edit's prompts with the new object, at its first check-up and the latest."""
        with self._reading:
            checkups = self._checkups(workspace)
            latest = checkups.scores
            return {id: (first, latest[id][1] if id in latest else None) for id, first in checkups.first.items()}

    def edits(self, workspace: Workspace) -> DataFrame:
        """Return a row per edit and check-up: `number`, `id`, `holds` (at its own prompt), `share` (of its prompts)."""
        with self._reading:
            return self._checkups(workspace).table()

    def health(self, workspace: Workspace) -> Health:
        """Return the check-ups of a workspace, assessed under its alarm limits."""
        return assess(table_of(self._checkups(workspace).rows), limits_of(workspace.state.limits))

    def _checkups(self, workspace: Workspace, upto: int | None = None) -> Checkups:
        with self._reading:
            checkups = self._read.setdefault(workspace, Checkups(workspace.key))
            checkups.read(self._context.ledger, workspace.state.number if upto is None else upto)
            return checkups

    def _known(self, workspace: Workspace) -> Checkup | None:
        """Return the check-up of the edits that are applied now; None if they have changed since the last one."""
        checkups, state = self._checkups(workspace), workspace.state
        last = checkups.rows[-1] if checkups.rows else None
        if last is None or last.get("threshold", workspace.threshold) != workspace.threshold:
            return None
        if any(chain is not state.chain for chain in state.chains[last["number"] :]):
            return None
        metrics = {field.name: last[field.name] for field in fields(Checkup) if field.name != "edits" and field.name in last}
        if (kept := metrics.get("ability")) is not None:
            metrics["ability"] = Ability(*kept)
        with self._reading:
            return Checkup(edits=dict(checkups.scores), **metrics)

    def _held_to(self, rest: Callable[[], None]) -> Reference:
        ground = self._context.ground
        model = ground.model
        if self._reference is None or self._reference[0] != model.fingerprint:
            reference = Reference.of(model, ground.facts, ground.passages.inside, ground.seed, rest, few())
            self._reference = model.fingerprint, reference
        return self._reference[1]

    def _all_watched(self, chain: Iterable[EditFields]) -> list[Watched]:
        return [self._watched(edit.id, request) for edit in chain for request in edit.requests]
