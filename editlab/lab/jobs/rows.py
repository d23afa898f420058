"""The rows of long jobs in the ledger: a reloaded page finds them there, and no restart loses one silently.

A row holds the request of a job and its outcome. Its progress is read from the job itself while this process runs it. A job
that another process left open is "interrupted"; its row says whether it can be resumed.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

import sqlalchemy as sa

from editlab.errors import BadRequest
from editlab.lab.job import Job, stop_job
from editlab.lab.kinds import Kind
from editlab.lab.ledger.directory import Directory
from editlab.lab.ledger.ledger import Ledger, canonical, now
from editlab.lab.ledger.names import is_participant
from editlab.lab.ledger.tables import JOBS
from editlab.lab.worker import Worker

OF_MODEL = tuple(kind for kind in Kind if kind.about == "model")
"""Kinds of jobs that concern all users of the model."""
OPEN = ("waiting", "running")
MOST = 50


Resume = Callable[[Any, Mapping[str, Any]], Job[Any]]
"""A function that resumes a job in a workspace from the `request` in its row."""


@dataclass(frozen=True)
class JobRow:
    """A job for the page. Times are ISO 8601 in UTC, empty until they are reached.

    `resumable`: whether it was interrupted or stopped and can be resumed; `result`: its result as plain JSON; `asker`: the
    id of the visitor who asked for it, while it runs here, which is a secret.
    """

    id: str
    kind: str
    title: str
    state: str
    fraction: float
    text: str
    author: str
    workspace: str
    submitted_at: str
    began_at: str
    ended_at: str
    error: str
    resumable: bool
    result: Mapping[str, Any]
    asker: str = field(default="", repr=False)

    @property
    def open(self) -> bool:
        """Whether it waits or runs."""
        return self.state in OPEN


class Jobs:
    """The rows of one lab's jobs. On creation, jobs left open by a process that has ended become "interrupted".

    `resumes`: by kind, the function that resumes its jobs.
    """

    def __init__(self, ledger: Ledger, directory: Directory, worker: Worker) -> None:
        self._ledger, self._directory = ledger, directory
        self.resumes: dict[Kind, Resume] = {}
        self._here: WeakValueDictionary[str, Job[Any]] = WeakValueDictionary()
        self._lock = threading.Lock()
        self.mark()
        worker.watchers.append(self._note)

    def mark(self) -> int:
        """Mark jobs whose process has ended as interrupted, and return how many there were."""
        ledger = self._ledger
        with ledger.transaction() as connection:
            sessions = connection.scalars(sa.select(JOBS.c.session).where(JOBS.c.state.in_(OPEN)).distinct()).all()
            gone = [session for session in sessions if not ledger.alive(session)]
            where = JOBS.c.state.in_(OPEN) & JOBS.c.session.in_(gone)
            change = sa.update(JOBS).where(where).values(state="interrupted", ended_at=now())
            return connection.execute(change).rowcount

    def rows(self, visitor: str, most: int = MOST) -> tuple[JobRow, ...]:
        """Return the latest jobs that concern a visitor, newest first: those of their workspaces and those of the model.

        A workshop's participant sees only those of their workspace.
        """
        self.mark()
        workspaces = [info.id for info in self._directory.workspaces(visitor)]
        where = JOBS.c.workspace.in_(workspaces)
        if not is_participant(visitor):
            where |= JOBS.c.kind.in_(OF_MODEL)
        with self._ledger.transaction() as connection:
            rows = connection.execute(sa.select(JOBS).where(where).order_by(sa.text("rowid DESC")).limit(most))
            return tuple(map(self._row, rows.mappings().all()))

    def row(self, visitor: str, id: str) -> JobRow:
        """Return one of these jobs. Raises `BadRequest` if there is none of that id, or it is another visitor's."""
        body = self._read(id)
        of_model = body is not None and body["kind"] in OF_MODEL and not is_participant(visitor)
        if body is None or not (of_model or self._directory.may_enter(visitor, body["workspace"])):
            raise BadRequest("There is no such job. Reload the page to see the current ones.")
        return self._row(body)

    def cancel(self, visitor: str, id: str, by: str = "", own: bool = False) -> None:
        """Stop a job. Raises `BadRequest` if it does not run in this process.

        `by`: the name of the user, for the log. `own`: whether only one that the visitor asked for may be stopped.
        """
        row = self.row(visitor, id)
        if own and row.open and row.asker != visitor:
            raise BadRequest("Somebody else asked for this job, and only they can stop it here.")
        job = self._here.get(row.id)
        if job is None or job.done:
            raise BadRequest("This job is not running any more.")
        stop_job(job, by)

    def resume(self, visitor: str, id: str, workspace: Any) -> Job[Any]:
        """Resume a job that was interrupted or stopped. Raises `BadRequest` if that is not possible."""
        row = self.row(visitor, id)
        if not row.resumable:
            raise BadRequest("This job cannot be resumed: it has ended, or nothing of it was kept. Start it again.")
        body = self._read(id) or {}
        if body["kind"] not in OF_MODEL and body["workspace"] != workspace.name:
            raise BadRequest("This job belongs to another workspace. Open that one first.")
        if body["model"] != workspace.fingerprint:
            raise BadRequest("This job belongs to another model. Load that one first.")
        return self.resumes[Kind(row.kind)](workspace, json.loads(body["request"]))

    def _read(self, id: str) -> Mapping[str, Any] | None:
        with self._ledger.transaction() as connection:
            return connection.execute(sa.select(JOBS).where(JOBS.c.id == str(id))).mappings().first()

    def _row(self, body: Mapping[str, Any]) -> JobRow:
        job = self._here.get(body["id"])
        done = body["state"] == "done"
        ended = body["state"] in ("interrupted", "stopped", "failed")
        return JobRow(
            **{
                name: body[name] for name in ("id", "kind", "title", "state", "author", "workspace", "submitted_at", "error")
            },
            fraction=float(done) if job is None or job.done else job.fraction,
            text="" if job is None or job.done else job.text,
            began_at=body["began_at"] or "",
            ended_at=body["ended_at"] or "",
            resumable=ended and body["kind"] in self.resumes and body["request"] != "{}",
            result=json.loads(body["result"]),
            asker="" if job is None or job.asker is None else job.asker.visitor,
        )

    def _note(self, job: Job[Any]) -> None:
        """Write the new state of a job to its row."""
        if not Kind(job.kind).about:
            return
        about = job.about
        with self._lock, self._ledger.transaction() as connection:
            if job.state == "waiting":
                self._here[job.id] = job
                texts = {name: str(about.get(name, "")) for name in ("title", "model", "workspace", "author")}
                row = {"id": job.id, "session": self._ledger.session, "kind": job.kind, "state": job.state, **texts}
                row |= {"error": "", "request": canonical(about.get("request", {})), "result": "{}", "submitted_at": now()}
                connection.execute(sa.insert(JOBS), row)
                return
            change: dict[str, Any] = {"state": job.state}
            if job.state == "running":
                change["began_at"] = now()
            else:
                error = "" if job.error is None else str(job.error)
                change |= {"ended_at": now(), "error": error, "result": canonical(about.get("result", {}))}
            connection.execute(sa.update(JOBS).where(JOBS.c.id == job.id).values(change))
