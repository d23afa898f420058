"""Mass-editing memory in a transformer (MEMIT).

Many facts at once, spread over several layers: each layer's least-squares update takes its part of what is still missing
in the residual stream. Meng et al. 2023, arXiv 2210.07229, eq. 14 and algorithm 1, solved in n x n (Woodbury).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from editlab.facts import EditRequest
from editlab.methods._contexts import context_texts
from editlab.methods._delta import Hook, Schedule, optimise
from editlab.methods._method import Edited, Method, Stopwatch, check_requests, probability_of_new, relative_norm
from editlab.methods.memit.config import MemitConfig
from editlab.model.statistics import KeyStatistics, need
from editlab.model.tokens import Located
from editlab.patches import BARE, BASE, Form, LowRank, View
from editlab.wording import noop
from editlab.work import Cancel, Progress, never, no_progress, stop_if

if TYPE_CHECKING:
    from editlab.model import LanguageModel

CONTEXTS = ((10, 5),)


class Memit(Method):
    """Mass-editing memory in a transformer. It keeps no state."""

    name = "memit"
    title = noop("MEMIT: spread over several layers")
    about = noop(
        "Mass-Editing Memory in a Transformer (Meng et al. 2023). Many facts at once, shared by several layers: each W "
        "becomes W + R Kᵀ (λC + K Kᵀ)⁻¹, with K the subjects’ keys."
    )
    config = MemitConfig
    joint = True
    needs_statistics = True

    def prepare(self, model: LanguageModel, config: MemitConfig) -> None:
        """Let the model write the contexts."""
        context_texts(model, CONTEXTS, config.seed, config.contexts)

    def edit(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        view: View = BASE,
        config: MemitConfig | None = None,
        progress: Progress = no_progress,
        cancel: Cancel = never,
        earlier: Sequence[EditRequest] = (),
    ) -> Edited:
        """Return one low-rank patch a layer for all requests together; they are one solve and are removed as one.

        `earlier`: requests that `view` holds already. Their bare prompts' keys K_p are spared as well, by solving
        (lambda C + K_p K_p^T + K K^T)^-1 K: the sequential form that Fang et al. 2025 (AlphaEdit, arXiv 2410.02355) use.

        Where a norm stands behind the MLPs, a residual is no sum of what the projections put out: then the value is
        optimised at the top layer's projection, and each layer's part is taken back through its norm (`Behind.reaching`).

        Raises `MissingStatistics` where a layer's key statistics were never measured.
        """
        watch = Stopwatch()
        config = self.settle(config, model)
        check_requests(model, requests)
        statistics = {layer: need(model, layer, "MEMIT") for layer in config.layers}
        contexts = context_texts(model, CONTEXTS, config.seed, config.contexts)
        schedule = Schedule.of(config)
        top = config.layers[-1]
        form = model.form(config.form)
        linear = model.arch.behind(model.hf, top).is_linear
        hook: Hook = "block" if linear else "mlp"
        values = optimise(model, requests, top, hook, contexts, schedule, view, progress, cancel, form)
        rows = [model.locate(request.prompt, request.subject, form=form) for request in requests]
        target = torch.stack([value.init + value.delta for value in values])
        wanted = target if linear else residual_with(model, rows, top, target, view)
        patches: list[LowRank] = []
        for position, layer in enumerate(config.layers):
            stop_if(cancel)
            progress(1.0, f"solve: layer {layer}, {position + 1} of {len(config.layers)}")
            now = view.with_patches(patches)
            K = mean_keys(model, requests, contexts, layer, now, form)
            before = mean_keys(model, earlier, contexts[:1], layer, now, form) if earlier else K[:, :0]
            missing = (wanted - model.residuals(rows, top, now)) / (len(config.layers) - position)
            behind = model.arch.behind(model.hf, layer)
            if linear:
                R = missing / behind.factor
            else:
                value = model.outputs(rows, layer, now)
                R = behind.reaching(value, missing, like=target if layer == top else value) - value
            adj = least_squares(torch.cat([before, K], 1), statistics[layer], config.preserved)[:, len(earlier) :]
            patches.append(LowRank(layer, adj.T.contiguous(), R.T.contiguous()))
        reached = probability_of_new(model, requests, [view.with_patches((*patches, form))] * len(requests))
        norm = max(relative_norm(model, patch) for patch in patches)
        seconds = watch.seconds
        health = tuple(
            {
                "relative_norm": norm,
                "whitened": 1.0,
                "loss": value.loss,
                "steps": value.steps,
                "p_new": p,
                "seconds": seconds / len(requests),
            }
            for value, p in zip(values, reached, strict=True)
        )
        return Edited(self.name, tuple(requests), config.layers, (tuple(patches),), health, contexts, seconds)


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


def least_squares(K: Float[Tensor, "d_ff n"], C: KeyStatistics, preserved: float) -> Float[Tensor, "d_ff n"]:
    """Return (preserved C + K K^T)^-1 K in n x n: S (preserved I + K^T S)^-1 with S = C^-1 K, in float64."""
    S = C.whiten(K.T).T.double()
    inner = preserved * torch.eye(K.shape[1], device=K.device, dtype=torch.float64) + K.double().T @ S
    return torch.linalg.solve(inner, S.T).T.float()
