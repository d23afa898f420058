"""People at work: a workspace for each visitor, over one model that all of them share.

A workspace is a stack of edits; its view lays them over the frozen model. Nobody sees another one's edits, taking one
back is taking it off the stack, and what failed or was stopped never reached it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

from pandas import DataFrame, concat

from editlab import methods, probes
from editlab.errors import BadRequest, Cancelled
from editlab.facts import EditRequest, FactBase
from editlab.lab.scenarios import Scenario, read_scenarios
from editlab.lab.worker import Cancel, Job, Progress, Work, Worker
from editlab.model import LanguageModel
from editlab.patches import BASE, Patch, View
from editlab.probes import Passages
from editlab.settings import Settings

T = TypeVar("T")

KEPT_SECONDS = 6 * 3600.0
ANSWER_TOKENS = 32


@dataclass(frozen=True, eq=False)
class EditRecord:
    """One edit that was applied: what was asked, how it was made, how healthy it is, and its patches by solve."""

    request: EditRequest
    method: str
    layers: tuple[int, ...]
    seconds: float
    health: Mapping[str, float]
    solves: tuple[tuple[Patch, ...], ...]
    contexts: tuple[str, ...]

    @property
    def patches(self) -> tuple[Patch, ...]:
        """All patches, in the order in which they are laid."""
        return tuple(patch for solve in self.solves for patch in solve)


class Workspace:
    """One visitor's edits. What takes longer than a moment comes back as a `Job` of the model's worker.

    `request` is the question that the visitor looks at, whether it was applied or not.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._lock = threading.RLock()
        self._jobs: list[Job[Any]] = []
        self._edit: Job[EditRecord] | None = None
        self.records: tuple[EditRecord, ...] = ()
        self.undone: tuple[EditRecord, ...] = ()
        self.request: EditRequest | None = None
        self.touched = time.monotonic()

    @property
    def view(self) -> View:
        """The model under all edits of this workspace."""
        return BASE.with_patches(patch for record in self.records for patch in record.patches)

    @property
    def views(self) -> dict[str, View]:
        """What there is to hold against each other: the base, and the edited model where there are edits."""
        return {"base": BASE, "edited": self.view} if self.records else {"base": BASE}

    @property
    def busy(self) -> bool:
        """Whether a job of this workspace waits or runs."""
        with self._lock:
            self._jobs = [job for job in self._jobs if not job.done]
            return bool(self._jobs)

    @property
    def editing(self) -> Job[EditRecord] | None:
        """The edit that is being computed, if any: a reloaded page follows it from here."""
        job = self._edit
        return None if job is None or job.done else job

    # --- changing it ------------------------------------------------------------------------------------------------

    def apply(self, request: EditRequest, method: str = "rome", config: Any = None) -> Job[EditRecord]:
        """Compute an edit under the view of the earlier ones and lay it on top of them.

        Raises `BadRequest` while another edit is being computed. Stopped or failed, it leaves everything as it was.
        """
        chosen, request = methods.get(method), self._with_truth(request)

        def work(progress: Progress, cancel: Cancel) -> EditRecord:
            model, view = self._lab.model, self.view
            settings = config or methods.config_for(chosen.config, chosen.name, model, seed=self._lab.seed)
            edited = chosen.edit(model, [request], view, settings, progress, cancel)
            record = EditRecord(
                request, method, edited.layers, edited.seconds, edited.health[0], edited.solves, edited.contexts
            )
            with self._lock:
                if cancel():
                    raise Cancelled("Stopped. Nothing was changed.")
                self.records, self.undone = (*self.records, record), ()
            return record

        with self._lock:
            self._refuse_while_editing()
            self._edit = self._submit(work)
            self.request = request
            return self._edit

    def undo(self) -> EditRecord:
        """Take the latest edit off; the others stay as they were computed. Raises `BadRequest` where there is none."""
        with self._lock:
            self._refuse_while_editing()
            if not self.records:
                raise BadRequest("There is no edit to take back. Apply one first.")
            *kept, last = self.records
            self.records, self.undone, self.request = tuple(kept), (*self.undone, last), last.request
            return last

    def redo(self) -> EditRecord:
        """Lay the edit that was taken off last again. Raises `BadRequest` where there is none."""
        with self._lock:
            self._refuse_while_editing()
            if not self.undone:
                raise BadRequest("There is nothing to redo. Undo an edit first.")
            *kept, last = self.undone
            self.records, self.undone, self.request = (*self.records, last), tuple(kept), last.request
            return last

    def clear(self) -> None:
        """Take all edits off, without a way back."""
        with self._lock:
            self._refuse_while_editing()
            self.records, self.undone = (), ()

    def stop(self) -> bool:
        """Stop whatever runs or waits for this workspace; whether there was anything."""
        with self._lock:
            busy = self.busy
            for job in self._jobs:
                job.cancel()
            return busy

    # --- asking -----------------------------------------------------------------------------------------------------

    def look(self, request: EditRequest) -> Job[dict[str, dict[str, Any]]]:
        """What each view says at the prompt of a request: `{view: probes.summary}`."""
        request = self._with_truth(request)

        def work(progress: Progress, cancel: Cancel) -> dict[str, dict[str, Any]]:
            progress(0.0, "asking the model")
            return probes.summaries(self._lab.model, request, self.views)

        with self._lock:
            self.request = request
            return self._submit(work)

    def probe(self, request: EditRequest, most: int | None = None) -> Job[DataFrame]:
        """Ask every probe around a request under each view: the rows of `probes.ask`; `most` of each kind and domain."""

        def work(progress: Progress, cancel: Cancel) -> DataFrame:
            model, views = self._lab.model, self.views
            progress(0.0, "probes: choosing what to ask")
            case = probes.case_for(request, self._lab.facts)
            asked = probes.battery(model, case, self._lab.passages, self._lab.seed, most)
            frames: list[DataFrame] = []
            for kind, group in groupby(asked, key=lambda probe: probe.kind):
                if cancel():
                    raise Cancelled("Stopped before all probes were asked.")
                progress(sum(map(len, frames)) / len(asked), f"probes: {probes.KINDS[kind]}")
                frames.append(probes.ask(model, case.request, tuple(group), views))
            return concat(frames, ignore_index=True)

        return self._submit(work)

    def ask(self, text: str) -> Job[dict[str, str]]:
        """How each view continues a text, greedily."""
        tokens = self._lab.answer_tokens

        def work(progress: Progress, cancel: Cancel) -> dict[str, str]:
            views = self.views
            answers = [""] * len(views)
            stream = self._lab.model.generate([text] * len(views), list(views.values()), tokens)
            for step, written in enumerate(stream, start=1):
                if cancel():
                    raise Cancelled("Stopped before the answer was complete.")
                answers = written
                progress(step / tokens, "the model writes")
            return dict(zip(views, answers, strict=True))

        return self._submit(work)

    def ahead(self, job: Job[Any]) -> int:
        """How many jobs, of this visitor or others, the model does before this one."""
        return self._lab.worker.ahead(job)

    def _with_truth(self, request: EditRequest) -> EditRequest:
        """The request with its true object, where the fact base knows one that nobody gave."""
        return probes.case_for(request, self._lab.facts).request

    def _submit(self, work: Work[T]) -> Job[T]:
        with self._lock:
            self.touched = time.monotonic()
            job = self._lab.worker.submit(work)
            self._jobs = [*(job for job in self._jobs if not job.done), job]
            return job

    def _refuse_while_editing(self) -> None:
        if self.editing is not None:
            raise BadRequest("An edit is being computed. Wait for it, or press Stop first.")


