"""Trains reversal masks as jobs: from the facts at hand, one at a time for all visitors, resumable after a stop.

A training takes the model's worker for minutes, during which questions wait. Its cost is estimated before.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from editlab import methods
from editlab.errors import BadRequest, Cancelled
from editlab.lab.context import Context
from editlab.lab.job import Job, JobProgress
from editlab.lab.kinds import Kind
from editlab.lab.workspaces import masks
from editlab.lab.workspaces.examples import Example
from editlab.lab.workspaces.masks import MaskInfo
from editlab.lab.workspaces.workspace import Workspace
from editlab.methods import mask
from editlab.methods.mask import Lesson, MaskConfig
from editlab.work import Cancel


class MaskTraining:
    """Mask training of one lab. The subjects of the examples are never trained on."""

    def __init__(self, context: Context, examples: Sequence[Example]) -> None:
        self._context, self._examples = context, examples
        self._lock = threading.Lock()
        self._job: Job[MaskInfo] | None = None

    @property
    def running(self) -> Job[MaskInfo] | None:
        """The training that waits or runs, so that a reloaded page can follow it."""
        job = self._job
        return None if job is None or job.done else job

    @property
    def methods(self) -> list[str]:
        """The methods for whose edits the model has a mask."""
        return mask.methods_with_masks(self._context.model)

    def cost(self, workspace: Workspace, method: str) -> Job[str]:
        """Return a job that estimates the cost of a training from a few of its edits. Its result is a sentence.

        Raises `BadRequest` for a method whose edits no mask can reverse.
        """
        mask.check_method(methods.get(method))

        def work(progress: JobProgress, cancel: Cancel) -> str:
            lessons = self._lessons(progress, cancel)
            progress(0.5, "mask: estimate the cost of the training")
            return mask.cost(self._context.model, lessons, methods.get(method), self._config, cancel).sentence

        return workspace.submit(work, Kind.MASK_COST)

    def train(self, workspace: Workspace, method: str) -> Job[MaskInfo]:
        """Return a job that trains a mask for the edits of a method and saves it for all workspaces in the data folder.

        A stopped training is resumed by the next call. Raises `BadRequest` while another one runs, and as `cost` does.
        """
        mask.check_method(methods.get(method))

        def work(progress: JobProgress, cancel: Cancel) -> MaskInfo:
            model, folder = self._context.model, self._context.model.masks[-1]
            lessons = self._lessons(progress, cancel)
            try:
                trained, _ = mask.make(model, lessons, methods.get(method), self._config, folder / "work", progress, cancel)
            except Cancelled as stopped:
                raise Cancelled("Stopped. What was computed is kept: train again to resume.") from stopped
            mask.write(trained, model, folder)
            return masks.describe(trained)

        with self._lock:
            if self.running is not None:
                raise BadRequest("A mask is already being trained. Wait for it, or ask the user who started it to stop it.")
            self._job = workspace.submit(work, Kind.MASK, title=method.upper(), request={"method": method})
            return self._job

    @property
    def _config(self) -> MaskConfig:
        return MaskConfig(seed=self._context.seed)

    def _lessons(self, progress: JobProgress, cancel: Cancel) -> list[Lesson]:
        context = self._context
        progress(0.0, "mask: ask which facts the model knows")
        subjects = {example.request.subject for example in self._examples}
        return mask.lessons(context.model, context.facts, mask.EDITS, subjects, context.seed, cancel)
