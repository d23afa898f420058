"""A lab: the model that is loaded, the ledger, everybody's workspaces, and the services around them."""

from __future__ import annotations

import logging
import math
import os
import secrets
import threading
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from editlab import methods, probes
from editlab.errors import BadRequest, EditLabError
from editlab.facts import FactBase
from editlab.lab.access.downloads import Downloads
from editlab.lab.access.limits import Limits
from editlab.lab.access.uploads import Uploads
from editlab.lab.access.users import Users
from editlab.lab.context import Context
from editlab.lab.jobs.live import LiveQuestions
from editlab.lab.jobs.metrics import Metrics
from editlab.lab.jobs.rows import Jobs
from editlab.lab.kinds import Kind
from editlab.lab.ledger.directory import Directory
from editlab.lab.ledger.expiry import forget
from editlab.lab.ledger.ledger import Ledger
from editlab.lab.loaded import Loaded
from editlab.lab.model import benchmarks
from editlab.lab.model.masks import MaskTraining
from editlab.lab.model.statistics import KeyStatistics
from editlab.lab.worker import Job, Worker
from editlab.lab.workspaces import edit_files, edits
from editlab.lab.workspaces.edit_files import EditFile
from editlab.lab.workspaces.monitor import Monitor
from editlab.lab.workspaces.open import KEPT_SECONDS, Workspaces
from editlab.lab.workspaces.scenarios import Scenario, read_scenarios
from editlab.lab.workspaces.workspace import Workspace
from editlab.model import LanguageModel, memory
from editlab.probes import Passages
from editlab.settings import Settings

log = logging.getLogger(__name__)

FORGET_SECONDS = 60.0
"""How often a demo looks for what nobody has opened for long."""
ANSWER_TOKENS = 32
MOST_SESSIONS = 10_000


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
        self.settings = settings = settings or Settings(model=model.name, quantization=model.quantization)
        self.scenarios = scenarios
        self._scratch = TemporaryDirectory(prefix="editlab-") if data is None else None
        self.ledger = Ledger(data or Path(self._scratch.name))
        self.directory = Directory(self.ledger)
        self.limits = Limits(settings)
        self.worker = Worker(60 * settings.idle_minutes, memory.trim, self.limits.parked, self.limits.lane)
        self.worker.watchers.append(self._charge)
        self.loaded = Loaded(self.worker, self.limits, model, settings)
        self.context = Context(
            settings=settings,
            ledger=self.ledger,
            directory=self.directory,
            worker=self.worker,
            limits=self.limits,
            loaded=self.loaded,
            facts=facts,
            passages=passages,
            seed=seed,
            answer_tokens=answer_tokens,
            live=LiveQuestions(self.worker, self.loaded, answer_tokens),
        )
        self.loaded.watchers.append(self.context.renew)
        self.workspaces = Workspaces(self.context, kept_seconds)
        self.monitor = Monitor(self.context, watching)
        self.masks, self.statistics = MaskTraining(self.context, scenarios), KeyStatistics(self.context)
        self.metrics = Metrics(self.worker, self.loaded, self.ledger, self.workspaces)
        self.jobs = Jobs(self.ledger, self.directory, self.worker)
        self.jobs.resumes |= {
            Kind.EDITS: self._resume_edits,
            Kind.MASK: self._resume_mask,
            Kind.STATISTICS: self._resume_statistics,
            Kind.BENCH: self._resume_benchmark,
        }
        self.downloads, self.uploads = Downloads(self.ledger, self.directory), Uploads(self.ledger)
        self.users = None if settings.auth is None else Users(settings.auth)
        self._began_with: dict[str, str] = {}
        self._newcomers: dict[str, str] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
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
        return self.loaded.model

    @property
    def facts(self) -> FactBase:
        """What is known around edits."""
        return self.context.facts

    def workspace(self, name: str, author: str = "") -> Workspace:
        """Return a workspace in the hands of an author: `Workspaces.open`."""
        return self.workspaces.open(name, author)

    def look_over(self, path: Path, name: str) -> EditFile:
        """Check every row of a file of edits for the model: `edit_files.look_over`."""
        return edit_files.look_over(self.model, path, name)

    def methods(self) -> tuple[methods.MethodInfo, ...]:
        """Return how an edit can be made, and the settings of each method with this model's values."""
        return methods.offer(self.model, self.context.seed)

    def about(self) -> dict[str, Any]:
        """Return what the model is, for the head of the page; `memory`: bytes in use, `session`: this start of EditLab."""
        loaded = self.loaded
        return {
            "model": loaded.name,
            **loaded.facts,
            "loaded": loaded.in_memory,
            "memory": memory.used(loaded.device),
            "fingerprint": loaded.fingerprint,
            "session": self.ledger.session,
        }

    def knows(self, session: str) -> bool:
        """Whether a session of the page began with the model that is here now: then its page says what is true of it."""
        if len(self._began_with) > MOST_SESSIONS:
            self._began_with.pop(next(iter(self._began_with)))
        return self._began_with.setdefault(session, self.loaded.fingerprint) == self.loaded.fingerprint

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

    def close(self) -> None:
        """Stop what runs, end the worker and close the ledger."""
        self._closing.set()
        if self.loaded.loading is not None:
            self.loaded.loading.cancel()
        self.workspaces.stop()
        self.worker.close()
        self.downloads.close()
        self.uploads.close()
        self.ledger.close()
        if self._scratch is not None:
            self._scratch.cleanup()

    def _charge(self, job: Job[Any]) -> None:
        """Count the model's time for the visitor; what runs in the background gives way, so nobody pays for it."""
        if job.state not in ("waiting", "running") and not job.background:
            self.limits.ran(job.asker, job.seconds)

    def _resume_edits(self, workspace: Workspace, request: Mapping[str, Any]) -> Job[Any]:
        file = self.look_over(self.ledger.files.path(request["file"]), request["name"])
        return edits.apply_many(workspace, file, request["method"], request["config"], request["batch"], request["reason"])

    def _resume_mask(self, workspace: Workspace, request: Mapping[str, Any]) -> Job[Any]:
        return self.masks.train(workspace, request["method"])

    def _resume_statistics(self, workspace: Workspace, request: Mapping[str, Any]) -> Job[Any]:
        text = request.get("text")
        return self.statistics.measure(workspace, text and self.ledger.files.read(text).decode("utf-8"))

    def _resume_benchmark(self, workspace: Workspace, request: Mapping[str, Any]) -> Job[Any]:
        settings = {name: request[name] for name in ("name", "method", "rep", "limit")}
        return benchmarks.run(workspace, self.ledger.files.read(request["file"]), **settings)

    def _keep_forgetting(self) -> None:
        """Delete what nobody has opened for long, whether anybody visits or not, until the lab is closed."""
        while not self._closing.wait(FORGET_SECONDS):
            try:
                forgotten = forget(self.ledger, self.limits.expire_seconds or math.inf)
            except EditLabError as error:
                log.warning({"event": "forgetting", "error": type(error).__name__})
                continue
            self.workspaces.forget(forgotten)


def _leave_a_core_free() -> None:
    """Compute on all cores but one: the page, and on a laptop the browser, need it.

    PyTorch's threads wait for each other at full speed. Where one of them has to share its core, all lose: on two cores with
    one of them busy, an answer of 0.2 s on one thread had not come after a minute on two.
    """
    torch.set_num_threads(max(1, min(torch.get_num_threads(), (os.cpu_count() or 2) - 1)))
