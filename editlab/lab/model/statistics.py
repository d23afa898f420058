"""Measures key statistics as jobs: of the layers that the methods edit, one measurement at a time for all visitors.

Without them MEMIT cannot run, and the edits of other methods preserve less. What a model lacks is measured in the background
on the bundled texts; the first edits wait for it. Where somebody asks for more, the cost is estimated before.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from editlab import methods
from editlab.errors import BadRequest, Cancelled
from editlab.lab.context import Context
from editlab.lab.job import Job, JobProgress, Parts, Work
from editlab.lab.kinds import Kind
from editlab.lab.workspaces.workspace import Workspace
from editlab.model import LanguageModel, measuring, statistics
from editlab.model.statistics import KEYS_PER_DIMENSION, WINDOW
from editlab.wording import duration, noop, percent
from editlab.work import Cancel, stop_if

ROWS, TOKENS = 32, 8
"""Rows and tokens that the model generates when it is timed."""


@dataclass(frozen=True)
class Measured:
    """The key statistics of a layer: the tokens they were measured on, and `KeyStatistics.quality`, None if unknown."""

    layer: int
    tokens: int
    quality: float | None


@dataclass(frozen=True)
class MeasuringCost:
    """The cost of a measurement: its tokens, the seconds to generate them (if needed), and the seconds to read them."""

    layers: tuple[int, ...]
    tokens: int
    writing: float
    reading: float


class KeyStatistics:
    """The key statistics of one lab's model; with `measuring`, `begin` measures those that are missing."""

    def __init__(self, context: Context, measuring: bool = False) -> None:
        self.measuring = measuring
        self._context = context
        self._lock = threading.Lock()
        self._job: Job[tuple[Measured, ...]] | None = None
        self._groups: list[tuple[int, ...]] = []
        self._done = 0
        self._first: float | None = None
        context.before_edit = self.wait
        context.loaded.leaving.append(self._leave)

    @property
    def running(self) -> Job[tuple[Measured, ...]] | None:
        """The measurement that waits or runs, so that a reloaded page can follow it."""
        job = self._job
        return None if job is None or job.done else job

    def begin(self) -> None:
        """Measure in the background what is missing: first the layers of the first method.

        Nothing happens while a measurement runs, or where the last one of this model failed or was stopped by somebody.
        """
        context = self._context
        with self._lock:
            last = self._job
            here = last is not None and last.about["model"] == context.loaded.fingerprint
            if not self.measuring or self.running is not None or (here and (last.stopped or last.state == "failed")):
                return
            model, groups = context.model, self._missing_groups()
            if groups:
                text = "\n".join(context.passages.inside) or None
                about = {"model": model.fingerprint, "title": _title(groups)}
                with suppress(BadRequest):  # too many jobs wait: the next page tries again
                    work = self._work(model, groups, text)
                    self._job = context.worker.submit(work, Kind.STATISTICS, background=True, about=about)

    def wait(
        self, layers: Sequence[int], hurry: Callable[[], bool], progress: JobProgress, cancel: Cancel
    ) -> Iterator[None]:
        """Do in steps the measuring that an edit at these layers waits for, unless or until it is in a hurry.

        For the worker's thread. The time counts for nobody. Raises `Cancelled`.
        """
        self.begin()
        job = self.running
        while job is not None and not job.done and not hurry() and (groups := self._to_come(layers)):
            progress(0.0, f"measuring key statistics: {self._so_far(job, groups)}")
            yield
            stop_if(cancel)
            began = time.monotonic()
            if not hurry():
                self._context.worker.run_now(job)
            progress.spare(time.monotonic() - began)

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers at which the methods that read key statistics edit this model."""
        return tuple(sorted({layer for layers in self._layers_by_method() for layer in layers}))

    def _layers_by_method(self) -> list[tuple[int, ...]]:
        model, seed = self._context.model, self._context.seed
        every = [method for method in methods.METHODS.values() if not method.scans]
        return [method.layers_measured(method.config_for(model, seed=seed)) for method in every]

    @property
    def missing(self) -> tuple[int, ...]:
        """The edited layers that have no statistics."""
        return tuple(layer for layer in self.layers if layer not in statistics.measured_layers(self._context.model))

    @property
    def known(self) -> tuple[Measured, ...]:
        """The statistics of the edited layers. Raises `BadFile` if a file is damaged."""
        headers = [(layer, statistics.describe(self._context.model, layer)) for layer in self.layers]
        return tuple(
            Measured(layer, header["tokens"], header.get("quality")) for layer, header in headers if header is not None
        )

    def cost(self, workspace: Workspace) -> Job[MeasuringCost]:
        """Return a job that estimates the cost of `measure` by timing a few of its steps."""

        def work(progress: JobProgress, cancel: Cancel) -> MeasuringCost:
            model, layers = self._context.model, self.missing or self.layers
            progress(0.0, "statistics: time a few steps")
            tokens = KEYS_PER_DIMENSION * model.d_ff
            row = model.tok.encode("The")[-1:] * min(WINDOW, model.tok.context)
            steps = {
                "writing": (ROWS * TOKENS, model.generate(["The"] * ROWS, max_tokens=TOKENS)),
                "reading": (len(row), model.keys_everywhere([row], max(layers))),
            }
            return MeasuringCost(layers, tokens, **{name: tokens / count * _time(it) for name, (count, it) in steps.items()})

        return workspace.submit(work, Kind.STATISTICS_COST)

    def measure(self, workspace: Workspace, text: str | None = None) -> Job[tuple[Measured, ...]]:
        """Return a job that measures the edited layers, on a text or on text that the model generates.

        All workspaces use the statistics from then on. Raises `BadRequest` while another measurement runs.
        """

        with self._lock:
            if self.running is not None:
                raise BadRequest("Key statistics are already being measured. Wait, or press Stop.")
            groups = [self.missing or self.layers]
            request = {"text": text and self._context.ledger.files.keep(text.encode())}
            work = self._work(self._context.model, groups, text)
            self._job = workspace.submit(work, Kind.STATISTICS, title=_title(groups), request=request, reloads=True)
            return self._job

    def _work(self, model: LanguageModel, groups: Sequence[tuple[int, ...]], text: str | None) -> Work[tuple[Measured, ...]]:
        """Return the work that measures groups of layers, one after the other. Each step is a part of it."""

        def work(progress: JobProgress, cancel: Cancel) -> Parts[tuple[Measured, ...]]:
            tokens, folder, seed = KEYS_PER_DIMENSION * model.d_ff, model.statistics[-1], self._context.seed

            def part(fraction: float, text: str) -> None:
                whole = (self._done + fraction) / len(groups)
                self._first = whole if self._first is None else self._first
                progress(whole, text)

            def check() -> None:
                if not self._context.loaded.holds(model):
                    raise Cancelled("The model was unloaded. What was measured is kept.")

            check()
            for layers in groups:
                with closing(measuring.collecting(model, layers, text, tokens, folder, seed, part, cancel)) as steps:
                    for _ in steps:
                        yield
                        check()
                self._done += 1
            return self.known

        self._groups, self._done, self._first = list(groups), 0, None
        return work

    def _missing_groups(self) -> list[tuple[int, ...]]:
        """Return the missing layers of each method, in the order of the methods; no layer twice."""
        known = set(self.layers) - set(self.missing)
        groups = []
        for layers in self._layers_by_method():
            groups.append(tuple(sorted(set(layers) - known)))
            known.update(layers)
        return [group for group in groups if group]

    def _to_come(self, layers: Sequence[int]) -> int:
        """Return how many groups of the measurement have to be done until all of these layers are; 0 if they are now."""
        numbers = (number for number, group in enumerate(self._groups, 1) if set(group) & set(layers))
        return max((number for number in numbers if number > self._done), default=0)

    def _so_far(self, job: Job[Any], groups: int) -> str:
        """Return the share that is measured of what is measured until so many groups are done, and the time that is left."""
        whole = groups / len(self._groups)
        if self._first is not None and job.fraction > self._first:
            seconds = job.seconds * (whole - job.fraction) / (job.fraction - self._first)
            return noop(f"{percent(job.fraction / whole)}, about {duration(seconds)} left")
        return percent(job.fraction / whole)

    def _leave(self) -> None:
        """End a measurement whose model leaves the memory, and keep what it has done."""
        job = self.running
        if job is not None and job.state == "running":
            self._context.worker.run_now(job)


def _title(groups: Iterable[Iterable[int]]) -> str:
    return noop(f"Layers {', '.join(str(layer) for layer in sorted(layer for group in groups for layer in group))}")


def _time(steps: Iterable[Any]) -> float:
    """Return the seconds that an iteration takes."""
    began = time.perf_counter()
    for _ in steps:
        pass
    return time.perf_counter() - began
