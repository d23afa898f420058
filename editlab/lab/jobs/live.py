"""Live questions of several visitors, answered together: those that wait when the model is free are rows of one batch.

Each is a job of its own. The first one whose turn comes takes all others along that wait by then; they are done with it.
Nobody's views, answers or mistakes touch another one's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from editlab import probes
from editlab.errors import Cancelled
from editlab.lab.kinds import Kind
from editlab.lab.loaded import Loaded
from editlab.lab.worker import Cancel, Job, JobProgress, Work, Worker
from editlab.model.tokens import in_chunks
from editlab.patches import View

Views = Mapping[str, View]
Submit = Callable[[Work[probes.Answers], Kind], Job[probes.Answers]]


@dataclass(eq=False)
class LiveQuestion:
    """A text that somebody wants continued under `views`, as they are when the model reads it; then what came of it.

    `fingerprint`: of the model for which the views are.
    """

    text: str
    views: Callable[[], Views]
    fingerprint: str
    job: Job[probes.Answers]
    seen: Views | None = None
    answers: probes.Answers | None = None
    error: BaseException | None = None

    def show(self, answers: probes.Answers, fraction: float) -> None:
        """Publish what is written so far, unless nobody waits for it any more."""
        if not self.job.stopped:
            self.answers = answers
            progress = JobProgress(self.job)
            progress(fraction, "the model writes")
            progress.show(answers)

    def outcome(self) -> probes.Answers:
        """The last answers. Raises what went wrong, `Cancelled` where it was stopped."""
        if self.error is not None:
            raise self.error
        if self.answers is None or self.job.stopped:
            raise Cancelled("Stopped before the answer was complete.")
        return self.answers


class LiveQuestions:
    """The live questions of one lab that wait for their answers."""

    def __init__(self, worker: Worker, loaded: Loaded, answer_tokens: int) -> None:
        self._worker, self._loaded, self._answer_tokens = worker, loaded, answer_tokens
        self._lock = threading.Lock()
        self._waiting: dict[Job[probes.Answers], LiveQuestion] = {}

    def ask(self, text: str, views: Callable[[], Views], fingerprint: str, submit: Submit) -> Job[probes.Answers]:
        """A job, handed in by `submit`, that ends with each view's answer: `probes.answers_so_far`, shown as it grows."""
        asked: list[LiveQuestion] = []

        def work(progress: JobProgress, cancel: Cancel) -> probes.Answers:
            self.answer()
            return asked[0].outcome()

        with self._lock:  # so that the worker, should it be there at once, finds the question
            job = submit(work, Kind.LIVE)
            asked.append(LiveQuestion(text, views, fingerprint, job))
            self._waiting[job] = asked[0]
            return job

    def answer(self) -> None:
        """Answer everything that waits. For the worker's thread: also in the middle of a long job, so that nobody waits."""
        with self._lock:
            waiting, self._waiting = list(self._waiting.values()), {}
        model = self._loaded.model.fingerprint
        for group in self._groups([own for own in waiting if own.fingerprint == model and not own.job.stopped]):
            self._answer_together(group)
        for question in waiting:
            self._worker.run_now(question.job)

    def _groups(self, waiting: Sequence[LiveQuestion]) -> Iterator[list[LiveQuestion]]:
        """Questions that fit into one forward, those that cannot be read left out: their error is their own."""
        sizes: dict[LiveQuestion, int] = {}
        for question in waiting:
            try:
                question.seen = question.views()
                longest = max(
                    len(self._loaded.model.tok.encode(view.asks(question.text))) for view in question.seen.values()
                )
                sizes[question] = (longest + self._answer_tokens) * len(question.seen)
            except Exception as error:
                question.error = error
        readable = list(sizes)
        for chunk in in_chunks(list(sizes.values()), self._loaded.model.tokens_per_forward):
            yield [readable[place] for place in chunk]

    def _answer_together(self, group: Sequence[LiveQuestion]) -> None:
        """Answer questions as rows of one batch; one after the other where that fails, so that only the culprit suffers."""
        try:
            self._write(group)
            return
        except Exception as error:
            if len(group) == 1:
                group[0].error = error
                return
        for question in group:  # behind the error, which would keep the memory of what failed
            self._answer_together([question])

    def _write(self, group: Sequence[LiveQuestion]) -> None:
        tokens = self._answer_tokens
        asked = [(question.text, question.seen or {}) for question in group]
        for step, answers in enumerate(probes.answers_together(self._loaded.model, asked, tokens)):
            if all(question.job.stopped for question in group):
                return
            for question, own in zip(group, answers, strict=True):
                question.show(own, step / tokens)
