"""The loaded model: chosen, loaded, replaced by another one, and dropped while it is idle.

`Loaded.model` is in memory or is loaded again on access. Weights are loaded and dropped on the worker's thread alone, so
that nothing is computed with half a model. A model is dropped for another one only after all checks of that one have passed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from editlab.errors import BadRequest, Cancelled, DeviceLost, EditLabError
from editlab.lab.access.limits import RateLimits
from editlab.lab.job import Job, JobProgress, Parts, Work, clear_frames
from editlab.lab.kinds import Kind
from editlab.lab.worker import Worker
from editlab.model import LanguageModel, memory
from editlab.model.devices import device_for
from editlab.model.plan import Plan, plan_for
from editlab.model.source import find
from editlab.model.weights import Quantization
from editlab.settings import Settings
from editlab.wording import noop
from editlab.work import Cancel

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """The choice of a model and its quantization; the remaining options are those of `Settings`."""

    name: str
    quantization: Quantization = "none"


class Loaded:
    """The model of one lab, and the worker that owns it.

    `choice`: the chosen model, in memory or not; `facts`: its properties, for the head of the page; `watchers` are called
    after another model has replaced it, `leaving` on the worker's thread when it leaves the memory.
    """

    def __init__(self, worker: Worker, limits: RateLimits, model: LanguageModel, settings: Settings) -> None:
        self._worker, self._limits, self._settings = worker, limits, settings
        self.watchers: list[Callable[[], None]] = []
        self.leaving: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._job: Job[Any] | None = None
        self._put(model, Choice(settings.model, settings.quantization))
        worker.explain, worker.idle = self.explain, self.drop

    @property
    def model(self) -> LanguageModel:
        """The model. It is loaded first if it was dropped; raises what loading raises."""
        while (model := self._model) is None:
            if self._worker.is_current_thread:
                self._load(self.choice)
            else:
                job = self.wake()
                job.wait()
                if self._model is None:
                    job.result()
        return model

    @property
    def in_memory(self) -> bool:
        """Whether the model is in memory."""
        return self._model is not None

    def holds(self, model: LanguageModel | None) -> bool:
        """Whether this very model is in memory, not another one and not the same one loaded again."""
        return self._model is model

    @property
    def loading(self) -> Job[Any] | None:
        """The loading that waits or runs, so that a reloaded page can follow it."""
        job = self._job
        return None if job is None or job.done else job

    @property
    def offers(self) -> tuple[str, ...]:
        """The models that every visitor may choose: that of `Settings.model`, Atlas, and `Settings.models`."""
        return tuple(dict.fromkeys((self._settings.model, "atlas", *self._settings.models, self.choice.name)))

    @property
    def open(self) -> bool:
        """Whether any folder or hub id may be chosen: only if nobody but the user of this computer can reach the page."""
        return self._settings.single_user

    def plan(self, choice: Choice) -> Plan:
        """Return what a model needs, against what is free without the loaded one. Raises as `switch` and loading do."""
        self._check_offered(choice)
        source = find(choice.name, self._settings)
        source.tokenizer()
        freed = 0 if self._model is None else _bytes_of(self._model)
        return plan_for(source, choice.quantization, self._settings.dtype, device_for(self._settings.device), freed=freed)

    def switch(self, choice: Choice, by: str = "") -> Job[str]:
        """Return a job that replaces the model. Its result is the new name.

        If it fails or is stopped, the old model is loaded again. Edits stay with their model and are there when it is loaded
        again. `by`: the name of the user, for the log. Raises `BadRequest` for a name that is not offered, and while a model
        is being loaded. The job makes all checks before it drops the old model.
        """
        self._check_offered(choice)

        def work(progress: JobProgress, cancel: Cancel) -> str:
            progress(0.0, "model: check the memory")
            plan = self.plan(choice)
            self._limits.check_model(choice.name, plan.parameters)
            plan.check()
            before = self.choice
            self.drop()
            try:
                self._load(choice, progress, cancel)
            except BaseException as error:
                clear_frames(error)
                memory.give_back()
                progress(0.0, f"model: load {before.name} again")
                with suppress(EditLabError):  # then the next question tries again and says why it fails
                    self._load(before)
                if isinstance(error, EditLabError):
                    raise type(error)(noop(f"{error} Now {before.name} is loaded again.")) from error
                raise
            for changed in self.watchers:
                changed()
            log.info(self._change(choice, "loaded", by) | {"quantization": choice.quantization})
            return choice.name

        with self._lock:
            if self.loading is not None:
                raise BadRequest("A model is already being loaded. Wait, or press Stop.")
            self._job = self._worker.submit(work, Kind.MODEL)
            return self._job

    def wake(self) -> Job[Any]:
        """Return a job that loads the model again if it was dropped; a loading that runs already is returned instead."""

        def work(progress: JobProgress, cancel: Cancel) -> None:
            if self._model is None:
                self._load(self.choice, progress, cancel)

        with self._lock:
            if self.loading is None:
                self._job = self._worker.submit(work, Kind.MODEL)
            return self._job

    def unload(self, by: str = "") -> Job[None]:
        """Return a job that drops the weights until the model is used again. `by`: the name of the user, for the log."""

        def work(progress: JobProgress, cancel: Cancel) -> None:
            self.drop()
            log.info(self._change(self.choice, "unloaded", by))

        return self._worker.submit(work, Kind.MODEL)

    def drop(self) -> None:
        """Free the model's memory. For the worker's thread alone."""
        model, self._model = self._model, None
        if model is not None:
            for leave in self.leaving:
                leave()
            model.memo.clear()
            del model.hf  # so that a reference to the model does not keep the weights
        del model
        memory.give_back()

    def explain(self, error: BaseException) -> BaseException:
        """Return an error as the visitor should read it. Memory that it held is freed."""
        if isinstance(error, EditLabError):
            return error
        if memory.out_of_memory(error):
            memory.give_back()
            return memory.too_little(error, self.device)
        if memory.poisoned(self.device):
            log.error("The device has stopped answering", exc_info=error)
            return DeviceLost("The GPU stopped answering. EditLab restarts; your edits are kept.")
        return error

    def only_here(self, fingerprint: str, work: Work[T], reloads: bool = False) -> Work[T]:
        """Return the same work, which raises `Cancelled` if another model is loaded by the time it starts.

        Work in parts raises it before any of them, and also where the model was unloaded between two of them, because what
        they keep of it is gone; `reloads`: they keep nothing of it, and go on with the same model loaded again.
        """

        def checked(progress: JobProgress, cancel: Cancel) -> Any:
            model = self.model
            self._refuse_other(fingerprint)
            result = work(progress, cancel)
            return self._parts(fingerprint, None if reloads else model, result) if isinstance(result, Generator) else result

        return checked

    def _parts(self, fingerprint: str, model: LanguageModel | None, parts: Parts[T]) -> Parts[T]:
        """Do parts of work as long as the model of a fingerprint is the chosen one, and a `model` in memory."""
        with closing(parts):
            while True:
                self._refuse_other(fingerprint)
                if model is not None and not self.holds(model):
                    raise Cancelled("The model was unloaded before this was complete. Nothing was changed. Try again.")
                try:
                    next(parts)
                except StopIteration as end:
                    return end.value
                yield

    def _refuse_other(self, fingerprint: str) -> None:
        """Raise `Cancelled` where the chosen model has another fingerprint."""
        if self.fingerprint != fingerprint:
            raise Cancelled(f"The model is now {self.name}. Nothing was asked or changed. Reload the page.")

    @property
    def name(self) -> str:
        """The model's name without its folder."""
        return Path(self.choice.name).name

    def _change(self, choice: Choice, what: str, by: str) -> dict[str, Any]:
        """Return a change as a log entry, without names that were typed on the page."""
        configured = choice.name in (self._settings.model, "atlas", *self._settings.models)
        name = {"model": Path(choice.name).name} if configured else {}
        return {"event": "model", "change": what, **name, "fingerprint": self.fingerprint} | ({"by": by} if by else {})

    def _check_offered(self, choice: Choice) -> None:
        """Raise `BadRequest` for a choice by which a remote visitor could fetch files or find out about folders here."""
        if choice.name not in self.offers and not self.open:
            raise BadRequest(f"{choice.name!r} is not offered here. Choose one of: {', '.join(self.offers)}.")

    def _load(
        self,
        choice: Choice,
        progress: JobProgress | None = None,
        cancel: Cancel = lambda: False,
    ) -> None:
        model = LanguageModel.load(
            choice.name,
            quantization=choice.quantization,
            dtype=self._settings.dtype,
            device=self._settings.device,
            seed=self._settings.seed,
            settings=self._settings,
            progress=progress or (lambda _fraction, _text: None),
            cancel=cancel,
        )
        if cancel():
            raise Cancelled("Stopped while the model was loaded.")
        self._put(model, choice)

    def _put(self, model: LanguageModel, choice: Choice) -> None:
        self.choice, self.device, self.fingerprint = choice, model.device, model.fingerprint
        self.facts = {
            "family": model.arch.family,
            "made": model.made,
            "layers": model.n_layers,
            "parameters": model.parameters,
            "precision": str(model.dtype).removeprefix("torch."),
            "quantization": model.quantization,
            "device": model.device.type,
            "start": f"{model.tokenizer.decode(model.tok.encode(''))}{'␣' if model.start.space else ''}".replace("\n", "↵"),
            "start_chosen": bool(model.start),
            "chat": model.chat is not None,
            "validated": bool(model.preset.get("validated")),
            "measured": next(iter(model.preset.get("measured", {}).values()), {}),
        }
        self._model: LanguageModel | None = model


def _bytes_of(model: LanguageModel) -> int:
    """Return the bytes of a model's weights."""
    here = (tensor for tensor in chain(model.hf.parameters(), model.hf.buffers()) if not tensor.is_meta)
    return sum(tensor.numel() * tensor.element_size() for tensor in here)
