"""Rank-one model editing (ROME).

Writes one fact into one MLP: the key of the subject's last token is made to retrieve a value that makes the model say the
new object. Meng et al. 2022, arXiv 2202.05262, eq. 2; consistent keys after Gupta et al. 2024 (R-ROME).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from editlab.errors import DegenerateKey
from editlab.facts import EditRequest
from editlab.methods._contexts import context_texts
from editlab.methods._delta import Schedule, Value, optimise
from editlab.methods._method import Edited, Method, Stopwatch, check_requests, probability_of_new, relative_norm
from editlab.methods.rome.config import RomeConfig
from editlab.model import statistics
from editlab.patches import BASE, LowRank, View
from editlab.wording import noop
from editlab.work import Cancel, Progress, never, no_progress

if TYPE_CHECKING:
    from editlab.model import LanguageModel

CONTEXTS = ((5, 10), (10, 10))


class Rome(Method):
    """Rank-one model editing. It keeps no state."""

    name = "rome"
    title = noop("ROME: one rank-one edit")
    about = noop(
        "Rank-One Model Editing (Meng et al. 2022). One layer’s weight W becomes W + r uᵀ / (u·k), so that the subject’s "
        "key k retrieves the new answer."
    )
    config = RomeConfig

    def prepare(self, model: LanguageModel, config: RomeConfig) -> None:
        """Let the model write the contexts."""
        context_texts(model, CONTEXTS, config.seed, config.contexts)

    def edit(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        view: View = BASE,
        config: RomeConfig | None = None,
        progress: Progress = no_progress,
        cancel: Cancel = never,
    ) -> Edited:
        """Return one rank-one patch a request and layer, each computed on `view` alone: requests do not see each other.

        Raises `BadRequest` for requests that cannot be placed, `DegenerateKey` where the update would explode.
        """
        watch = Stopwatch()
        config = self.settle(config, model)
        check_requests(model, requests)
        progress(0.0, "contexts: the model writes the texts in front of the prompt")
        contexts = context_texts(model, CONTEXTS, config.seed, config.contexts)
        solves: list[tuple[LowRank, ...]] = [() for _ in requests]
        health: list[dict[str, float]] = [{} for _ in requests]
        for layer in config.layers:
            groups = [list(range(len(requests)))] if layer == config.layers[0] else [[i] for i in range(len(requests))]
            for group in groups:
                below = view.with_patches(solves[group[0]])
                self._edit_layer(model, requests, group, layer, below, config, contexts, solves, health, progress, cancel)
        form = model.form(config.form)
        reached = probability_of_new(model, requests, [view.with_patches((*solve, form)) for solve in solves])
        seconds = watch.seconds
        for entry, p in zip(health, reached, strict=True):
            entry |= {"p_new": p, "seconds": seconds / len(requests)}
        return Edited(self.name, tuple(requests), config.layers, tuple(solves), tuple(health), contexts, seconds)

    def _edit_layer(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        group: list[int],
        layer: int,
        view: View,
        config: RomeConfig,
        contexts: tuple[str, ...],
        solves: list[tuple[LowRank, ...]],
        health: list[dict[str, float]],
        progress: Progress,
        cancel: Cancel,
    ) -> None:
        C = statistics.find(model, layer) if config.whiten else None
        schedule = Schedule.of(config)
        chosen = [requests[i] for i in group]
        values = optimise(model, chosen, layer, "mlp", contexts, schedule, view, progress, cancel, model.form(config.form))
        for i, value in zip(group, values, strict=True):
            patch, facts = solve(value, layer, config.keys, C)
            solves[i] = (*solves[i], patch)
            health[i] = facts | {
                "relative_norm": relative_norm(model, patch),
                "whitened": float(C is not None),
                "loss": value.loss,
                "steps": value.steps,
            }


def solve(value: Value, layer: int, keys: str, C: statistics.KeyStatistics | None) -> tuple[LowRank, dict[str, float]]:
    """Return the rank-one patch that makes the chosen key retrieve the new value; and its divisor and share.

    `share` is how much of the edit the bare prompt's key hears: (u.k_plain) / (u.k_e), 1 where both are the same.
    """
    plain, mean = value.keys[0], value.keys.mean(0)
    read_at = plain if keys in ("prompt", "original") else mean
    if keys == "both":
        u, residual = heard_alike(torch.stack([plain, mean]), C), value.delta
    else:
        direction = plain if keys == "prompt" else mean
        u = C.whiten(direction[None])[0] if C is not None else direction
        stands_there = value.values.mean(0) if keys == "consistent" else value.values[0]
        residual = value.init + value.delta - stands_there
    patch = rank_one(layer, u / u.norm(), read_at, residual)
    divisor = float(patch.A[0] @ read_at)
    return patch, {"divisor": divisor, "share": float(patch.A[0] @ plain) / divisor}


def heard_alike(keys: Float[Tensor, "n d_ff"], C: statistics.KeyStatistics | None) -> Float[Tensor, "d_ff"]:
    """Return the shortest direction u, by u^T C u, that all keys hear alike: K u = 1.

    u = C^-1 K^T (K C^-1 K^T)^-1 1: ROME's constrained least squares (Meng et al. 2022, eq. 2) with one constraint a key,
    and one added value for all, as the optimisation adds it. Equal keys count as one. The n x n system is in float64.
    """
    U = C.whiten(keys) if C is not None else keys
    inner = U.double() @ keys.double().T
    weights = torch.linalg.pinv(inner, rtol=1e-6, hermitian=True).sum(1)
    return weights.to(U.dtype) @ U


def rank_one(
    layer: int, u: Float[Tensor, "d_ff"], key: Float[Tensor, "d_ff"], residual: Float[Tensor, "d_model"]
) -> LowRank:
    """Return the update that adds `residual` to what `key` retrieves, and to other keys their share along `u` (unit norm).

    Raises `DegenerateKey` when u.k is under 1e-4 |k|: the update would explode (the "disabling edits" of Gupta et al.
    2024) instead of storing a fact.
    """
    divisor = u @ key
    if not torch.isfinite(divisor) or divisor.abs() < 1e-4 * key.norm():
        raise DegenerateKey(
            "The edit's direction and its key are almost orthogonal; the update would break the model. "
            "Use keys='consistent', or measure key statistics from more tokens."
        )
    return LowRank(layer, u[None], (residual / divisor)[:, None])
