"""The model on its shelf, the thread that owns it, what it may be asked about, and everybody's workspaces."""

from __future__ import annotations

import logging
import math
import os
import random
import secrets
import threading
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import torch

from editlab import methods, probes
from editlab.errors import BadRequest, Cancelled, EditLabError
from editlab.facts import EditRequest, FactBase
from editlab.lab.access.downloads import Downloads
from editlab.lab.access.limits import Limits
from editlab.lab.access.uploads import Uploads
from editlab.lab.access.users import Users
from editlab.lab.asking.ways_back import Reversing
from editlab.lab.jobs.live import Questions
from editlab.lab.jobs.metrics import Service
from editlab.lab.jobs.rows import Jobs
from editlab.lab.jobs.worker import Cancel, Job, Progress, Work, Worker
from editlab.lab.ledger.expiry import forget
from editlab.lab.ledger.ledger import Ledger
from editlab.lab.model.benchmark import Benchmarking
from editlab.lab.model.loaded import Choice, Shelf
from editlab.lab.model.masks import MaskTraining
from editlab.lab.model.statistics import Measuring
from editlab.lab.workspaces.directory import Directory
from editlab.lab.workspaces.edit_files import EditFile, look_over
from editlab.lab.workspaces.monitor import Monitor
from editlab.lab.workspaces.scenarios import Scenario, read_scenarios
from editlab.lab.workspaces.workspace import Workspace
from editlab.model import LanguageModel, memory
from editlab.probes import Passages
from editlab.settings import Settings

T = TypeVar("T")

log = logging.getLogger(__name__)

KEPT_SECONDS = 6 * 3600.0
FORGET_SECONDS = 60.0
"""How often a demo looks for what nobody has opened for long."""
ANSWER_TOKENS = 32
MOST_SUGGESTIONS = 8
MOST_SESSIONS = 10_000
MOST_OPEN = 1_000
"""Workspaces in memory; the others come back from the ledger."""


