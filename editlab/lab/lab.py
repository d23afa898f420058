"""A lab: the loaded model, the ledger, all visitors' workspaces, and the services around them."""

from __future__ import annotations

import logging
import math
import os
import secrets
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from editlab import methods, probes
from editlab.errors import BadRequest
from editlab.facts import FactBase
from editlab.lab.access.downloads import Downloads
from editlab.lab.access.limits import RateLimits
from editlab.lab.access.tokens import Tokens
from editlab.lab.access.uploads import Uploads
from editlab.lab.access.users import Users
from editlab.lab.context import Context
from editlab.lab.job import Job
from editlab.lab.jobs.completions import Completions
from editlab.lab.jobs.drafts import Drafts
from editlab.lab.jobs.live import LiveQuestions
from editlab.lab.jobs.metrics import Metrics
from editlab.lab.jobs.rows import Jobs
from editlab.lab.jobs.shared import Shared
from editlab.lab.kinds import Kind
from editlab.lab.ledger.directory import Directory
from editlab.lab.ledger.expiry import forget
from editlab.lab.ledger.ledger import Ledger
from editlab.lab.loaded import Loaded
from editlab.lab.model import benchmarks
from editlab.lab.model.knowledge import ModelKnowledge
from editlab.lab.model.masks import MaskTraining
from editlab.lab.model.preparation import Preparation
from editlab.lab.model.statistics import KeyStatistics
from editlab.lab.worker import Worker
from editlab.lab.workshops import Workshops
from editlab.lab.workspaces import edit_files, edits
from editlab.lab.workspaces.edit_files import EditFile
from editlab.lab.workspaces.examples import Example, read_examples
from editlab.lab.workspaces.monitor import Monitor
from editlab.lab.workspaces.open import KEPT_SECONDS, Workspaces
from editlab.lab.workspaces.workspace import Workspace
from editlab.model import LanguageModel, memory
from editlab.patches import Form
from editlab.probes import Passages
from editlab.settings import Settings

log = logging.getLogger(__name__)

FORGET_SECONDS = 60.0
"""How often a demo looks for workspaces to delete."""
ANSWER_TOKENS = 32
MOST_SESSIONS = 10_000
"""Sessions of the page whose model and visitor are remembered."""


