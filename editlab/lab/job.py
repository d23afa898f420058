"""A job: work that waits for the model, its progress, its partial and its last result, which any thread may read."""

from __future__ import annotations

import logging
import secrets
import threading
import time
import traceback
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from typing import Any, Generic, Literal, TypeVar

from editlab.errors import Cancelled, DeviceLost
from editlab.figures.language import spoken, translated
from editlab.lab.access.limits import Asker
from editlab.wording import noop
from editlab.work import Cancel, stop_if

Explain = Callable[[BaseException], BaseException]
"""Turns an error into the one that is raised for the visitor, after the memory of the failed work was released."""
T = TypeVar("T")

log = logging.getLogger(__name__)

State = Literal["waiting", "running", "done", "failed", "stopped"]


class Job(Generic[T]):
    """A job of the worker, which any thread may read.

    `fraction` and `text`: its progress; `partial`: the latest partial result, None before the first; `error`: the error with
    which it failed. `number`: its place in the queue; `asker`: the visitor who asked for it, None where nobody did; `about`:
    plain facts about it. `submitted`, `began` and `ended`: seconds of the monotonic clock; `seconds`: the time for which it
    had the model; `active`: whether it has the model now. `watch` is called at each new state, before `wait` returns.
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
        self.fraction, self.text = 0.0, noop("waiting for the model")
        self.state: State = "waiting"
        self.active = False
        self.submitted, self.began, self.ended, self.seconds = time.monotonic(), 0.0, 0.0, 0.0
        self.partial: Any = None
        self.error: BaseException | None = None
        self._watch = watch
        self._work: Work[T] | None = work
        self._parts: Parts[T] | None = None
        self._spoken = spoken()
        self._outcome: Future[T] = Future()
        self._stop = threading.Event()
        self._beginning, self._ending = threading.Lock(), threading.Lock()

    @property
    def done(self) -> bool:
        """Whether it has a result or an error."""
        return self._outcome.done()

    @property
    def stopped(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop.is_set()

    @property
    def turn(self) -> tuple[bool, int]:
        """The key by which jobs are ordered: those in the background come last."""
        return self.background, self.number

    def cancel(self) -> None:
        """Ask it to stop: at once where it has not begun, else at its next step, or not at all if it is about to end."""
        self._stop.set()
        if self._take() is not None:
            self.fail(_unbegun())

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is done, at most for so long, and return whether it is."""
        return bool(wait_for([self._outcome], seconds).done)

    def result(self, seconds: float | None = None) -> T:
        """Return the result. Raises the error of the work, `Cancelled` where it was stopped."""
        return self._outcome.result(seconds)

    def run(self, explain: Explain) -> None:
        """Do the work, or its next part, unless it is done. Only for the worker's thread.

        Raises `DeviceLost` where nothing can be computed any more.
        """
        work = self._take()
        if work is None and self._parts is None:
            return
        began, self.active = time.monotonic(), True
        try:
            if work is not None:
                self._set_state("running")
                if self._stop.is_set():
                    raise _unbegun()
                with translated(self._spoken):
                    result = work(JobProgress(self), self._stop.is_set)
                if isinstance(result, Generator):
                    self._parts = result
            if self._parts is not None:
                stop_if(self._stop.is_set, "Stopped before it was complete. Nothing was changed.")
                result = self._run_part(self._parts)
        except BaseException as error:  # a visitor may wait for it, whatever it is
            del work
            self._parts = None
            self._pause(began)
            clear_frames(error)
            explained = explain(error)
            if isinstance(explained, DeviceLost):
                raise explained from None  # the worker fails this job with all others, after it has closed the queue
            self.fail(explained)
        else:
            self._pause(began)
            if self._parts is None:
                self._set_state("done")
                self._outcome.set_result(result)

    def _take(self) -> Work[T] | None:
        """Return the work, once: to whoever begins it, or ends it before it has begun."""
        with self._beginning:
            work, self._work = self._work, None
        return work

    def _pause(self, began: float) -> None:
        """Add the time since the job got the model, which it gives back."""
        self.seconds += time.monotonic() - began
        self.active = False

    def _run_part(self, parts: Parts[T]) -> T | None:
        """Do one part, and return the result of the work after its last one."""
        try:
            with translated(self._spoken):
                next(parts)
            return None
        except StopIteration as end:
            self._parts = None
            return end.value

    def fail(self, error: BaseException) -> None:
        """End it with an error, whether it has begun or not, unless it is done."""
        self._work = self._parts = None
        if not self.done and self._ending.acquire(blocking=False):
            self.error = error
            self._set_state("stopped" if isinstance(error, Cancelled) else "failed")
            self._outcome.set_exception(error)

    def _set_state(self, state: State) -> None:
        self.state, now = state, time.monotonic()
        if state == "running":
            self.began = now
        else:
            self.began, self.ended = self.began or now, now
        self._watch(self)


class JobProgress:
    """The progress that work is given: `progress(fraction, text)`, and `progress.show(partial)`."""

    def __init__(self, job: Job[Any]) -> None:
        self._job = job

    def __call__(self, fraction: float, text: str) -> None:
        """Report the share that is done, and what is being done now."""
        self._job.fraction, self._job.text = min(1.0, max(0.0, fraction)), text

    def spare(self, seconds: float) -> None:
        """Take off time for which the job had the model, but used it for everybody."""
        self._job.seconds -= seconds

    def note(self, **facts: Any) -> None:
        """Add plain JSON to the job's `about`, which its row keeps."""
        self._job.about |= facts

    def show(self, partial: Any) -> None:
        """Publish a partial result. Other threads read it: give a new object each time, never a changed one."""
        self._job.partial = partial


Parts = Generator[None, None, T]
Work = Callable[[JobProgress, Cancel], T | Parts[T]]
Watch = Callable[[Job[Any]], None]


def _unbegun() -> Cancelled:
    return Cancelled("Stopped before it began. Nothing was changed.")


def stop_job(job: Job[Any], by: str = "") -> None:
    """Ask a job to stop, and log by which user, if that is known."""
    if not job.done and not job.stopped:
        job.cancel()
        log.info({"event": "cancel", "kind": job.kind} | ({"by": by} if by else {}))


def clear_frames(error: BaseException) -> None:
    """Clear the local variables of an error's traceback, so that the error does not keep tensors in memory."""
    cause: BaseException | None = error
    while cause is not None:
        traceback.clear_frames(cause.__traceback__)
        cause = cause.__cause__ or cause.__context__
