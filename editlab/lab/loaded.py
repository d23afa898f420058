"""The one model that is loaded: chosen, loaded, replaced by another one, and dropped when nobody asks it anything.

Everybody asks `Loaded.model`, which is in memory or is loaded again. Weights come and go on the worker's thread alone, so
that nothing is ever computed with half a model, and a model leaves only after everything was checked that can be.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from editlab.errors import BadRequest, Cancelled, DeviceLost, EditLabError
from editlab.lab.access.limits import Limits
from editlab.lab.kinds import Kind
from editlab.lab.worker import Cancel, Job, JobProgress, Work, Worker, let_go
from editlab.model import LanguageModel, memory
from editlab.model.devices import device_for
from editlab.model.plan import Plan, plan_for
from editlab.model.source import find
from editlab.model.weights import Quantization
from editlab.settings import Settings

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """A model as somebody asks for it; values as in `Settings`, which say the rest."""

    name: str
    quantization: Quantization = "none"


class Loaded:
    """The model of one lab, and the worker that owns it.

    `choice`: which model it is, in memory or not; `facts`: what it is, for the head of the page; `watchers` are called after
    another model has replaced it.
    """

    def __init__(self, worker: Worker, limits: Limits, model: LanguageModel, settings: Settings) -> None:
        self._worker, self._limits, self._settings = worker, limits, settings
        self.watchers: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._job: Job[Any] | None = None
        self._put(model, Choice(settings.model, settings.quantization))
        worker.explain, worker.idle = self.explain, self.drop

    @property
    def model(self) -> LanguageModel:
        """The model; where it was dropped, it is loaded first. Raises what loading raises."""
        while (model := self._model) is None:
            if self._worker.here:
                self._load(self.choice)
            else:
                job = self.wake()
                job.wait()
                if self._model is None:
                    job.result()
        return model

    @property
    def in_memory(self) -> bool:
        """Whether it can be asked without loading anything."""
        return self._model is not None

    @property
    def loading(self) -> Job[Any] | None:
        """The loading that waits or runs: a reloaded page follows it from here."""
        job = self._job
        return None if job is None or job.done else job

    @property
    def offers(self) -> tuple[str, ...]:
        """The names that anybody may choose from: the one that EditLab was started with, Atlas, and `Settings.models`."""
        return tuple(dict.fromkeys((self._settings.model, "atlas", *self._settings.models, self.choice.name)))

    @property
    def open(self) -> bool:
        """Whether any folder or hub id may be named: only where nobody but this computer's user reaches the page."""
        return self._settings.alone

    def plan(self, choice: Choice) -> Plan:
        """What a model takes, against what is free once the present one has left. Raises as `switch` and loading do."""
        self._refuse_strangers(choice)
        source = find(choice.name, self._settings)
        source.tokenizer()
        freed = 0 if self._model is None else _bytes_of(self._model)
        return plan_for(source, choice.quantization, self._settings.dtype, device_for(self._settings.device), freed=freed)

    def switch(self, choice: Choice, by: str = "") -> Job[str]:
        """Exchange the model for another one; its name. Failed or stopped, the one before is loaded again.

        Edits stay with the model that they were made on: whoever comes back to it finds them. The log says `by` whom it was
        exchanged, where that is known. Raises `BadRequest` for a name that is not offered, and while a model is being
        loaded; the job refuses first what can be refused.
        """
        self._refuse_strangers(choice)

        def work(progress: JobProgress, cancel: Cancel) -> str:
            progress(0.0, "model: does it fit?")
            plan = self.plan(choice)
            self._limits.check_model(choice.name, plan.parameters)
            plan.check()
            before = self.choice
            self.drop()
            try:
                self._load(choice, progress, cancel)
            except BaseException as error:
                let_go(error)
                memory.give_back()
                progress(0.0, f"model: {before.name} comes back")
                with suppress(EditLabError):  # then the next question tries again, and says why it fails
                    self._load(before)
                if isinstance(error, EditLabError):
                    raise type(error)(f"{error} {before.name} is there as before.") from error
                raise
            for changed in self.watchers:
                changed()
            log.info(self._change(choice, "loaded", by) | {"quantization": choice.quantization})
            return choice.name

        with self._lock:
            if self.loading is not None:
                raise BadRequest("A model is being loaded already. Wait for it, or press Stop.")
            self._job = self._worker.submit(work, Kind.MODEL)
            return self._job

    def wake(self) -> Job[Any]:
        """Load the model again where it was dropped; the loading that runs already, where one does."""

        def work(progress: JobProgress, cancel: Cancel) -> None:
            if self._model is None:
                self._load(self.choice, progress, cancel)

        with self._lock:
            if self.loading is None:
                self._job = self._worker.submit(work, Kind.MODEL)
            return self._job

    def unload(self, by: str = "") -> Job[None]:
        """Drop the weights until somebody asks the model again. The log says `by` whom, where that is known."""

        def work(progress: JobProgress, cancel: Cancel) -> None:
            self.drop()
            log.info(self._change(self.choice, "unloaded", by))

        return self._worker.submit(work, Kind.MODEL)

    def drop(self) -> None:
        """Give the model's memory back; for the worker's thread alone."""
        model, self._model = self._model, None
        if model is not None:
            model.memo.clear()
            del model.hf  # whoever still holds the model holds no weights
        del model
        memory.give_back()

    def explain(self, error: BaseException) -> BaseException:
        """An error of work as a person should hear of it. Memory that it held is given back."""
        if isinstance(error, EditLabError):
            return error
        if memory.out_of_memory(error):
            memory.give_back()
            return memory.too_little(error, self.device)
        if memory.poisoned(self.device):
            log.error("The device answers nothing any more", exc_info=error)
            return DeviceLost("The GPU stopped answering. EditLab starts again; your edits are kept.")
        return error

    def only_here(self, fingerprint: str, work: Work[T]) -> Work[T]:
        """Return the same work, which refuses to begin where another model has come by the time that its turn does."""

        def checked(progress: JobProgress, cancel: Cancel) -> Any:
            if self.model.fingerprint != fingerprint:
                raise Cancelled(f"The model is now {self.name}. Nothing was asked or changed. Reload the page.")
            return work(progress, cancel)

        return checked

    @property
    def name(self) -> str:
        """The model's name without its folder."""
        return Path(self.choice.name).name

    def _change(self, choice: Choice, what: str, by: str) -> dict[str, Any]:
        """A change as the log has it. Names that the operator did not give were typed on the page: they are not logged."""
        given = choice.name in (self._settings.model, "atlas", *self._settings.models)
        named = {"model": Path(choice.name).name} if given else {}
        return {"event": "model", "change": what, **named, "fingerprint": self.fingerprint} | ({"by": by} if by else {})

    def _refuse_strangers(self, choice: Choice) -> None:
        """Whoever comes over the network shall make this machine fetch nothing, nor tell which folders it has."""
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
            "layers": model.n_layers,
            "parameters": model.parameters,
            "precision": str(model.dtype).removeprefix("torch."),
            "quantization": model.quantization,
            "device": model.device.type,
            "chat": model.chat is not None,
            "validated": bool(model.preset.get("validated")),
            "measured": next(iter(model.preset.get("measured", {}).values()), {}),
        }
        self._model: LanguageModel | None = model


def _bytes_of(model: LanguageModel) -> int:
    """What leaves with a model's weights."""
    here = (tensor for tensor in chain(model.hf.parameters(), model.hf.buffers()) if not tensor.is_meta)
    return sum(tensor.numel() * tensor.element_size() for tensor in here)
