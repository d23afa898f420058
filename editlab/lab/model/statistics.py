"""Measures key statistics as jobs: of the layers that the methods edit, one measurement at a time for all visitors.

Without them MEMIT cannot run, and the edits of other methods preserve less. The cost is estimated before.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from editlab import methods
from editlab.errors import BadRequest
from editlab.lab.context import Context
from editlab.lab.kinds import Kind
from editlab.lab.worker import Job, JobProgress
from editlab.lab.workspaces.workspace import Workspace
from editlab.model import statistics
from editlab.model.statistics import KEYS_PER_DIMENSION, WINDOW
from editlab.work import Cancel

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
    """The key statistics of one lab's model."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._job: Job[tuple[Measured, ...]] | None = None

    @property
    def running(self) -> Job[tuple[Measured, ...]] | None:
        """The measurement that waits or runs, so that a reloaded page can follow it."""
        job = self._job
        return None if job is None or job.done else job

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers that the methods edit in this model."""
        model, seed = self._context.model, self._context.seed
        chosen = (methods.config_for(name, model, seed=seed).layers for name in methods.METHODS)
        return tuple(sorted({layer for layers in chosen for layer in layers}))

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

        def work(progress: JobProgress, cancel: Cancel) -> tuple[Measured, ...]:
            model = self._context.model
            layers = self.missing or self.layers
            tokens = KEYS_PER_DIMENSION * model.d_ff
            statistics.collect(model, layers, text, tokens, model.statistics[-1], self._context.seed, progress, cancel)
            return self.known

        with self._lock:
            if self.running is not None:
                raise BadRequest("Key statistics are already being measured. Wait, or press Stop.")
            layers = ", ".join(map(str, self.missing or self.layers))
            request = {"text": text and self._context.ledger.files.keep(text.encode())}
            self._job = workspace.submit(work, Kind.STATISTICS, title=f"Layers {layers}", request=request)
            return self._job


def _time(steps: Iterable[Any]) -> float:
    """Return the seconds that an iteration takes."""
    began = time.perf_counter()
    for _ in steps:
        pass
    return time.perf_counter() - began
