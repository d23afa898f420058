"""Live questions of several visitors, answered as one batch: all that wait when the model becomes free.

Each is a job of its own. The first one to run answers all others that wait by then, so that they end with it. Equal ones are
answered once. Views, answers and errors of one question never affect another.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from editlab import probes
from editlab.errors import Cancelled
from editlab.lab.job import Job, JobProgress, Work
from editlab.lab.jobs.shared import Shared, digests
from editlab.lab.kinds import Kind
from editlab.lab.loaded import Loaded
from editlab.lab.worker import Worker
from editlab.model.tokens import in_chunks
from editlab.patches import View
from editlab.work import Cancel

Views = Mapping[str, View]
Submit = Callable[[Work[probes.Answers], Kind], Job[probes.Answers]]


@dataclass(eq=False)
class LiveQuestion:
    """A text to be continued under `views`, which are read when the model answers; later its answers or its error.

    `fingerprint`: that of the model for which the views are.
    """

    text: str
    views: Callable[[], Views]
    fingerprint: str
    job: Job[probes.Answers]
    seen: Views | None = None
    answers: probes.Answers | None = None
    error: BaseException | None = None

    @property
    def key(self) -> Hashable:
        """What its answers depend on, by content."""
        return "live", self.fingerprint, self.text, digests(self.seen or {})

    def show(self, answers: probes.Answers, fraction: float) -> None:
        """Publish the answers so far, unless the question was stopped."""
        if not self.job.stopped:
            self.answers = answers
            progress = JobProgress(self.job)
            progress(fraction, "the model writes")
            progress.show(answers)

    def outcome(self) -> probes.Answers:
        """Return the last answers. Raises the question's error, and `Cancelled` if it was stopped."""
        if self.error is not None:
            raise self.error
        if self.answers is None or self.job.stopped:
            raise Cancelled("Stopped before the answer was complete.")
        return self.answers


class LiveQuestions:
    """The live questions of one lab that wait for their answers."""

    def __init__(self, worker: Worker, loaded: Loaded, answer_tokens: int, shared: Shared) -> None:
        self._worker, self._loaded, self._answer_tokens, self._shared = worker, loaded, answer_tokens, shared
        self._lock = threading.Lock()
        self._waiting: dict[Job[probes.Answers], LiveQuestion] = {}

    def ask(self, text: str, views: Callable[[], Views], fingerprint: str, submit: Submit) -> Job[probes.Answers]:
        """Return a job, made by `submit`, that ends with each view's answer (`probes.answers_so_far`), shown as it grows."""

        def work(progress: JobProgress, cancel: Cancel) -> probes.Answers:
            self.answer()
            return question.outcome()

        with self._lock:  # so that the worker finds the question even if it runs the job at once
            job = submit(work, Kind.LIVE)
            question = self._waiting[job] = LiveQuestion(text, views, fingerprint, job)
            return job

    def answer(self) -> None:
        """Answer all waiting questions. For the worker's thread; long jobs call it between two steps."""
        with self._lock:
            waiting, self._waiting = list(self._waiting.values()), {}
        model = self._loaded.model.fingerprint
        current = [question for question in waiting if question.fingerprint == model and not question.job.stopped]
        for group in self._groups(current):
            self._answer_together(group)
        for question in waiting:
            self._worker.run_now(question.job)

    def _groups(self, waiting: Sequence[LiveQuestion]) -> Iterator[list[list[LiveQuestion]]]:
        """Yield questions that fit into one forward, equal ones together.

        One that was answered before gets its answers at once. One that cannot be read keeps its error and is left out.
        """
        alike: dict[Hashable, list[LiveQuestion]] = {}
        sizes: dict[Hashable, int] = {}
        for question in waiting:
            try:
                question.seen = question.views()
                key = question.key
                if (known := self._shared.find(key)) is not None:
                    question.show(known, 1.0)
                    continue
                alike.setdefault(key, []).append(question)
                longest = max(
                    len(self._loaded.model.tok.encode(view.asks(question.text))) for view in question.seen.values()
                )
                sizes[key] = (longest + self._answer_tokens) * len(question.seen)
            except Exception as error:
                question.error = error
        readable = list(sizes)
        for chunk in in_chunks(list(sizes.values()), self._loaded.model.tokens_per_forward, self._answer_tokens):
            yield [alike[readable[place]] for place in chunk]

    def _answer_together(self, group: Sequence[Sequence[LiveQuestion]]) -> None:
        """Answer questions as one batch; if that fails, one after the other, so that only the faulty one gets the error."""
        try:
            self._write(group)
            return
        except Exception as error:
            if len(group) == 1:
                for question in group[0]:
                    question.error = error
                return
        for alike in group:  # outside of `except`, whose error would keep the failed batch in memory
            self._answer_together([alike])

    def _write(self, group: Sequence[Sequence[LiveQuestion]]) -> None:
        tokens = self._answer_tokens
        questions = [(alike[0].text, alike[0].seen or {}) for alike in group]
        answers: Sequence[probes.Answers] = ()
        for step, answers in enumerate(probes.answers_together(self._loaded.model, questions, tokens)):
            if all(question.job.stopped for alike in group for question in alike):
                return
            for alike, answer in zip(group, answers, strict=True):
                for question in alike:
                    question.show(answer, step / tokens)
        for alike, answer in zip(group, answers, strict=True):
            self._shared.keep(alike[0].key, answer)
