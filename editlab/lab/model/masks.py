"""Trains a reversal mask as a job: from facts at hand, one at a time for all visitors, and resumable after a stop.

It uses the model's worker for minutes, so questions of others wait meanwhile; what it costs is measured and said before.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from editlab import methods
from editlab.errors import BadRequest, Cancelled
from editlab.lab.jobs.worker import Cancel, Job, Progress
from editlab.lab.workspaces import masks
from editlab.lab.workspaces.masks import MaskInfo
from editlab.methods import mask
from editlab.methods.mask import Lesson, MaskConfig

if TYPE_CHECKING:
    from editlab.lab.lab import Lab
    from editlab.lab.workspaces.looking import Looking


class MaskTraining:
    """The training of one lab. The subjects of the demo presets are never in it."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._lock = threading.Lock()
        self._job: Job[MaskInfo] | None = None

    @property
    def running(self) -> Job[MaskInfo] | None:
        """The training that waits or runs: a reloaded page follows it from here."""
        job = self._job
        return None if job is None or job.done else job

    def cost(self, workspace: Looking, method: str) -> Job[str]:
        """What a training will take, in a sentence; measured on a few of its edits."""

        def work(progress: Progress, cancel: Cancel) -> str:
            lessons = self._lessons(progress, cancel)
            progress(0.5, "mask: what a training costs is measured")
            return mask.cost(self._lab.model, lessons, methods.get(method), self._config, cancel).sentence

        return workspace.submit(work, "mask cost")

    def train(self, workspace: Looking, method: str) -> Job[MaskInfo]:
        """Train a mask for a method's edits and keep it in the data folder, where every workspace then finds it.

        Stopped, it keeps what it has: the next call goes on from there. Raises `BadRequest` while another one runs.
        """

        def work(progress: Progress, cancel: Cancel) -> MaskInfo:
            model, folder = self._lab.model, self._lab.model.masks[-1]
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
            self._job = workspace.submit(work, "mask", title=method.upper(), request={"method": method})
            return self._job

    @property
    def _config(self) -> MaskConfig:
        return MaskConfig(seed=self._lab.seed)

    def _lessons(self, progress: Progress, cancel: Cancel) -> list[Lesson]:
        lab = self._lab
        progress(0.0, "mask: which facts the model knows")
        presets = {scenario.request.subject for scenario in lab.scenarios}
        return mask.lessons(lab.model, lab.facts, mask.EDITS, presets, lab.seed, cancel)
