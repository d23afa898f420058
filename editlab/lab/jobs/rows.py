"""Work that takes longer than a moment has a row: whoever reloads the page finds it, and a restart loses none silently.

A row says what was asked and what became of it. How far a job is, the job itself says as long as this process does it; what
another start of EditLab began and did not end was interrupted, and what can go on from there says so.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import sqlalchemy as sa

from editlab.errors import BadRequest
from editlab.lab.kinds import Kind
from editlab.lab.ledger.directory import Directory
from editlab.lab.ledger.ledger import Ledger, canonical, now
from editlab.lab.ledger.tables import JOBS
from editlab.lab.worker import Job, Worker, stop_job

OF_MODEL = tuple(kind for kind in Kind if kind.about == "model")
"""What concerns everybody who asks this model."""
OPEN = ("waiting", "running")
MOST = 50


Resume = Callable[[Any, Mapping[str, Any]], Job[Any]]
"""Goes on with a job in a workspace, by the `request` that its row keeps."""


@dataclass(frozen=True)
class JobRow:
    """A job as people read it; times are ISO 8601 in UTC, empty where it has not come to that.

    `resumable`: whether it was interrupted or stopped and can go on from what it had; `result`: what came of it, plain JSON.
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


class Jobs:
    """The rows of one lab's jobs. When it is made, jobs that a process left open which is gone become "interrupted".

    `resumes`: how to go on with the jobs of a kind that were interrupted or stopped.
    """

    def __init__(self, ledger: Ledger, directory: Directory, worker: Worker) -> None:
        self._ledger, self._directory = ledger, directory
        self.resumes: dict[Kind, Resume] = {}
        self._here: WeakValueDictionary[str, Job[Any]] = WeakValueDictionary()
        self._lock = threading.Lock()
        self.mark()
        worker.watchers.append(self._note)

    def mark(self) -> int:
        """Say of jobs whose process is gone that they were interrupted; how many."""
        ledger = self._ledger
        with ledger.transaction() as connection:
            sessions = connection.scalars(sa.select(JOBS.c.session).where(JOBS.c.state.in_(OPEN)).distinct()).all()
            gone = [session for session in sessions if not ledger.alive(session)]
            where = JOBS.c.state.in_(OPEN) & JOBS.c.session.in_(gone)
            change = sa.update(JOBS).where(where).values(state="interrupted", ended_at=now())
            return connection.execute(change).rowcount

    def rows(self, visitor: str, most: int = MOST) -> tuple[JobRow, ...]:
        """The latest jobs that concern a visitor, newest first: of workspaces that they may enter, and of the model."""
        self.mark()
        rooms = [room.id for room in self._directory.rooms(visitor)]
        where = JOBS.c.workspace.in_(rooms) | JOBS.c.kind.in_(OF_MODEL)
        with self._ledger.transaction() as connection:
            found = connection.execute(sa.select(JOBS).where(where).order_by(sa.text("rowid DESC")).limit(most))
            return tuple(map(self._row, found.mappings().all()))

    def row(self, visitor: str, id: str) -> JobRow:
        """One of them. Raises `BadRequest` where there is none of that id, or it is another person's."""
        found = self._found(id)
        if found is None or not (found["kind"] in OF_MODEL or self._directory.may_enter(visitor, found["workspace"])):
            raise BadRequest("There is no such job. Reload the page to see those that there are.")
        return self._row(found)

    def cancel(self, visitor: str, id: str, by: str = "") -> None:
        """Ask a job to stop. Raises `BadRequest` where it is not running here. The log says `by` whom, where known."""
        row = self.row(visitor, id)
        job = self._here.get(row.id)
        if job is None or job.done:
            raise BadRequest("This job does not run here any more.")
        stop_job(job, by)

    def resume(self, visitor: str, id: str, workspace: Any) -> Job[Any]:
        """Go on with a job that was interrupted or stopped. Raises `BadRequest` where that is not possible."""
        row = self.row(visitor, id)
        if not row.resumable:
            raise BadRequest("This job cannot go on: it has ended, or nothing of it was kept. Begin it anew.")
        found = self._found(id) or {}
        if found["kind"] not in OF_MODEL and found["workspace"] != workspace.name:
            raise BadRequest("This job belongs to another workspace. Open that one first.")
        if found["model"] != workspace.fingerprint:
            raise BadRequest("This job belongs to another model. Load that one first.")
        return self.resumes[Kind(row.kind)](workspace, json.loads(found["request"]))

    def _found(self, id: str) -> Mapping[str, Any] | None:
        with self._ledger.transaction() as connection:
            return connection.execute(sa.select(JOBS).where(JOBS.c.id == str(id))).mappings().first()

    def _row(self, found: Mapping[str, Any]) -> JobRow:
        job = self._here.get(found["id"])
        done = found["state"] == "done"
        ended = found["state"] in ("interrupted", "stopped", "failed")
        return JobRow(
            **{
                name: found[name]
                for name in ("id", "kind", "title", "state", "author", "workspace", "submitted_at", "error")
            },
            fraction=float(done) if job is None or job.done else job.fraction,
            text="" if job is None or job.done else job.text,
            began_at=found["began_at"] or "",
            ended_at=found["ended_at"] or "",
            resumable=ended and found["kind"] in self.resumes and found["request"] != "{}",
            result=json.loads(found["result"]),
        )

    def _note(self, job: Job[Any]) -> None:
        """Write down what became of a job."""
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
