"""The worker: one thread that owns the model, and a queue of jobs.

PyTorch on one device gains nothing from two computations at a time, and a web framework's queue frees its slot while a
cancelled step still computes. So jobs run here one at a time, first come, first served, each with a progress and a way to
stop it. A visitor has one job in the queue at a time; the visitor's other jobs are parked until it starts, so that nobody
with many jobs delays the others. `submit` never waits.

Work in several parts (`job.Parts`) is a generator: at each `yield`, the job goes to the end of the queue and other jobs run.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from typing import Any

from editlab.errors import DeviceLost, ShutDown, TooMany
from editlab.lab.access.limits import Asker, asker
from editlab.lab.job import Explain, Job, T, Watch, Work

MOST_WAITING = 1_024
MOST_OF_ONE = 256
"""Of these, how many one lane may have: a call of another program has as many at most (docs/http.md)."""
LAST = (2, 0)
"""The turn of the end, after all jobs."""

log = logging.getLogger(__name__)


class Worker:
    """A thread and its queue of jobs. `watchers` are called with every job at each of its states.

    After `idle_seconds` without work (0: never) `idle()` runs on the thread, once until there is work again; `rest()` runs
    when the queue is empty after a job. `explain` turns an error into what the visitor reads. `lost()` is called at the end
    of a thread whose device does not answer any more. `most_parked`: how many jobs of a `lane` may be parked; None: any
    number.
    """

    def __init__(
        self,
        idle_seconds: float = 0.0,
        rest: Callable[[], None] = lambda: None,
        most_parked: int | None = None,
        lane: Callable[[Asker], str] = lambda who: who.visitor,
    ) -> None:
        self.lost: Callable[[], None] = lambda: None
        self.idle: Callable[[], None] = lambda: None
        self.explain: Explain = lambda error: error
        self._idle_seconds, self._rest = idle_seconds, rest
        self.watchers: list[Watch] = []
        self._queue: queue.PriorityQueue[tuple[tuple[int, int], Job[Any] | None]] = queue.PriorityQueue()
        self._lock = threading.RLock()
        self._open: dict[str, Job[Any]] = {}
        self._queued: dict[str, Job[Any]] = {}
        self._parked: defaultdict[str, deque[Job[Any]]] = defaultdict(deque)
        self._most_parked, self._lane = most_parked, lane
        self._submitted = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="editlab-model", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it takes new jobs."""
        return self._thread.is_alive() and not self._closed

    @property
    def is_current_thread(self) -> bool:
        """Whether the calling thread is the worker's."""
        return threading.current_thread() is self._thread

    def submit(
        self, work: Work[T], kind: str = "work", background: bool = False, about: Mapping[str, Any] | None = None
    ) -> Job[T]:
        """Put `work(progress, cancel)` into the queue and return its job; one in the `background` runs after all others.

        It is parked while another job of the same lane waits in the queue. Raises `ShutDown` where the queue is closed, and
        `TooMany` where it is full, or holds too many jobs of the lane.
        """
        with self._lock:
            if not self.alive:
                raise ShutDown("EditLab is shutting down. Start it again.")
            if len(self._open) >= MOST_WAITING:
                raise TooMany(f"{MOST_WAITING} requests are waiting already. Try again in a minute.")
            who = asker()
            park = not background and self._waits(who)
            if who is not None and self._is_full(self._lane(who)):
                raise TooMany("Many of your jobs are waiting already. Wait until some of them are done, or press Stop.")
            job = Job(work, 0, kind, background, about, self._watch, who)
            self._number(job)
            self._open[job.id] = job
            self._watch(job)
            if park:
                self._parked[self._lane(who)].append(job)
            else:
                self._enqueue(job)
        return job

    def _is_full(self, lane: str) -> bool:
        """Return whether a lane has as many jobs as it may have."""
        if self._most_parked is not None and len(self._parked.get(lane, ())) >= self._most_parked:
            return True
        return sum(job.asker is not None and self._lane(job.asker) == lane for job in self._open.values()) >= MOST_OF_ONE

    def _waits(self, who: Asker | None) -> bool:
        """Return whether a job of the asker's lane waits in the queue. One that was asked to stop does not count."""
        job = None if who is None else self._queued.get(self._lane(who))
        return job is not None and job.state == "waiting" and not job.stopped

    def _number(self, job: Job[Any]) -> None:
        self._submitted += 1
        job.number = self._submitted

    def _enqueue(self, job: Job[Any]) -> None:
        if job.asker is not None and not job.background:
            self._queued[self._lane(job.asker)] = job
        self._queue.put((job.turn, job))

    def _advance(self, job: Job[Any]) -> None:
        """Put the next parked job of a lane at the end of the queue, after one has begun or ended."""
        with self._lock:
            if job.asker is None or self._queued.get(self._lane(job.asker)) is not job:
                return
            lane = self._lane(job.asker)
            del self._queued[lane]
            if parked := self._parked.get(lane):
                next_ = parked.popleft()
                self._number(next_)
                self._enqueue(next_)
            else:
                self._parked.pop(lane, None)

    def run_now(self, job: Job[Any]) -> None:
        """Do a job of the queue, or its next part, before its turn. Only for work on the worker's thread."""
        job.run(self.explain)

    def give_way(self) -> None:
        """Do the jobs that somebody waits for, in the middle of a job in the background. Only for the worker's thread.

        Loading another model has to wait, because the job in the background uses the present one.
        """
        while (job := self._take_urgent()) is not None:
            try:
                job.run(self.explain)
            except DeviceLost as error:
                job.fail(error)
                raise
            self._requeue(job)

    def _take_urgent(self) -> Job[Any] | None:
        """Take the next job out of the queue if it may run before one in the background; None if it may not."""
        with self._queue.mutex:
            first = self._queue.queue[0][1] if self._queue.queue else None
        return None if first is None or first.background or first.kind == "model" else self._queue.get()[1]

    def ahead(self, job: Job[Any]) -> int:
        """Return how many jobs come before this one, including the running one."""
        return len(self._before(job))

    def own_ahead(self, job: Job[Any]) -> bool:
        """Return whether the visitor who asked for this job also asked for all that come before it."""
        return job.asker is not None and all(
            other.asker is not None and other.asker.visitor == job.asker.visitor for other in self._before(job)
        )

    def _before(self, job: Job[Any]) -> list[Job[Any]]:
        if job.done or job.active:  # one that runs inside a background job waits for nothing
            return []
        return [other for other in self.open if other is not job and (other.active or other.turn < job.turn)]

    @property
    def open(self) -> list[Job[Any]]:
        """The jobs that wait or run, in their order."""
        with self._lock:
            jobs = list(self._open.values())
        return sorted((job for job in jobs if not job.done), key=lambda job: (job.state != "running", job.turn))

    def close(self) -> None:
        """Stop the jobs in the background, and wait until the others are done and the thread has ended."""
        with self._lock:
            if not self._closed:
                self._closed = True
                for job in list(self._open.values()):
                    if job.background:
                        job.cancel()
                self._queue.put((LAST, None))
        self._thread.join()

    def _run(self) -> None:
        while (job := self._next()) is not None:
            try:
                job.run(self.explain)
            except DeviceLost as error:
                self._give_up(job, error)
                return
            self._requeue(job)
            if self._queue.empty():
                self._rest()

    def _drop(self, job: Job[Any]) -> None:
        """Drop a job that has ended, wherever it stands: one that was stopped in the line takes nobody's place."""
        with self._lock:
            self._open.pop(job.id, None)
            parked = () if job.asker is None else self._parked.get(self._lane(job.asker), ())
            if job in parked:
                parked.remove(job)

    def _requeue(self, job: Job[Any]) -> None:
        """Put a job with further parts at the end of the queue; one that is done is dropped already."""
        with self._lock:
            if not job.done:
                self._number(job)
                self._queue.put((job.turn, job))

    def _next(self) -> Job[Any] | None:
        if self._idle_seconds:
            try:
                return self._queue.get(timeout=self._idle_seconds)[1]
            except queue.Empty:
                self.idle()
        return self._queue.get()[1]

    def _give_up(self, job: Job[Any] | None, error: DeviceLost) -> None:
        """Close the queue and fail all jobs."""
        with self._lock:
            self._closed = True
            while True:
                if job is not None:
                    job.fail(error)
                if self._queue.empty():
                    break
                _, job = self._queue.get()
        self.lost()

    def _watch(self, job: Job[Any]) -> None:
        if job.state not in ("waiting", "running"):
            self._drop(job)
        if job.state != "waiting":
            self._advance(job)
        for watcher in self.watchers:
            try:
                watcher(job)
            except Exception:  # a job does not fail because its state cannot be written
                log.exception("The new state of a job could not be noted")
