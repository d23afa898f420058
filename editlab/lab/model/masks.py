"""Trains a reversal mask as a job: from facts at hand, one at a time for all visitors, and resumable after a stop.

It uses the model's worker for minutes, so questions of others wait meanwhile; what it costs is measured and said before.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from editlab import methods
from editlab.errors import BadRequest, Cancelled
from editlab.lab.context import Context
from editlab.lab.kinds import Kind
from editlab.lab.worker import Job, JobProgress
from editlab.lab.workspaces import masks
from editlab.lab.workspaces.masks import MaskInfo
from editlab.lab.workspaces.scenarios import Scenario
from editlab.lab.workspaces.workspace import Workspace
from editlab.methods import mask
from editlab.methods.mask import Lesson, MaskConfig
from editlab.work import Cancel


class MaskTraining:
    """The training of one lab. The subjects of the demo presets are never in it."""

    def __init__(self, context: Context, scenarios: Sequence[Scenario]) -> None:
        self._context, self._scenarios = context, scenarios
        self._lock = threading.Lock()
        self._job: Job[MaskInfo] | None = None

    @property
    def running(self) -> Job[MaskInfo] | None:
        """The training that waits or runs: a reloaded page follows it from here."""
        job = self._job
        return None if job is None or job.done else job

    def cost(self, workspace: Workspace, method: str) -> Job[str]:
        """What a training will take, in a sentence; measured on a few of its edits."""

        def work(progress: JobProgress, cancel: Cancel) -> str:
            lessons = self._lessons(progress, cancel)
            progress(0.5, "mask: what a training costs is measured")
            return mask.cost(self._context.model, lessons, methods.get(method), self._config, cancel).sentence

        return workspace.submit(work, Kind.MASK_COST)

    def train(self, workspace: Workspace, method: str) -> Job[MaskInfo]:
        """Train a mask for a method's edits and keep it in the data folder, where every workspace then finds it.

        Stopped, it keeps what it has: the next call goes on from there. Raises `BadRequest` while another one runs.
        """

        def work(progress: JobProgress, cancel: Cancel) -> MaskInfo:
            model, folder = self._context.model, self._context.model.masks[-1]
            lessons = self._lessons(progress, cancel)
            try:
                made, _ = mask.make(model, lessons, methods.get(method), self._config, folder / "work", progress, cancel)
            except Cancelled as stopped:
                raise Cancelled("Stopped. What was computed is kept: train again, and it goes on from there.") from stopped
            mask.write(made, model, folder)
            return masks.described(made)

        with self._lock:
            if self.running is not None:
                raise BadRequest("A mask is being trained already. Wait for it, or ask whoever began it to stop it.")
            self._job = workspace.submit(work, Kind.MASK, title=method.upper(), request={"method": method})
            return self._job

    @property
    def _config(self) -> MaskConfig:
        return MaskConfig(seed=self._context.seed)

    def _lessons(self, progress: JobProgress, cancel: Cancel) -> list[Lesson]:
        context = self._context
        progress(0.0, "mask: which facts the model knows")
        presets = {scenario.request.subject for scenario in self._scenarios}
        return mask.lessons(context.model, context.facts, mask.EDITS, presets, context.seed, cancel)
