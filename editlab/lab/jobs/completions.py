"""Completions for other programs: those that wait when the model becomes free are rows of one batch.

Each question is a job of its own. A batch is written a slice at a time, by whichever of its jobs has the model, so that the
page's visitors wait no longer for it than for one of their own answers. Views, answers and errors of one question never
affect another.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from editlab.errors import Cancelled
from editlab.lab.job import Job, JobProgress, Parts
from editlab.lab.kinds import Kind
from editlab.lab.loaded import Loaded
from editlab.lab.worker import Worker
from editlab.model import LanguageModel
from editlab.model.completion import Completion, Prompt, complete, together, tokens_of
from editlab.patches import BASE, View
from editlab.work import Cancel, stop_if

SLICE = 32
"""Tokens that a batch is written at a time."""
MOST_BATCHES = 4
"""Batches that are written at a time; each keeps what it has read in memory."""


@dataclass(eq=False)
class Question:
    """A prompt under a `view`, which is read when the model answers; later its completion `so_far`, or its error.

    `fingerprint`: that of the model for which the view is.
    """

    prompt: Prompt
    view: Callable[[], View]
    fingerprint: str
    seen: View = BASE
    so_far: Completion = field(default_factory=Completion)
    error: Exception | None = None
    job: Job[Completion] | None = None

    @property
    def done(self) -> bool:
        """Whether nothing more is to be written."""
        return bool(self.so_far.ended) or self.error is not None or (self.job is not None and self.job.stopped)

    def show(self, so_far: Completion) -> None:
        """Keep the completion so far and publish it."""
        if not self.done and self.job is not None:
            self.so_far = so_far
            JobProgress(self.job).show(so_far)


@dataclass(eq=False)
class Batch:
    """Questions whose prompts are rows of the same forwards."""

    model: LanguageModel
    questions: Sequence[Question]
    steps: Iterator[list[Completion]]


class Completions:
    """The completions of one lab that wait or are being written."""

    def __init__(self, worker: Worker, loaded: Loaded) -> None:
        self._worker, self._loaded = worker, loaded
        self._lock = threading.Lock()
        self._waiting: list[Question] = []
        self._batches: list[Batch] = []

    def ask(self, prompt: Prompt, view: Callable[[], View], fingerprint: str, workspace: str = "") -> Job[Completion]:
        """Return a job that ends with a prompt's completion, and shows it as it grows.

        `workspace`: its id, for the log. Raises as `Worker.submit` does.
        """
        question = Question(prompt, view, fingerprint)

        def work(progress: JobProgress, cancel: Cancel) -> Parts[Completion]:
            while not question.done:
                self._write(question)
                if not question.done:
                    yield
            if question.error is not None:
                raise question.error
            stop_if(cancel, "Stopped before the answer was complete.")
            return question.so_far

        about = {"workspace": workspace} if workspace else {}
        with self._lock:  # so that the worker finds the question even if it runs the job at once
            question.job = self._worker.submit(work, Kind.COMPLETION, about=about)
            self._waiting.append(question)
            return question.job

    def answer(self) -> None:
        """Write all that waits to its end. For the worker's thread; long jobs call it between two steps."""
        while self._open() or self._batches:
            self._advance(self._batches[0])

    def _write(self, question: Question) -> None:
        """Write a slice of a question's batch, or of the oldest one where it is in none yet. Its job has the model."""
        self._open()
        own = next((batch for batch in self._batches if question in batch.questions), None)
        if not question.done and self._batches:
            self._advance(own or self._batches[0])

    def _open(self) -> bool:
        """Begin a batch of the questions that wait, as far as they fit into one, and return whether there is a new one."""
        with self._lock:
            if len(self._batches) >= MOST_BATCHES or not self._waiting:
                return False
            waiting, self._waiting = self._waiting, []
        model = self._loaded.model
        first, *others = self._groups(model, waiting) or [[]]
        with self._lock:
            self._waiting[:0] = [question for group in others for question in group]
        if first:
            self._begin(model, first)
        return bool(first)

    def _begin(self, model: LanguageModel, questions: Sequence[Question]) -> None:
        steps = complete(model, [question.prompt for question in questions], [question.seen for question in questions])
        self._batches.append(Batch(model, questions, steps))

    def _groups(self, model: LanguageModel, waiting: Sequence[Question]) -> list[list[Question]]:
        """Return questions that fit into one forward, the oldest ones first. One that cannot be read keeps its error."""
        sizes: dict[Question, int] = {}
        for question in (question for question in waiting if not question.done):
            try:
                if question.fingerprint != model.fingerprint:
                    raise self._replaced()
                question.seen = question.view()
                sizes[question] = tokens_of(model, question.prompt, question.seen)
            except Exception as error:
                question.error = error
        self._end(waiting)
        readable = list(sizes)
        prompts = [question.prompt for question in readable]
        return [[readable[place] for place in group] for group in together(model, prompts, list(sizes.values()))]

    def _advance(self, batch: Batch) -> None:
        """Write a slice of a batch. If that fails, each question is answered by itself, so that only one gets the error."""
        try:
            if not self._loaded.holds(batch.model):
                raise self._replaced()
            for _, completions in zip(range(SLICE), batch.steps, strict=False):
                for question, so_far in zip(batch.questions, completions, strict=True):
                    question.show(so_far)
                if all(question.done for question in batch.questions):
                    break
            left = [question for question in batch.questions if not question.done]
            failed = None
        except Exception as error:
            left, failed = [question for question in batch.questions if not question.done], error
        if failed is not None or not left:
            self._batches.remove(batch)
        if failed is not None and len(left) > 1 and not isinstance(failed, Cancelled):
            for question in left:
                self._begin(batch.model, [question])
        elif failed is not None:
            for question in left:
                question.error = failed
        self._end(batch.questions)

    def _end(self, questions: Sequence[Question]) -> None:
        """Let the jobs of questions that are done end now, wherever they stand in the line."""
        for question in questions:
            if question.done and question.job is not None and not question.job.active:
                self._worker.run_now(question.job)

    def _replaced(self) -> Cancelled:
        return Cancelled(f"The model is now {self._loaded.name}. Nothing was asked. Ask again.")
