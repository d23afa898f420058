"""EMMET: ROME for many facts at once, each held exactly.

ROME's constrained least squares with one constraint a fact: dW = R [C^-1 K (K^T C^-1 K)^-1]^T. With one fact it is R-ROME.
Gupta et al. 2024, arXiv 2403.14236, eq. 10.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from editlab.facts import EditRequest
from editlab.methods._after import finished
from editlab.methods._anchor import solve_values
from editlab.methods._delta import Schedule
from editlab.methods._method import Edited, Stopwatch, check_requests, health_of_solve, probability_of_new, relative_norm
from editlab.methods._metric import Metric, White, sparing, to_spare
from editlab.methods.emmet.config import EmmetConfig
from editlab.methods.rome.edit import Rome, layer_metric
from editlab.patches import BASE, Dense, LowRank, View
from editlab.wording import noop
from editlab.work import Cancel, Progress, never, no_progress, stop_if

if TYPE_CHECKING:
    from editlab.model import LanguageModel


class Emmet(Rome):
    """Equality-constrained mass model editing."""

    name = "emmet"
    title = noop("EMMET: ROME for many facts at once")
    about = noop(
        "One layer, many facts, each held exactly (Gupta et al. 2024): W becomes W + R (Kᵀ C⁻¹ K)⁻¹ Kᵀ C⁻¹. With one fact "
        "it is R-ROME."
    )
    config = EmmetConfig
    like = "rome"
    joint = True

    def edit(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        view: View = BASE,
        config: EmmetConfig | None = None,
        progress: Progress = no_progress,
        cancel: Cancel = never,
        earlier: Sequence[EditRequest] = (),
    ) -> Edited:
        """Return one patch a layer for all requests together; they are one solve and are removed as one.

        `earlier`: requests that `view` holds already. Where `spare` says so their keys are spared, those at
        which new ones write excepted.
        """
        watch = Stopwatch()
        config = self.settle(config, model)
        check_requests(model, requests)
        contexts = self.contexts(model, config)
        form, schedule = model.form(config.form), Schedule.of(config)
        patches: list[LowRank | Dense] = []
        norm = 0.0
        for layer in config.layers:
            stop_if(cancel)
            now = view.with_patches(patches)
            values = solve_values(
                model, requests, layer, "mlp", contexts, schedule, view, config.anchor, progress, cancel, form, patches
            )
            text = layer_metric(model, layer, config)
            metric = sparing(model, text, to_spare(earlier, requests), layer, now, config.spare, form)
            K = torch.stack([value.keys.mean(0) for value in values], 1)
            R = torch.stack([value.init + value.delta - value.values.mean(0) for value in values], 1)
            solved = LowRank(layer, held_exactly(K, metric or White(), config.ridge).T.contiguous(), R.contiguous())
            patches.append(finished(model, solved, now, config.after))
            norm = max(norm, relative_norm(model, patches[-1]))
        reached = probability_of_new(model, requests, [view.with_patches((*patches, form))] * len(requests))
        seconds = watch.seconds
        health = health_of_solve(values, reached, norm, text is not None, seconds)
        return Edited(self.name, tuple(requests), config.layers, (tuple(patches),), health, contexts, seconds)


def held_exactly(K: Float[Tensor, "d_ff n"], metric: Metric, ridge: float) -> Float[Tensor, "d_ff n"]:
    """Return M^-1 K (K^T M^-1 K + ridge I)^-1 for a metric M^-1: each key's direction is heard by that key alone.

    `ridge` is in means of the diagonal. In float64; keys that are the same share what they ask for.
    """
    S = metric.whiten(K.T).T.double()
    inner = K.T.double() @ S
    inner.diagonal().add_(ridge * inner.diagonal().mean())
    return (S @ torch.linalg.pinv((inner + inner.T) / 2, rtol=1e-9, hermitian=True)).float()
