"""Mass-editing memory in a transformer (MEMIT).

Many facts at once, spread over several layers: each layer's least-squares update takes its part of what is still missing
in the residual stream. Meng et al. 2023, arXiv 2210.07229, eq. 14 and algorithm 1, solved in n x n (Woodbury).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from editlab.facts import EditRequest
from editlab.methods._after import finished
from editlab.methods._anchor import solve_values
from editlab.methods._contexts import context_texts
from editlab.methods._delta import Hook, Schedule, Value
from editlab.methods._method import (
    Edited,
    Method,
    Stopwatch,
    check_requests,
    health_of_solve,
    probability_of_new,
    relative_norm,
)
from editlab.methods._metric import Metric, sparing, to_spare
from editlab.methods.memit.config import MemitConfig, SpreadConfig
from editlab.model.statistics import need
from editlab.model.tokens import Located
from editlab.patches import BARE, BASE, Dense, Form, LowRank, View
from editlab.wording import noop
from editlab.work import Cancel, Progress, never, no_progress, stop_if

if TYPE_CHECKING:
    from editlab.model import LanguageModel

CONTEXTS = ((10, 5),)
HARD = 1e6
"""How much the keys of earlier edits count where a solve has no ridge."""


class Memit(Method):
    """Mass-editing memory in a transformer. It keeps no state.

    What differs in its relatives: the search for the value (`values`), along what a layer is written (`metric`), and how
    much of what is missing a layer gets (`portion`).
    """

    name = "memit"
    title = noop("MEMIT: spread over several layers")
    about = noop(
        "Mass-Editing Memory in a Transformer (Meng et al. 2023). Many facts at once, shared by several layers: each W "
        "becomes W + R Kᵀ (λC + K Kᵀ)⁻¹, with K the subjects’ keys."
    )
    config: ClassVar[type[SpreadConfig]] = MemitConfig
    joint = True
    spares = True
    needs_statistics = True

    def prepare(self, model: LanguageModel, config: SpreadConfig) -> None:
        """Let the model write the contexts."""
        context_texts(model, CONTEXTS, config.seed, config.contexts)

    def edit(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        view: View = BASE,
        config: SpreadConfig | None = None,
        progress: Progress = no_progress,
        cancel: Cancel = never,
        earlier: Sequence[EditRequest] = (),
    ) -> Edited:
        """Return one patch a layer for all requests together; they are one solve and are removed as one.

        `earlier`: requests that `view` holds already. Those of their bare prompts' keys K_p at which no new one is asked are
        spared as well, by solving (lambda C + K_p K_p^T + K K^T)^-1 K: the sequential form that Fang et al. 2025 (AlphaEdit,
        arXiv 2410.02355) use.

        Where a norm stands behind the MLPs, a residual is no sum of what the projections put out: then the value is
        optimised at the top layer's projection, and each layer's part is taken back through its norm (`Behind.reaching`).

        Raises `MissingStatistics` where a layer's key statistics were never measured.
        """
        watch = Stopwatch()
        config = self.settle(config, model)
        check_requests(model, requests)
        for layer in config.layers:
            need(model, layer, self.title.partition(":")[0])
        contexts = context_texts(model, CONTEXTS, config.seed, config.contexts)
        top = config.layers[-1]
        form = model.form(config.form)
        values = self.values(model, requests, contexts, config, view, progress, cancel, form)
        rows = [model.locate(request.prompt, request.subject, form=form) for request in requests]
        goal = self.goal(model, rows, top, values, view)
        spared = to_spare(earlier, requests)
        patches: list[LowRank | Dense] = []
        for position, layer in enumerate(config.layers):
            stop_if(cancel)
            progress(1.0, f"solve: layer {layer}, {position + 1} of {len(config.layers)}")
            now = view.with_patches(patches)
            K = mean_keys(model, requests, contexts, layer, now, form)
            metric, ridge = self.metric(model, layer, K, config)
            metric = sparing(model, metric, spared, layer, now, 1 / ridge if ridge else HARD, form)
            missing = goal.missing(now) * self.portion(len(config.layers) - position)
            solved = LowRank(
                layer, least_squares(K, metric, ridge).T.contiguous(), goal.at(layer, missing, now).T.contiguous()
            )
            patches.append(finished(model, solved, view, config.after))
        reached = probability_of_new(model, requests, [view.with_patches((*patches, form))] * len(requests))
        norm = max(relative_norm(model, patch) for patch in patches)
        seconds = watch.seconds
        health = health_of_solve(values, reached, norm, True, seconds)
        return Edited(self.name, tuple(requests), config.layers, (tuple(patches),), health, contexts, seconds)

    def values(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        contexts: Sequence[str],
        config: SpreadConfig,
        view: View,
        progress: Progress,
        cancel: Cancel,
        form: Form,
    ) -> list[Value]:
        """Return each request's value at the top layer: of its block's output, or of its MLP's where a norm is behind it."""
        top, schedule = config.layers[-1], Schedule.of(config)
        hook: Hook = "block" if model.arch.behind(model.hf, top).is_linear else "mlp"
        return solve_values(model, requests, top, hook, contexts, schedule, view, config.anchor, progress, cancel, form)

    def goal(self, model: LanguageModel, rows: Sequence[Located], top: int, values: Sequence[Value], view: View) -> Goal:
        """Return what the layers have to reach together."""
        target = torch.stack([value.init + value.delta for value in values])
        linear = model.arch.behind(model.hf, top).is_linear
        return Goal(model, rows, top, target if linear else residual_with(model, rows, top, target, view), target)

    def metric(self, model: LanguageModel, layer: int, K: Float[Tensor, "d_ff n"], config: Any) -> tuple[Metric, float]:
        """Return along which directions a layer is written for the keys K, and the ridge of the solve."""
        return need(model, layer, "MEMIT"), config.preserved

    def portion(self, left: int) -> float:
        """Return how much of what is missing a layer gets, of the layers that are left."""
        return 1 / left


