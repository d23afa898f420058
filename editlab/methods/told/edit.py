"""The fact in the prompt, before every question: what every other method is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from editlab.facts import EditRequest
from editlab.methods._method import Edited, Method, Stopwatch, check_requests
from editlab.methods._telling import told
from editlab.methods.told.config import ToldConfig
from editlab.patches import BASE, Preamble, View
from editlab.wording import noop
from editlab.work import Cancel, Progress, never, no_progress

if TYPE_CHECKING:
    from editlab.model import LanguageModel


class Told(Method):
    """Tells the model each fact in a sentence (docs/methods.md 8.1)."""

    name = "told"
    title = noop("Told: the fact before every question")
    about = noop(
        "The new fact as a sentence before every question. No weight changes and nothing is computed: what edits are to be "
        "compared with."
    )
    group = "tell"
    config = ToldConfig
    whitens = at_subject = False

    def edit(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        view: View = BASE,
        config: ToldConfig | None = None,
        progress: Progress = no_progress,
        cancel: Cancel = never,
    ) -> Edited:
        """Return one preamble a request. Nothing is computed. Raises `BadRequest` for requests that cannot be placed."""
        watch, config = Stopwatch(), self.settle(config, model)
        check_requests(model, requests)
        progress(0.5, "telling the fact: asking the model under it")
        patches = [Preamble(request.sentence) for request in requests]
        return told(self.name, model, requests, patches, view, model.form(config.form), watch)
