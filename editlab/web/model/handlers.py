"""What happens on the Model tab: which model is asked, whether another one fits, and what is known of its keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from editlab.errors import BadRequest
from editlab.lab import Choice, Job, Measured
from editlab.lab.access.limits import FREE, Cost
from editlab.lab.worker import stop_job
from editlab.web.core import render
from editlab.web.core.forms import settings_of
from editlab.web.core.handlers import Handlers, Update, Updates, handler
from editlab.web.core.uploads import read_text
from editlab.web.model import words

LONGEST_NAME = 500


class ModelHandlers(Handlers):
    """The handlers of the Model tab and of the strip above all tabs. They concern everybody who has the page open."""

    def ready(self, request: gr.Request) -> Updates:
        """Nothing here needs the weights to be there."""
        yield from ()

    @handler(FREE)
    def model_open(self, visitor: Any, request: gr.Request) -> Updates:
        """A page was opened. Updates: the strip, the choices, the methods' settings, form, the plan; what loads."""
        loaded = self.lab.loaded
        yield {
            **self._strip(),
            "model-name": gr.update(choices=offered(loaded.offers), value=loaded.choice.name),
            "model-quantization": loaded.choice.quantization,
            **self._can(),
        }
        yield {
            **{f"{method}-{setting.name}": shown(setting.default) for method, setting in settings_of(self.lab.methods())},
            "form": gr.update(visible=loaded.facts["chat"], value=self.workspace(visitor, request).form),
        }
        for job in (loaded.loading, self.lab.statistics.running):
            if job is not None:
                yield from self.follow(self.lab.worker, job)
        yield {"progress": "", **self._strip(), **self._can()}
        yield self._planned(loaded.choice.name, "", loaded.choice.quantization)

    @handler(Cost(prompts=20))
    def model_look(self, visitor: Any, request: gr.Request) -> Updates:
        """The tab was opened. Updates: what is known of the model's keys and, where that is nothing, what it would take."""
        yield from super().ready(request)
        workspace = self.workspace(visitor, request)
        yield self._known(self.lab.statistics.known)
        if self.lab.statistics.missing and self.lab.statistics.running is None:
            job = self.lab.statistics.cost(workspace)
            yield from self.follow(self.lab.worker, job)
            yield {"model-cost": render.message(words.cost(job.result()), "hint"), "progress": ""}

    @handler(Cost(prompts=5))
    def model_plan(self, visitor: Any, name: Any, folder: Any, quantization: Any, request: gr.Request) -> Updates:
        """Another model or precision was chosen. Inputs: model-name, model-folder, model-quantization. Updates: the plan."""
        yield self._planned(name, folder, quantization)

    @handler(Cost(refused="The model cannot be exchanged"))
    def model_load(self, visitor: Any, name: Any, folder: Any, quantization: Any, request: gr.Request) -> Updates:
        """Exchange the model, for everybody. Inputs as `model_plan`. Updates: message, progress; the page then reloads."""
        choice = read_choice(name, folder, quantization)
        job = self.lab.loaded.switch(choice, self.by(request))
        yield {"message": render.message(f"Loading {short(choice.name)}. Nobody can ask anything meanwhile."), **self._can()}
        yield from self.follow(self.lab.worker, job)
        told = f"The model is now {short(job.result())}. The page opens anew; the edits of the one before are kept."
        yield {"message": render.message(told), "progress": "", **self._can()}

    @handler(Cost(refused="The model cannot be unloaded"))
    def model_unload(self, visitor: Any, request: gr.Request) -> Updates:
        """Give the memory back until somebody asks again. Updates: message, the strip."""
        job = self.lab.loaded.unload(self.by(request))
        yield from self.follow(self.lab.worker, job)
        job.result()
        told = "The model has left the memory. The next question loads it again; edits are kept."
        yield {"message": render.message(told), "progress": "", **self._strip(), **self._can()}

    @handler(Cost(refused="Key statistics cannot be measured"))
    def model_measure(self, visitor: Any, request: gr.Request) -> Updates:
        """Measure key statistics on text that the model writes. Updates: message, progress, what is known of the keys."""
        yield from self._measured(visitor, request, None)

    @handler(Cost(refused="Key statistics cannot be measured"))
    def model_file(self, visitor: Any, file: Any, request: gr.Request) -> Updates:
        """The same on a text file of the visitor's. Input: model-file. Updates as `model_measure`."""
        yield from self._measured(visitor, request, read_text(None if file is None else Path(file)))

    @handler(Cost(refused="What others started cannot be stopped"))
    def model_stop(self, visitor: Any, request: gr.Request) -> Updates:
        """Stop what loads or is measured, whoever began it. Updates: message; the stopped handler says the rest."""
        running = [job for job in (self.lab.loaded.loading, self.lab.statistics.running) if job is not None]
        for job in running:
            stop_job(job, self.by(request))
        yield self.stopping(bool(running))

    # --- parts ------------------------------------------------------------------------------------------------------

    def _measured(self, visitor: Any, request: gr.Request, text: str | None) -> Updates:
        yield from super().ready(request)
        job: Job[tuple[Measured, ...]] = self.lab.statistics.measure(self.workspace(visitor, request), text)
        yield {"message": render.message("Measuring. Questions wait meanwhile."), **self._can()}
        yield from self.follow(self.lab.worker, job)
        known = job.result()
        yield {"message": render.message("Key statistics are measured and kept."), "progress": "", "model-cost": ""}
        yield {**self._known(known), **self._can()}

    def _known(self, known: tuple[Measured, ...]) -> Update:
        return {"model-statistics": render.message(words.statistics(known, self.lab.statistics.missing), "finding")}

    def _planned(self, name: Any, folder: Any, quantization: Any) -> Update:
        choice = read_choice(name, folder, quantization)
        said = self.lab.loaded.plan(choice).sentence().replace(choice.name, short(choice.name), 1)
        return {"model-plan": render.message(said, "finding"), "message": ""}

    def _strip(self) -> Update:
        return {"head": words.head(self.lab.about())}

    def _can(self) -> Update:
        """What can be pressed now."""
        loading, measuring = self.lab.loaded.loading is not None, self.lab.statistics.running is not None
        return {
            "model-load": gr.update(interactive=not loading),
            "model-unload": gr.update(interactive=not loading and self.lab.loaded.in_memory),
            "model-measure": gr.update(interactive=not measuring),
            "stop": gr.update(interactive=loading or measuring),
        }

    def _buttons_if_known(self, visitor: Any, request: gr.Request) -> Update:
        return self._can()


def read_choice(name: Any, folder: Any, quantization: Any) -> Choice:
    """What was chosen; what was typed goes before what was picked. Raises `BadRequest`."""
    wanted = (folder or "").strip() or name
    if not isinstance(wanted, str) or not 0 < len(wanted) <= LONGEST_NAME:
        raise BadRequest("No model is chosen. Choose one, or write a folder or a hub id.")
    if quantization not in words.QUANTIZATIONS:
        raise BadRequest(f"Precision {quantization!r} is unknown. Choose one of: {', '.join(words.QUANTIZATIONS)}.")
    return Choice(wanted, quantization)


def shown(default: Any) -> Any:
    """A setting's value as its field shows it: yes or no as a box, the rest as text."""
    return default if isinstance(default, bool) else str(default)


def offered(names: Sequence[str]) -> list[tuple[str, str]]:
    """Models to choose from: of a folder only its own name is shown."""
    return [(short(name), name) for name in names]


def short(name: str) -> str:
    """A model's name without the folders that it lies in."""
    return Path(name).name if Path(name).is_absolute() else name