class Lab:
    """One model, the thread that owns it, what it may be asked about, and everybody's workspaces."""

    def __init__(
        self,
        model: LanguageModel,
        facts: FactBase,
        passages: Passages,
        scenarios: tuple[Scenario, ...] = (),
        seed: int = 0,
        kept_seconds: float = KEPT_SECONDS,
        answer_tokens: int = ANSWER_TOKENS,
    ) -> None:
        self.model, self.facts, self.passages, self.scenarios, self.seed = model, facts, passages, scenarios, seed
        self.answer_tokens = answer_tokens
        self.worker = Worker()
        self._kept_seconds = kept_seconds
        self._workspaces: dict[str, Workspace] = {}
        self._lock = threading.Lock()

    @classmethod
    def open(cls, settings: Settings) -> Lab:
        """Load everything that the settings name. Raises `BadModel` or `BadFile` saying what is wrong."""
        model = LanguageModel.load(
            settings.model,
            quantization=settings.quantization,
            dtype=settings.dtype,
            device=settings.device,
            seed=settings.seed,
            settings=settings,
        )
        facts = FactBase.load(settings.presets / "facts")
        texts = probes.passages(model, settings.presets / "texts")
        return cls(model, facts, texts, read_scenarios(settings.presets / "scenarios"), settings.seed)

    def workspace(self, visitor: str) -> Workspace:
        """The workspace of a visitor, made where there is none. Those that nobody touched for long are forgotten."""
        with self._lock:
            self._sweep()
            workspace = self._workspaces.setdefault(visitor, Workspace(self))
            workspace.touched = time.monotonic()
            return workspace

    def about(self) -> dict[str, Any]:
        """What the model is, for the head of the page."""
        model = self.model
        return {
            "model": Path(model.name).name,
            "family": model.arch.family,
            "layers": model.n_layers,
            "parameters": sum(parameter.numel() for parameter in model.hf.parameters()),
            "device": model.device.type,
        }

    def close(self) -> None:
        """Stop what runs and end the worker."""
        with self._lock:
            for workspace in self._workspaces.values():
                workspace.stop()
        self.worker.close()

    def _sweep(self) -> None:
        since = time.monotonic() - self._kept_seconds
        stale = [name for name, ws in self._workspaces.items() if ws.touched < since and not ws.busy]
        for name in stale:
            del self._workspaces[name]
