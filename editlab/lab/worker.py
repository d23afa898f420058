"""One thread owns the model; everybody else hands it work and watches.

PyTorch on one device gains nothing from two computations at a time, and a web framework's queue frees its slot while a
cancelled step still computes. So the order is kept here: first come, first served, each job with a progress to read and a
token to stop it by. One job of a person waits in the line at a time; their others follow it, so that whoever asks for much
keeps nobody else waiting. Who submits never waits unless it asks to.

Work that has several parts is a generator: at each `yield` others get the model, and the job goes to the end of the line.
"""

from __future__ import annotations

import logging
import queue
import secrets
import threading
import time
import traceback
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from typing import Any, Generic, Literal, TypeVar

from editlab.errors import BadRequest, Cancelled, DeviceLost, TooMany
from editlab.lab.access.limits import Asker, asker

Cancel = Callable[[], bool]
Explain = Callable[[BaseException], BaseException]
"""Makes of an error what whoever waits is told. It is called when nothing of the failed work is held any more."""
T = TypeVar("T")

MOST_WAITING = 256
LAST = (2, 0)
"""The turn of the end: behind all jobs."""

log = logging.getLogger(__name__)


State = Literal["waiting", "running", "done", "failed", "stopped"]


class Job(Generic[T]):
    """One piece of work: `kind` says which, `fraction` 0 to 1 and `text` how far it is. Read from any thread.

    `id`: its name as long as anybody asks for it; `number`: its place in the line. `about`: plain facts about it, from
    whoever submitted it or from the work itself; `asker`: who asked for it, None where nobody did. `partial`: the latest of
    the results that the work showed on its way, None before the first; `error`: what it failed with. `submitted`, `began`
    and `ended`: seconds of the monotonic clock; `seconds`: how long it had the model; `active`: whether it has it now.
    `watch` is called at each new state, before anybody who waits is told of the last one.
    """

    def __init__(
        self,
        work: Work[T],
        number: int,
        kind: str = "work",
        background: bool = False,
        about: Mapping[str, Any] | None = None,
        watch: Watch = lambda job: None,
        asker: Asker | None = None,
    ) -> None:
        self.asker = asker
        self.id, self.number = secrets.token_hex(8), number
        self.kind, self.background, self.about = kind, background, dict(about or {})
        self.fraction, self.text = 0.0, "waiting for the model"
        self.state: State = "waiting"
        self.active = False
        self.submitted, self.began, self.ended, self.seconds = time.monotonic(), 0.0, 0.0, 0.0
        self.partial: Any = None
        self.error: BaseException | None = None
        self._watch = watch
        self._work: Work[T] | None = work
        self._parts: Parts[T] | None = None
        self._outcome: Future[T] = Future()
        self._stop = threading.Event()

    @property
    def done(self) -> bool:
        """Whether there is a result or an error."""
        return self._outcome.done()

    @property
    def stopped(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop.is_set()

    @property
    def turn(self) -> tuple[bool, int]:
        """Which of several comes first: what somebody waits for before what runs in the background."""
        return self.background, self.number

    def cancel(self) -> None:
        """Ask it to stop. It does so within one step, or not at all where it was about to end."""
        self._stop.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is done, at most this long; whether it is."""
        return bool(wait_for([self._outcome], seconds).done)

    def result(self, seconds: float | None = None) -> T:
        """What the work returned, or its error raised here: `Cancelled` where it was stopped."""
        return self._outcome.result(seconds)

    def run(self, explain: Explain) -> None:
        """Do the work, or its next part where it has several, unless it is done; for the worker's thread alone.

        Raises `DeviceLost` where nothing can be computed any more.
        """
        work, self._work = self._work, None
        if work is None and self._parts is None:
            return
        began, self.active = time.monotonic(), True
        try:
            if work is not None:
                self._becomes("running")
                if self._stop.is_set():
                    raise Cancelled("Stopped before it began. Nothing was changed.")
                result = work(JobProgress(self), self._stop.is_set)
                if isinstance(result, Generator):
                    self._parts = result
            if self._parts is not None:
                result = self._next_part(self._parts)
        except BaseException as error:  # whoever waits must hear of it, whatever it is
            del work
            self._parts = None
            self._rest_since(began)
            let_go(error)
            told = explain(error)
            if isinstance(told, DeviceLost):
                raise told from None  # the worker ends this job with all others, when nobody can line up any more
            self.fail(told)
        else:
            self._rest_since(began)
            if self._parts is None:
                self._becomes("done")
                self._outcome.set_result(result)

    def _rest_since(self, began: float) -> None:
        self.seconds += time.monotonic() - began
        self.active = False

    def _next_part(self, parts: Parts[T]) -> T | None:
        """Do one part; the result of the work after its last one."""
        try:
            next(parts)
            return None
        except StopIteration as end:
            self._parts = None
            return end.value

    def fail(self, error: BaseException) -> None:
        """End it with an error, whether it was begun or not, unless it is done."""
        self._work = self._parts = None
        if not self.done:
            self.error = error
            self._becomes("stopped" if isinstance(error, Cancelled) else "failed")
            self._outcome.set_exception(error)

    def _becomes(self, state: State) -> None:
        self.state, now = state, time.monotonic()
        if state == "running":
            self.began = now
        else:
            self.began, self.ended = self.began or now, now
        self._watch(self)


class JobProgress:
    """What work is handed to say how far it is: `progress(fraction, text)`, and `progress.show(partial)`."""

    def __init__(self, job: Job[Any]) -> None:
        self._job = job

    def __call__(self, fraction: float, text: str) -> None:
        """How much is done, and what is being done now."""
        self._job.fraction, self._job.text = min(1.0, max(0.0, fraction)), text

    def note(self, **facts: Any) -> None:
        """Say something more `about` the job, in plain JSON: its row keeps it."""
        self._job.about |= facts

    def show(self, partial: Any) -> None:
        """Publish a result so far. It is read by other threads: show a new value each time, never a changed one."""
        self._job.partial = partial


Parts = Generator[None, None, T]
Work = Callable[[JobProgress, Cancel], T | Parts[T]]
Watch = Callable[[Job[Any]], None]


class Worker:
    """A thread and its line of jobs. `watchers` hear of every job when it lines up, begins and ends.

    After `idle_seconds` without work (0: never) `idle()` runs on the thread, once until there is work again; `rest()` when
    no job follows a job. `explain` turns an error into what the visitor reads. `lost()` is called at the end of a thread
    whose device does not answer any more. `parked`: how many jobs of one person may wait behind the one of theirs in the
    line; None: any number.
    """

    def __init__(
        self,
        idle_seconds: float = 0.0,
        rest: Callable[[], None] = lambda: None,
        parked: int | None = None,
        lane: Callable[[Asker], str] = lambda who: who.visitor,
    ) -> None:
        self.lost: Callable[[], None] = lambda: None
        self.idle: Callable[[], None] = lambda: None
        self.explain: Explain = lambda error: error
        self._idle_seconds, self._rest = idle_seconds, rest
        self.watchers: list[Watch] = []
        self._line: queue.PriorityQueue[tuple[tuple[int, int], Job[Any] | None]] = queue.PriorityQueue()
        self._lock = threading.RLock()
        self._open: dict[str, Job[Any]] = {}
        self._in_line: dict[str, Job[Any]] = {}
        self._parked: defaultdict[str, deque[Job[Any]]] = defaultdict(deque)
        self._most_parked, self._lane = parked, lane
        self._submitted = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="editlab-model", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether work that is submitted now will be done."""
        return self._thread.is_alive() and not self._closed

    @property
    def here(self) -> bool:
        """Whether it is the worker's own thread that asks."""
        return threading.current_thread() is self._thread

    def submit(
        self, work: Work[T], kind: str = "work", background: bool = False, about: Mapping[str, Any] | None = None
    ) -> Job[T]:
        """Put `work(progress, cancel)` at the end of the line; in the `background`, behind all that somebody waits for.

        It gets there once no other job of whoever asks waits in it. Raises `BadRequest` where the line is full or closed,
        `TooMany` where one person asks for too much at a time.
        """
        with self._lock:
            if not self.alive:
                raise BadRequest("EditLab is shutting down. Start it again.")
            if len(self._open) >= MOST_WAITING:
                raise BadRequest(f"{MOST_WAITING} requests are waiting already. Try again in a minute.")
            who = asker()
            behind = not background and self._waits(who)
            if behind and self._most_parked is not None and len(self._parked[self._lane(who)]) >= self._most_parked:
                raise TooMany("Many of your jobs are waiting already. Wait until some of them are done, or press Stop.")
            job = Job(work, 0, kind, background, about, self._watch, who)
            self._number(job)
            self._open[job.id] = job
            self._watch(job)
            if behind:
                self._parked[self._lane(who)].append(job)
            else:
                self._line_up(job)
        return job

    def _waits(self, who: Asker | None) -> bool:
        """Whether a job of somebody's waits in the line; one that was asked to stop does not count."""
        job = None if who is None else self._in_line.get(self._lane(who))
        return job is not None and job.state == "waiting" and not job.stopped

    def _number(self, job: Job[Any]) -> None:
        self._submitted += 1
        job.number = self._submitted

    def _line_up(self, job: Job[Any]) -> None:
        if job.asker is not None and not job.background:
            self._in_line[self._lane(job.asker)] = job
        self._line.put((job.turn, job))

    def _advance(self, job: Job[Any]) -> None:
        """A job has begun or ended: the next one of the same person gets into the line, at its end."""
        with self._lock:
            if job.asker is None or self._in_line.get(self._lane(job.asker)) is not job:
                return
            lane = self._lane(job.asker)
            del self._in_line[lane]
            while parked := self._parked.get(lane):
                follower = parked.popleft()
                if not follower.done:
                    self._number(follower)
                    self._line_up(follower)
                    return
                del self._open[follower.id]
            self._parked.pop(lane, None)

    def run_now(self, job: Job[Any]) -> None:
        """Do a job of the line before its turn, which then finds it done; for work on the worker's own thread alone."""
        job.run(self.explain)

    def give_way(self) -> None:
        """Do what somebody waits for, in the middle of a job of the background; for the worker's own thread alone.

        Another model waits until that job is done, which has this one in its hands.
        """
        while (job := self._foremost()) is not None:
            try:
                job.run(self.explain)
            except DeviceLost as error:
                job.fail(error)
                raise
            self._leave(job)

    def _foremost(self) -> Job[Any] | None:
        """The next job of the line, taken out of it, if it may come before its turn."""
        with self._line.mutex:
            first = self._line.queue[0][1] if self._line.queue else None
        return None if first is None or first.background or first.kind == "model" else self._line.get()[1]

    def ahead(self, job: Job[Any]) -> int:
        """How many jobs come before this one, the running one among them."""
        if job.done:
            return 0
        return sum(other is not job and (other.active or other.turn < job.turn) for other in self.open)

    @property
    def open(self) -> list[Job[Any]]:
        """The jobs that wait or run, in their order."""
        with self._lock:
            jobs = list(self._open.values())
        return sorted((job for job in jobs if not job.done), key=lambda job: (job.state != "running", job.turn))

    def close(self) -> None:
        """End after the jobs in line, and wait for that."""
        with self._lock:
            if not self._closed:
                self._closed = True
                for job in self._open.values():
                    if job.background:  # nobody waits for it
                        job.cancel()
                self._line.put((LAST, None))
        self._thread.join()

    def _run(self) -> None:
        while (job := self._next()) is not None:
            try:
                job.run(self.explain)
            except DeviceLost as error:
                self._give_up(job, error)
                return
            self._leave(job)
            if self._line.empty():
                self._rest()

    def _leave(self, job: Job[Any]) -> None:
        """Let a job go that is done; one that has further parts goes to the end of the line."""
        with self._lock:
            if job.done:
                del self._open[job.id]
            else:
                self._number(job)
                self._line.put((job.turn, job))

    def _next(self) -> Job[Any] | None:
        if self._idle_seconds:
            try:
                return self._line.get(timeout=self._idle_seconds)[1]
            except queue.Empty:
                self.idle()
        return self._line.get()[1]

    def _give_up(self, job: Job[Any] | None, error: DeviceLost) -> None:
        """Let everybody who waits hear of it; nobody else can line up."""
        with self._lock:
            self._closed = True
            while True:
                if job is not None:
                    job.fail(error)
                if self._line.empty():
                    break
                _, job = self._line.get()
        self.lost()

    def _watch(self, job: Job[Any]) -> None:
        if job.state != "waiting":
            self._advance(job)
        for watcher in self.watchers:
            try:
                watcher(job)
            except Exception:  # work does not fail because nobody could write it down
                log.exception("A job's new state could not be noted")


def stop_job(job: Job[Any], by: str = "") -> None:
    """Ask a job to stop, and log `by` whom, where that is known."""
    if not job.done and not job.stopped:
        job.cancel()
        log.info({"event": "cancel", "kind": job.kind} | ({"by": by} if by else {}))


def let_go(error: BaseException) -> None:
    """Drop what the calls behind an error still hold: as long as somebody keeps the error, it would keep their tensors."""
    cause: BaseException | None = error
    while cause is not None:
        traceback.clear_frames(cause.__traceback__)
        cause = cause.__cause__ or cause.__context__