class Lab:
    """Everything that visitors share. Without a `data` folder, all work is deleted when the lab closes."""

    def __init__(
        self,
        model: LanguageModel,
        facts: FactBase,
        passages: Passages,
        examples: tuple[Example, ...] = (),
        seed: int = 0,
        kept_seconds: float = KEPT_SECONDS,
        answer_tokens: int = ANSWER_TOKENS,
        data: Path | None = None,
        settings: Settings | None = None,
        watching: bool = False,
        measuring: bool = False,
    ) -> None:
        self.settings = settings = settings or Settings(model=model.name, quantization=model.quantization)
        self.examples = examples
        self._scratch = TemporaryDirectory(prefix="editlab-") if data is None else None
        self.ledger = Ledger(data or Path(self._scratch.name))
        self.directory = Directory(self.ledger)
        self.limits = RateLimits(settings)
        self.worker = Worker(60 * settings.idle_minutes, memory.trim, self.limits.most_parked, self.limits.lane)
        self.worker.watchers.append(self._charge)
        self.loaded = Loaded(self.worker, self.limits, model, settings)
        shared = Shared()
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
            live=LiveQuestions(self.worker, self.loaded, answer_tokens, shared),
            completions=Completions(self.worker, self.loaded),
            shared=shared,
            drafts=Drafts(self.ledger),
        )
        self.loaded.watchers.append(self.context.renew)
        self.workspaces = Workspaces(self.context, kept_seconds)
        self.users = None if settings.auth is None else Users(settings.auth)
        self.tokens = None if self.users is None else Tokens(self.users)
        self.workshops = Workshops(self.context, self.workspaces, self.users)
        self.monitor = Monitor(self.context, watching)
        self.masks, self.statistics = MaskTraining(self.context, examples), KeyStatistics(self.context, measuring)
        self.knowledge = ModelKnowledge(self.context, examples)
        self._preparation = Preparation(self.context)
        self.metrics = Metrics(self.worker, self.loaded, self.ledger, self.workspaces)
        self.jobs = Jobs(self.ledger, self.directory, self.worker)
        self.jobs.resumes |= {
            Kind.EDITS: self._resume_edits,
            Kind.MASK: self._resume_mask,
            Kind.STATISTICS: self._resume_statistics,
            Kind.BENCH: self._resume_benchmark,
        }
        self.downloads, self.uploads = Downloads(self.ledger, self.directory), Uploads(self.ledger)
        self._first_model = lru_cache(MOST_SESSIONS)(lambda session: self.loaded.fingerprint)
        self._visitor_id = lru_cache(MOST_SESSIONS)(lambda session: secrets.token_urlsafe(16))
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self.shown: set[str] = set()  # workspaces that the owner of this process opens: a link to them asks nothing
        if self.limits.expire_seconds is not None:
            threading.Thread(target=self._expire, name="editlab-expiry", daemon=True).start()

    @classmethod
    def open(cls, settings: Settings) -> Lab:
        """Load the model and the data that the settings name. Raises `BadModel` or `BadFile`."""
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
        examples = read_examples(settings.presets / "examples")
        return cls(
            model,
            facts,
            texts,
            examples,
            settings.seed,
            data=settings.data,
            settings=settings,
            watching=settings.check_ups,
            measuring=settings.measure_statistics,
        )

    def prepare(self) -> None:
        """Do in the background what the first edits would wait for, where the lab was made with `measuring`."""
        if self.statistics.measuring:
            self._preparation.begin()
        self.statistics.begin()

    @property
    def model(self) -> LanguageModel:
        """The model. Where it was dropped from memory, this waits until it is loaded again."""
        return self.loaded.model

    @property
    def facts(self) -> FactBase:
        """The facts around edits."""
        return self.context.facts

    def workspace(self, name: str, author: str = "") -> Workspace:
        """Open a workspace for an author: see `Workspaces.open`."""
        return self.workspaces.open(name, author)

    def read_edit_file(self, path: Path, name: str, proposals: bool = False) -> EditFile:
        """Read a file of edits and check its rows for the model: see `edit_files.read_edit_file`."""
        return edit_files.read_edit_file(self.model, path, name, self.facts, proposals)

    def chat_question(self, messages: Sequence[Mapping[str, str]]) -> tuple[str, Form]:
        """Return the last message of a chat and what stands around it: see `LanguageModel.chat_question`."""
        return self.model.chat_question(messages)

    def methods(self) -> tuple[methods.MethodInfo, ...]:
        """Return the methods, with their settings' values for this model."""
        return methods.offer(self.model, self.context.seed)

    def about(self) -> dict[str, Any]:
        """Return the model's description for the page; `memory`: bytes in use, `session`: the id of this process."""
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
        """Return whether a session of the page began with the model that is loaded now, which its page describes."""
        return self._first_model(session) == self.loaded.fingerprint

    def owner(self, name: str) -> str:
        """Return the id of a user, under which their work is stored.

        A name that was removed and added again has a new id. Without a file of users, a name is its own id. Raises
        `BadRequest` where there is no such user.
        """
        if self.users is None:
            return name
        user = self.users.by_name.get(name)
        if user is None:
            raise BadRequest("Your login is no longer valid. Ask the operator of this EditLab.")
        return user.id

    def new_visitor_id(self, session: str) -> str:
        """Return a random id for a visitor whose browser keeps none yet. It stays the same for a session."""
        with self._lock:
            return self._visitor_id(session)

    def close(self) -> None:
        """Stop all jobs, end the worker and close the ledger."""
        self._closing.set()
        if self.loaded.loading is not None:
            self.loaded.loading.cancel()
        self.workspaces.stop()
        self.worker.close()
        self.downloads.close()
        self.uploads.close()
        self.context.drafts.close()
        self.ledger.close()
        if self._scratch is not None:
            self._scratch.cleanup()

    def _charge(self, job: Job[Any]) -> None:
        """Count the model's time of a job that has ended for its visitor. Jobs in the background are free."""
        if job.state not in ("waiting", "running") and not job.background:
            self.limits.count_seconds(job.asker, job.seconds)

    def _resume_edits(self, workspace: Workspace, request: Mapping[str, Any]) -> Job[Any]:
        file = self.read_edit_file(self.ledger.files.path(request["file"]), request["name"], request.get("proposals", False))
        return edits.apply_many(workspace, file, request["method"], request["config"], request["batch"], request["reason"])

    def _resume_mask(self, workspace: Workspace, request: Mapping[str, Any]) -> Job[Any]:
        return self.masks.train(workspace, request["method"])

    def _resume_statistics(self, workspace: Workspace, request: Mapping[str, Any]) -> Job[Any]:
        text = request.get("text")
        return self.statistics.measure(workspace, text and self.ledger.files.read(text).decode("utf-8"))

    def _resume_benchmark(self, workspace: Workspace, request: Mapping[str, Any]) -> Job[Any]:
        settings = {name: request[name] for name in ("name", "method", "rep", "limit")}
        return benchmarks.run(workspace, self.ledger.files.read(request["file"]), **settings)

    def _expire(self) -> None:
        """Delete workspaces that nobody has opened for long, until the lab is closed."""
        while not self._closing.wait(FORGET_SECONDS):
            try:
                forget(self.ledger, self.limits.expire_seconds or math.inf, self.workspaces.drop)
            except Exception as error:  # the next round tries again
                log.warning({"event": "forgetting", "error": type(error).__name__})


def _leave_a_core_free() -> None:
    """Let PyTorch use all cores but one, which the page and, on a laptop, the browser need.

    PyTorch's threads wait for each other in a busy loop, so one thread that shares its core delays all: on two cores of
    which one was busy, an answer that takes 0.2 s on one thread took more than a minute on two.
    """
    torch.set_num_threads(max(1, min(torch.get_num_threads(), (os.cpu_count() or 2) - 1)))
