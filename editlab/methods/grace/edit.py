"""GRACE: a codebook of keys and values beside the weights of one layer.

Hartvigsen et al. 2023, arXiv 2211.11031. The key is the projection's input at the prompt's last token; the value, which
replaces the projection's output there, is trained so that the model says the new object.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.methods._delta import Schedule, Value, _chunks, _search
from editlab.methods._method import Edited, Method, Stopwatch, check_requests, probability_of_new
from editlab.methods.grace.config import GraceConfig
from editlab.model.replay import replay
from editlab.model.tokens import Located
from editlab.patches import BASE, Codebook, Form, View
from editlab.wording import noop
from editlab.work import Cancel, Progress, never, no_progress

if TYPE_CHECKING:
    from editlab.model import LanguageModel


class Grace(Method):
    """General retrieval adaptors for continual editing (docs/methods.md 9.1 to 9.3)."""

    name = "grace"
    title = noop("GRACE: a codebook beside one layer")
    about = noop(
        "A codebook of keys and values beside one layer (Hartvigsen et al. 2023): where a key comes near that of the edit's "
        "prompt, the layer puts out a trained value. No weight changes, and other wordings are hardly reached."
    )
    group = "remember"
    config = GraceConfig
    whitens = at_subject = False

    def edit(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        view: View = BASE,
        config: GraceConfig | None = None,
        progress: Progress = no_progress,
        cancel: Cancel = never,
    ) -> Edited:
        """Return a codebook with one entry a request, each trained on `view` alone: requests do not see each other.

        Raises `BadRequest` for requests that cannot be placed, and for more than one layer.
        """
        watch, config = Stopwatch(), self.settle(config, model)
        check_requests(model, requests)
        if len(config.layers) > 1:
            raise BadRequest("GRACE has its codebook at one layer. Give one.", "layers")
        (layer,), form = config.layers, model.form(config.form)
        schedule = Schedule(config.steps, config.learning_rate, 0.0, math.inf, 0.0, config.stop_below)
        found = _values(model, requests, layer, schedule, view, form, progress, cancel)
        patches = [_entry(value, layer, request, config.radius) for value, request in zip(found, requests, strict=True)]
        reached = probability_of_new(model, requests, [view.with_patches((patch, form)) for patch in patches])
        seconds = watch.seconds
        health = tuple(
            {"p_new": p, "loss": value.loss, "steps": value.steps, "seconds": seconds / len(requests)}
            for p, value in zip(reached, found, strict=True)
        )
        solves = tuple((patch,) for patch in patches)
        return Edited(self.name, tuple(requests), config.layers, solves, health, (), seconds)


def _entry(value: Value, layer: int, request: EditRequest, radius: float) -> Codebook:
    """Return the codebook of one request."""
    key = value.keys[0]
    return Codebook(
        layer,
        key[None].clone(),
        (value.values[0] + value.delta)[None],
        radius * key.norm()[None],
        (request.target_new,),
    )


def _values(
    model: LanguageModel,
    requests: Sequence[EditRequest],
    layer: int,
    schedule: Schedule,
    view: View,
    form: Form,
    progress: Progress,
    cancel: Cancel,
) -> list[Value]:
    """Return what the projection has to put out at each prompt's last token, as a change of what it puts out now."""
    values: dict[int, Value] = {}
    for chunk in _chunks(model, requests, [""]):

        def report(fraction: float, text: str, done: int = len(values), size: int = len(chunk)) -> None:
            progress((done + fraction * size) / len(requests), text)

        def problem(places: Sequence[int], chunk: list[int] = chunk) -> _Problem:
            return _Problem(model, [requests[chunk[place]] for place in places], layer, view, form)

        values |= zip(chunk, _search(problem, len(chunk), schedule, report, cancel), strict=True)
    return [values[number] for number in range(len(requests))]


class _Problem:
    """A row a request: its prompt and new object, in which the value changes at the prompt's last token."""

    def __init__(self, model: LanguageModel, requests: Sequence[EditRequest], layer: int, view: View, form: Form) -> None:
        rows: list[Located] = []
        reads: list[tuple[int, int, int, float]] = []
        for number, request in enumerate(requests):
            ids, shared = model.tok.with_target(form.around(request.text), request.target_new)
            labels = ids[shared:]
            rows.append(Located(tuple(ids[:-1]), shared - 1))
            reads += [(number, place, label, 1 / len(labels)) for place, label in enumerate(labels)]
        self.rows, self.columns, self.labels = (
            torch.tensor([read[part] for read in reads], device=model.device) for part in range(3)
        )
        self.weights = torch.tensor([weight for *_, weight in reads], device=model.device)
        self.replay = replay(model, rows, layer, view)
        self.init = self.replay.mlp
        self.size = model.d_model

    def norms(self, values: Tensor) -> Tensor:
        """Return the lengths of values `[requests, d_model]`."""
        return values.norm(dim=1, keepdim=True)

    def forward(self, delta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the losses `[requests]`, twice, and nothing that should stay as it is."""
        log_p = self.replay.finish(self.replay.with_value(delta), self.rows, self.columns).log_softmax(-1)
        said = -log_p.gather(1, self.labels[:, None])[:, 0] * self.weights
        nll = torch.zeros_like(delta[:, 0]).index_add(0, self.rows, said)
        return nll, nll.detach(), torch.zeros_like(delta[:, :1])

    def values(self, delta: Tensor, losses: Tensor, steps: Tensor) -> list[Value]:
        """Return what was found, a `Value` a request."""
        found = zip(delta, self.init, self.replay.key, self.replay.value, losses.tolist(), steps.tolist(), strict=True)
        return [Value(d, init, key[None], value[None], loss, step) for d, init, key, value, loss, step in found]
