"""The handlers of the Model tab: the loaded model, the memory plan of another one, and key statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

import gradio as gr
from pydantic import Field

from editlab.errors import BadRequest
from editlab.lab import Choice, Job, Measured
from editlab.lab.access.limits import FREE, Cost
from editlab.lab.job import stop_job
from editlab.web.core.components import folded
from editlab.web.core.handlers import Handlers, handler
from editlab.web.core.html import pieces, render
from editlab.web.core.inputs import Inputs, ModelName, Upload
from editlab.web.core.language import gettext as _
from editlab.web.core.language import noop
from editlab.web.core.updates import Update, Updates, follow, stopping
from editlab.web.core.uploads import read_text
from editlab.web.core.visit import Visit
from editlab.web.core.wording import tell
from editlab.web.model import words
from editlab.web.model.words import short_name

Quantization = Literal["none", "8bit", "4bit"]


class ModelChoice(Inputs):
    """The chosen model and its precision. A folder or hub id that was typed takes precedence over the list."""

    name: Annotated[ModelName, Field(alias="model-name")]
    folder: Annotated[ModelName, Field(alias="model-folder")]
    quantization: Annotated[Quantization, Field(alias="model-quantization")]


class ModelHandlers(Handlers):
    """The handlers of the Model tab and of the head of the page. What they change concerns all users."""

    def ready(self, visit: Visit) -> Updates:
        """Wait for nothing. Handlers that need the model wait themselves."""
        yield from ()

    @handler(cost=FREE)
    def model_open(self, visit: Visit) -> Updates:
        """Fill in what depends on the model when a page is opened, and follow a loading or a measurement that runs.

        Key statistics that are missing are measured from now on, in the background.
        """
        loaded = self.lab.loaded
        yield {
            **self._head(),
            "model-name": gr.update(choices=choices(loaded.offers), value=loaded.choice.name),
            "model-quantization": loaded.choice.quantization,
            "model-choice-fold": folded(
                _(words.TITLES["model"]), words.choice_title(sum(name != loaded.choice.name for name in loaded.offers))
            ),
            **self._enabled(),
        }
        yield {"form": gr.update(visible=loaded.facts["chat"], value=visit.workspace.form)}
        if loaded.loading is not None:
            yield from follow(self.lab.worker, loaded.loading)
        yield self._plan(loaded.choice)
        self.lab.prepare()
        if (measuring := self.lab.statistics.running) is not None:
            yield self._enabled()
            yield from follow(self.lab.worker, measuring)
        yield {"progress": "", **self._head(), **self._enabled()}

    @handler(cost=Cost(prompts=20))
    def model_look(self, visit: Visit) -> Updates:
        """Show the key statistics when the tab is opened and, where they are missing, the cost of measuring them."""
        yield from super().ready(visit)
        statistics = self.lab.statistics
        yield {**self._statistics(statistics.known), **self._lead(statistics.known)}
        if statistics.missing and statistics.running is None:
            job = statistics.cost(visit.workspace)
            yield from follow(self.lab.worker, job)
            yield {"model-cost": pieces.message(words.cost(job.result()), "hint"), "progress": ""}

    @handler(cost=Cost(prompts=5))
    def model_plan(self, visit: Visit, chosen: ModelChoice) -> Updates:
        """Show the memory plan of the chosen model."""
        yield self._plan(read_choice(chosen))

    @handler(cost=Cost(), refused_in_demo=noop("The model cannot be replaced"))
    def model_load(self, visit: Visit, chosen: ModelChoice) -> Updates:
        """Replace the model for all users. The page reloads then."""
        choice = read_choice(chosen)
        job = self.lab.loaded.switch(choice, visit.by)
        text = _("Loading {model}. No question can be asked meanwhile.").format(model=short_name(choice.name))
        yield {"message": pieces.message(text), **self._enabled()}
        yield from follow(self.lab.worker, job)
        text = _("The model is now {model}. The page reloads; edits of the previous model are kept.")
        text = text.format(model=short_name(job.result()))
        yield {"message": pieces.message(text), "progress": "", **self._enabled()}

    @handler(cost=Cost(), refused_in_demo=noop("The model cannot be unloaded"))
    def model_unload(self, visit: Visit) -> Updates:
        """Free the model's memory until the next question."""
        job = self.lab.loaded.unload(visit.by)
        yield from follow(self.lab.worker, job)
        job.result()
        text = _("The model is unloaded. The next question loads it again; edits are kept.")
        yield {"message": pieces.message(text), "progress": "", **self._head(), **self._enabled()}

    @handler(cost=Cost(), refused_in_demo=noop("Key statistics cannot be measured"))
    def model_measure(self, visit: Visit) -> Updates:
        """Measure key statistics on text that the model generates."""
        yield from self._measure(visit, None)

    @handler(cost=Cost(), refused_in_demo=noop("Key statistics cannot be measured"))
    def model_file(self, visit: Visit, model_file: Upload | None) -> Updates:
        """Measure key statistics on a text file of the visitor's."""
        yield from self._measure(visit, read_text(model_file))

    @handler(cost=Cost(), refused_in_demo=noop("Jobs of other users cannot be stopped"))
    def model_stop(self, visit: Visit) -> Updates:
        """Stop a loading or a measurement, by any visitor. The handler that is stopped says the rest."""
        running = [job for job in (self.lab.loaded.loading, self.lab.statistics.running) if job is not None]
        for job in running:
            stop_job(job, visit.by)
        yield stopping(running)

    def buttons_after(self, visit: Visit) -> Update:
        """Return which buttons can be pressed after an error."""
        return self._enabled()

    def _measure(self, visit: Visit, text: str | None) -> Updates:
        yield from super().ready(visit)
        job: Job[tuple[Measured, ...]] = self.lab.statistics.measure(visit.workspace, text)
        message = _("Measuring key statistics. Questions are answered meanwhile; edits at these layers wait.")
        yield {"message": pieces.message(message), **self._enabled()}
        yield from follow(self.lab.worker, job)
        yield {
            "message": pieces.message(_("Key statistics are measured and kept.")),
            "progress": "",
            "model-cost": "",
            **self._statistics(job.result()),
            **self._lead(job.result()),
            **self._enabled(),
        }

    def _statistics(self, known: tuple[Measured, ...]) -> Update:
        missing = self.lab.statistics.missing
        return {
            "model-statistics-fold": folded(_(words.TITLES["statistics"]), words.statistics_title(known, missing)),
            "model-statistics": pieces.finding(words.statistics(known, missing)),
        }

    def _lead(self, known: tuple[Measured, ...]) -> Update:
        """Return how well edits go on this model, what it can do here, and the next step."""
        about, missing, masks = self.lab.about(), self.lab.statistics.missing, self.lab.masks.methods
        text, tone = words.lead({**about, "model": short_name(about["model"])})
        return {
            "model-lead": pieces.lead(text, words.next_step(about, missing, masks), tone),
            "model-measured": render(
                "model/measured.html",
                rows=words.rows(about),
                explanation=_(words.MEASURED),
                abilities=words.abilities(about, known, missing, masks),
            ),
        }

    def _plan(self, choice: Choice) -> Update:
        plan = self.lab.loaded.plan(choice)
        text = tell(replace(plan, model=short_name(plan.model)).sentence())
        return {"model-plan": pieces.finding(text), "message": ""}

    def _head(self) -> Update:
        return {"head": head(self.lab.about())}

    def _enabled(self) -> Update:
        """Return which buttons can be pressed now."""
        loading, measuring = self.lab.loaded.loading is not None, self.lab.statistics.running is not None
        return {
            "model-load": gr.update(interactive=not loading),
            "model-unload": gr.update(interactive=not loading and self.lab.loaded.in_memory),
            "model-measure": gr.update(interactive=not measuring),
            "stop": gr.update(interactive=loading or measuring),
        }


def head(about: dict[str, Any]) -> str:
    """Return the head of the page. `about`: of `Lab.about`."""
    badge, meaning = words.badge(about)
    texts = {"size": words.size(about), "memory": words.memory(about), "badge": badge, "meaning": meaning}
    texts["start"] = words.start(about) if about["start"] else ""
    return render("model/head.html", about=about, **texts)


def read_choice(chosen: ModelChoice) -> Choice:
    """Return the choice of a model. Raises `BadRequest` where none is chosen."""
    name = chosen.folder.strip() or chosen.name
    if not name:
        raise BadRequest(_("No model is chosen. Choose one, or write a folder or a hub id."))
    return Choice(name, chosen.quantization)


def choices(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return models as choices, which show of a folder its own name alone."""
    return [(short_name(name), name) for name in names]