class Lab:
    """Everything that people at work share. Without a `data` folder, what they do is forgotten with the lab."""

    def __init__(
        self,
        model: LanguageModel,
        facts: FactBase,
        passages: Passages,
        scenarios: tuple[Scenario, ...] = (),
        seed: int = 0,
        kept_seconds: float = KEPT_SECONDS,
        answer_tokens: int = ANSWER_TOKENS,
        data: Path | None = None,
        settings: Settings | None = None,
        watching: bool = False,
    ) -> None:
        self.facts, self.passages, self.scenarios, self.seed = facts, passages, scenarios, seed
        self.answer_tokens = answer_tokens
        self.settings = settings or Settings(model=model.name, quantization=model.quantization)
        self._scratch = TemporaryDirectory(prefix="editlab-") if data is None else None
        self.ledger = Ledger(data or Path(self._scratch.name))
        self.directory = Directory(self.ledger)
        chosen = Choice(self.settings.model, self.settings.quantization)
        self.shelf = Shelf(self, model, chosen, self.settings)
        self.limits = Limits(self.settings)
        idle = 60 * self.settings.idle_minutes
        self.worker = Worker(self.shelf.explained, idle, self.shelf.drop, memory.trim, self.limits.parked, self.limits.lane)
        self.worker.watchers.append(self._charge)
        self.mask_training, self.reversing, self.measuring = MaskTraining(self), Reversing(self), Measuring(self)
        self.questions = Questions(self)
        self.users = None if self.settings.auth is None else Users(self.settings.auth)
        self.service, self.jobs = Service(self), Jobs(self)
        self.monitor, self.downloads, self.uploads = Monitor(self, watching), Downloads(self), Uploads(self)
        self.benchmarking = Benchmarking(self)
        self._kept_seconds = kept_seconds
        self._workspaces: dict[tuple[str, str], Workspace] = {}
        self._began_with: dict[str, str] = {}
        self._closing = threading.Event()
        self._newcomers: dict[str, str] = {}
        self._lock = threading.Lock()
        if self.limits.expire_seconds is not None:
            threading.Thread(target=self._keep_forgetting, name="editlab-forgetting", daemon=True).start()

    @classmethod
    def open(cls, settings: Settings) -> Lab:
        """Load everything that the settings name. Raises `BadModel` or `BadFile` saying what is wrong."""
        _leave_a_core_free()
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
        scenarios = read_scenarios(settings.presets / "scenarios")
        return cls(
            model, facts, texts, scenarios, settings.seed, data=settings.data, settings=settings, watching=settings.check_ups
        )

    @property
    def model(self) -> LanguageModel:
        """The model; where it was dropped, this waits until it is loaded again."""
        return self.shelf.model

    def workspace(self, name: str, author: str = "") -> Workspace:
        """A workspace as the ledger has it, in the hands of somebody. Raises `BadFile` where the ledger was tampered with.

        What nobody touched for long leaves the memory; it comes back from the ledger.
        """
        name = name.encode("utf-8", "replace").decode("utf-8")
        fingerprint = self.model.fingerprint
        with self._lock:
            self._sweep()
            workspace = self._workspaces.get((name, author))
            if workspace is not None and workspace.fingerprint == fingerprint:
                workspace.refresh()
            else:
                workspace = self._workspaces[name, author] = Workspace(self, name, author)
            workspace.touched = time.monotonic()
            return workspace

    def opened(self, name: str) -> list[Workspace]:
        """A workspace in the hands of each who has it open."""
        return [workspace for (own, _), workspace in list(self._workspaces.items()) if own == name]

    def look_over(self, path: Path, name: str) -> EditFile:
        """Check every row of a file of edits for the model: `many.look_over`."""
        return look_over(self.model, path, name)

    def methods(self) -> tuple[methods.MethodInfo, ...]:
        """How an edit can be made, and what each method can be told, with this model's values."""
        return methods.offer(self.model, self.seed)

    def suggestions(self, request: EditRequest | str, subject: str) -> tuple[str, ...]:
        """At most 8 other objects of the relation that a request or prompt is about; () where the facts do not know it."""
        try:
            if isinstance(request, str):
                request = EditRequest.from_text(request, subject, "?")
            case = probes.case_for(replace(request, target_new="?", target_true=None), self.facts)
        except BadRequest:
            return ()
        objects = dict.fromkeys(fact.object for fact in self.facts.by_relation.get(case.relation or "", ()))
        others = [name for name in objects if name not in (case.request.target_true, request.target_true)]
        return tuple(random.Random(f"{self.seed}/{request.text}").sample(others, min(MOST_SUGGESTIONS, len(others))))

    def about(self) -> dict[str, Any]:
        """What the model is, for the head of the page; `memory`: bytes in use, `session`: of which start of EditLab."""
        shelf = self.shelf
        return {
            "model": Path(shelf.choice.name).name,
            **shelf.facts,
            "loaded": shelf.loaded,
            "memory": memory.used(shelf.device),
            "fingerprint": shelf.fingerprint,
            "session": self.ledger.session,
        }

    def knows(self, session: str) -> bool:
        """Whether a session of the page began with the model that is here now: then its page says what is true of it."""
        if len(self._began_with) > MOST_SESSIONS:
            self._began_with.pop(next(iter(self._began_with)))
        return self._began_with.setdefault(session, self.shelf.fingerprint) == self.shelf.fingerprint

    def owner(self, name: str) -> str:
        """Return the id that the work of whoever is logged in as `name` is kept under.

        It is another one for a name that was removed and given anew. Without a file of users, a name is its own id. Raises
        `BadRequest` for a name that is no user's.
        """
        if self.users is None:
            return name
        user = self.users.known.get(name)
        if user is None:
            raise BadRequest("Your login is no longer valid. Ask whoever runs this EditLab.")
        return user.id

    def newcomer(self, session: str) -> str:
        """The id of a visitor whose browser keeps none yet: nobody can guess it, and it is the same all along a session."""
        with self._lock:
            if len(self._newcomers) > MOST_SESSIONS:
                self._newcomers.pop(next(iter(self._newcomers)))
            return self._newcomers.setdefault(session, secrets.token_urlsafe(16))

    @property
    def workspaces(self) -> int:
        """How many workspaces are in memory."""
        return len(self._workspaces)

    def for_model(self, fingerprint: str, work: Work[T]) -> Work[T]:
        """The same work, which refuses to begin where another model has come by the time that its turn does."""

        def checked(progress: Progress, cancel: Cancel) -> T:
            if self.model.fingerprint != fingerprint:
                raise Cancelled(f"The model is now {self.about()['model']}. Nothing was asked or changed. Reload the page.")
            return work(progress, cancel)

        return checked

    def _charge(self, job: Job[Any]) -> None:
        """Count the model's time for whoever asked; what runs in the background gives way, so nobody pays for it."""
        if job.state not in ("waiting", "running") and not job.background:
            self.limits.ran(job.asker, job.ended - job.began)

    def renew(self) -> None:
        """Compute anew what depends on the model, and let the workspaces of the one before go; the ledger has them."""
        self.passages = probes.passages(self.model, self.settings.presets / "texts")
        self._workspaces = {}

    def close(self) -> None:
        """Stop what runs, end the worker and close the ledger."""
        self._closing.set()
        if self.shelf.loading is not None:
            self.shelf.loading.cancel()
        with self._lock:
            for workspace in self._workspaces.values():
                workspace.stop()
        self.worker.close()
        self.downloads.close()
        self.uploads.close()
        self.ledger.close()
        if self._scratch is not None:
            self._scratch.cleanup()

    def _sweep(self) -> None:
        since = time.monotonic() - self._kept_seconds
        idle = [(workspace.touched, key) for key, workspace in self._workspaces.items() if not workspace.busy]
        least = sorted(idle)[: max(0, len(self._workspaces) - MOST_OPEN)]
        for key in {key for touched, key in idle if touched < since} | {key for _, key in least}:
            del self._workspaces[key]

    def _keep_forgetting(self) -> None:
        """Delete what nobody has opened for long, whether anybody visits or not, until the lab is closed."""
        while not self._closing.wait(FORGET_SECONDS):
            try:
                forgotten = forget(self.ledger, self.limits.expire_seconds or math.inf)
            except EditLabError as error:
                log.warning({"event": "forgetting", "error": type(error).__name__})
                continue
            with self._lock:
                self._workspaces = {key: own for key, own in self._workspaces.items() if key[0] not in forgotten}


def _leave_a_core_free() -> None:
    """Compute on all cores but one: the page, and on a laptop the browser, need it.

    PyTorch's threads wait for each other at full speed. Where one of them has to share its core, all lose: on two cores with
    one of them busy, an answer of 0.2 s on one thread had not come after a minute on two.
    """
    torch.set_num_threads(max(1, min(torch.get_num_threads(), (os.cpu_count() or 2) - 1)))
