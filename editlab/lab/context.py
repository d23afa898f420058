"""The context: what the services of a lab share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from editlab import probes
from editlab.facts import FactBase
from editlab.lab.access.limits import RateLimits
from editlab.lab.job import Job, JobProgress
from editlab.lab.jobs.completions import Completions
from editlab.lab.jobs.drafts import Drafts
from editlab.lab.jobs.live import LiveQuestions
from editlab.lab.jobs.shared import Shared
from editlab.lab.ledger.directory import Directory
from editlab.lab.ledger.ledger import Key, Ledger
from editlab.lab.loaded import Loaded
from editlab.lab.worker import Worker
from editlab.model import LanguageModel
from editlab.probes import Ground, Passages
from editlab.settings import Settings
from editlab.work import Cancel, Progress


@dataclass(eq=False)
class Context:
    """One lab's settings, ledger, worker and model, and the ground of its probes.

    `answer_tokens`: the length of an answer. `shared`: what is computed once for all workspaces; `drafts`: the patches of
    edits that are only tried. `edits`: the latest job in each workspace that computes edits. `before_edit(layers, hurry,
    progress, cancel)` does in steps what an edit at these layers waits for, unless it is in a `hurry`.
    `after_change(workspace)` is called when the applied edits of a workspace have changed, and `after_batch(workspace,
    progress, cancel)` between the batches of a file, on the worker's thread.
    """

    settings: Settings
    ledger: Ledger
    directory: Directory
    worker: Worker
    limits: RateLimits
    loaded: Loaded
    facts: FactBase
    passages: Passages
    seed: int
    answer_tokens: int
    live: LiveQuestions
    completions: Completions
    shared: Shared
    drafts: Drafts
    edits: dict[Key, Job[Any]] = field(default_factory=dict)
    before_edit: Callable[[Sequence[int], Callable[[], bool], JobProgress, Cancel], Iterator[None]] = lambda *given: iter(())
    after_change: Callable[[Any], None] = lambda workspace: None
    after_batch: Callable[[Any, Progress, Cancel], None] = lambda workspace, progress, cancel: None
    _ground: Ground | None = None

    @property
    def model(self) -> LanguageModel:
        """The model. Where it was dropped from memory, this waits until it is loaded again."""
        return self.loaded.model

    @property
    def ground(self) -> Ground:
        """The ground of the loaded model."""
        model, ground = self.model, self._ground
        if ground is None or ground.model is not model:
            ground = self._ground = Ground(model, self.facts, self.passages, self.seed)
        return ground

    def answer_waiting(self) -> None:
        """Answer what somebody waits for, between two steps of a long job. For the worker's thread."""
        self.live.answer()
        self.completions.answer()

    def renew(self) -> None:
        """Compute again what depends on the model, after it was replaced, and forget what was said by the one before it."""
        self.shared.clear()
        self.passages = probes.passages(self.model, self.settings.presets / "texts")