@dataclass(frozen=True, eq=False)
class Goal:
    """The residual stream that the layers have to reach together behind the top one, at each row's located token.

    `target` is the value at the top layer, as it was searched for.
    """

    model: LanguageModel
    rows: Sequence[Located]
    top: int
    wanted: Float[Tensor, "n d_model"]
    target: Float[Tensor, "n d_model"]

    def missing(self, view: View) -> Float[Tensor, "n d_model"]:
        """Return what is still missing under a view."""
        return self.wanted - self.model.residuals(self.rows, self.top, view)

    def at(self, layer: int, missing: Float[Tensor, "n d_model"], view: View) -> Float[Tensor, "n d_model"]:
        """Return what a layer's projection has to put out more, so that this much more reaches the residual stream."""
        behind = self.model.arch.behind(self.model.hf, layer)
        if behind.is_linear:
            return missing / behind.factor
        value = self.model.outputs(self.rows, layer, view)
        return behind.reaching(value, missing, like=self.target if layer == self.top else value) - value


def residual_with(
    model: LanguageModel,
    rows: Sequence[Located],
    layer: int,
    value: Float[Tensor, "n d_model"],
    view: View,
) -> Float[Tensor, "n d_model"]:
    """Return the residual stream behind a layer if its MLP put out `value` at each row's located token."""
    behind, dtype = model.arch.behind(model.hf, layer), model.dtype
    before = model.outputs(rows, layer, view).to(dtype)
    return model.residuals(rows, layer, view) + (behind(value.to(dtype)).float() - behind(before).float())


def mean_keys(
    model: LanguageModel,
    requests: Sequence[EditRequest],
    contexts: Sequence[str],
    layer: int,
    view: View,
    form: Form = BARE,
) -> Float[Tensor, "d_ff n"]:
    """Return one key a request as a column: half the bare prompt's, half the mean over the other contexts (`compute_ks`).

    The bare prompt's alone where no other context is given.
    """
    rows = [model.locate(r.prompt, r.subject, context, form) for r in requests for context in contexts]
    keys = model.keys(rows, [layer], view)[layer].view(len(requests), len(contexts), -1)
    return (0.5 * keys[:, 0] + 0.5 * keys[:, 1:].mean(1) if len(contexts) > 1 else keys[:, 0]).T


def least_squares(K: Float[Tensor, "d_ff n"], metric: Metric, ridge: float) -> Float[Tensor, "d_ff n"]:
    """Return (ridge M + K K^T)^-1 K for a metric M^-1, in n x n: S (ridge I + K^T S)^-1 with S = M^-1 K, in float64.

    For a projection P it is the solution within its directions, P K (ridge I + K^T P K)^-1.
    """
    S = metric.whiten(K.T).T.double()
    inner = ridge * torch.eye(K.shape[1], device=K.device, dtype=torch.float64) + K.double().T @ S
    return torch.linalg.solve(inner, S.T).T.float()
