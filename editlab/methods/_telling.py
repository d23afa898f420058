"""What the methods have in common that tell the model a fact and change no weight."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from editlab.facts import EditRequest, FactBase
from editlab.methods._method import Edited, Method, Stopwatch, check_requests, probability_of_new
from editlab.patches import BASE, Note, Preamble, View
from editlab.settings import Settings
from editlab.wording import noop
from editlab.work import Cancel, Progress, never, no_progress, stop_if

if TYPE_CHECKING:
    from editlab.model import LanguageModel


class Telling(Method):
    """A method whose edits are texts before the question. `work`: what it does, as a job's progress says it."""

    group = "tell"
    whitens = at_subject = False
    work: ClassVar[str] = noop("telling the fact")

    def edit(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        view: View = BASE,
        config: Any = None,
        progress: Progress = no_progress,
        cancel: Cancel = never,
    ) -> Edited:
        """Return one patch a request. No weight changes. Raises `BadRequest` for requests that cannot be placed.

        Their health has p(new), and the tokens that stand before a request's own question.
        """
        watch, config = Stopwatch(), self.settle(config, model)
        check_requests(model, requests)
        patches: list[Preamble | Note] = []
        for number, request in enumerate(requests):
            stop_if(cancel)
            progress(number / len(requests), self.work)
            patches.append(self.patch(model, request, config))
        form = model.form(config.form)
        views = [view.with_patches((patch, form)) for patch in patches]
        reached = probability_of_new(model, requests, views)
        under = view.with_patches([form])
        tokens = [
            len(model.tok.encode(own.asks(request.text))) - len(model.tok.encode(under.asks(request.text)))
            for own, request in zip(views, requests, strict=True)
        ]
        seconds = watch.seconds
        health = tuple(
            {"p_new": p, "tokens": float(count), "seconds": seconds / len(requests)}
            for p, count in zip(reached, tokens, strict=True)
        )
        return Edited(self.name, tuple(requests), (), tuple((patch,) for patch in patches), health, (), seconds)

    @abstractmethod
    def patch(self, model: LanguageModel, request: EditRequest, config: Any) -> Preamble | Note:
        """Return what is told of a request."""


def our_facts() -> FactBase:
    """Return the facts that come with EditLab, read once."""
    return _read(Settings().presets / "facts")


@lru_cache(1)
def _read(folder: Path) -> FactBase:
    return FactBase.load(folder)
