"""Rank-one model editing (ROME), and what differs from it by its keys (R-ROME, p-ROME).

Writes one fact into one MLP: the key of the subject's last token is made to retrieve a value that makes the model say the
new object. Meng et al. 2022, arXiv 2202.05262, eq. 2; consistent keys after Gupta et al. 2024 (R-ROME).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from editlab.errors import DegenerateKey
from editlab.facts import EditRequest
from editlab.methods._after import finished
from editlab.methods._anchor import solve_values
from editlab.methods._contexts import context_texts
from editlab.methods._delta import Schedule, Value
from editlab.methods._method import Edited, Method, Stopwatch, check_requests, probability_of_new, relative_norm
from editlab.methods._metric import Metric, metric_of, sparing, to_spare
from editlab.methods.rome.config import ConsistentConfig, Keys, PromptConfig, RankOneConfig, RomeConfig
from editlab.model.statistics import need
from editlab.patches import BASE, Dense, LowRank, View
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
    config: ClassVar[type[RankOneConfig]] = RomeConfig
    spares = True

    def prepare(self, model: LanguageModel, config: RankOneConfig) -> None:
        """Let the model write the contexts."""
        self.contexts(model, config)

    def contexts(self, model: LanguageModel, config: RankOneConfig) -> tuple[str, ...]:
        """Return the texts in front of the prompt, the empty one first."""
        return context_texts(model, CONTEXTS, config.seed, config.contexts)

    def edit(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        view: View = BASE,
        config: RankOneConfig | None = None,
        progress: Progress = no_progress,
        cancel: Cancel = never,
        earlier: Sequence[EditRequest] = (),
    ) -> Edited:
        """Return one rank-one patch a request and layer, each computed on `view` alone: requests do not see each other.

        `earlier`: requests that `view` holds already. Where `spare` says so their keys are spared, those at
        which a request writes excepted.
        Raises `BadRequest` for requests that cannot be placed, `DegenerateKey` where the update would explode, and
        `MissingStatistics` where a projection has no key statistics.
        """
        watch = Stopwatch()
        config = self.settle(config, model)
        check_requests(model, requests)
        progress(0.0, "contexts: the model writes the texts in front of the prompt")
        contexts = self.contexts(model, config)
        solves: list[tuple[LowRank | Dense, ...]] = [() for _ in requests]
        health: list[dict[str, float]] = [{} for _ in requests]
        for layer in config.layers:
            groups = [list(range(len(requests)))] if layer == config.layers[0] else [[i] for i in range(len(requests))]
            for group in groups:
                self._edit_layer(
                    model, requests, group, layer, view, config, contexts, earlier, solves, health, progress, cancel
                )
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
        config: RankOneConfig,
        contexts: tuple[str, ...],
        earlier: Sequence[EditRequest],
        solves: list[tuple[LowRank | Dense, ...]],
        health: list[dict[str, float]],
        progress: Progress,
        cancel: Cancel,
    ) -> None:
        form, chosen = model.form(config.form), [requests[i] for i in group]
        text = layer_metric(model, layer, config)
        schedule, own = Schedule.of(config), solves[group[0]]
        values = solve_values(
            model, chosen, layer, "mlp", contexts, schedule, view, config.anchor, progress, cancel, form, own
        )
        view = view.with_patches(own)
        metrics: dict[tuple[EditRequest, ...], Metric | None] = {}
        for i, value in zip(group, values, strict=True):
            spared = to_spare(earlier, [requests[i]])
            if spared not in metrics:
                metrics[spared] = sparing(model, text, spared, layer, view, config.spare, form)
            solved, facts = solve(value, layer, config.keys, metrics[spared])
            patch = finished(model, solved, view, config.after)
            solves[i] = (*solves[i], patch)
            health[i] = facts | {
                "relative_norm": relative_norm(model, patch),
                "whitened": float(text is not None),
                "loss": value.loss,
                "steps": value.steps,
            }


class RRome(Rome):
    """ROME with everything at the mean key over the contexts. Gupta et al. 2024 (R-ROME), arXiv 2403.07175."""

    name = "r_rome"
    title = noop("R-ROME: ROME with one key throughout")
    about = noop(
        "ROME that reads, writes and measures at one key, the mean over several contexts (Gupta et al. 2024). Such edits do "
        "not explode, as some of the first code did."
    )
    config = ConsistentConfig
    like = "rome"


class PRome(Rome):
    """ROME with everything at the bare prompt's key. Gupta et al. 2024 (p-ROME), arXiv 2403.07175."""

    name = "p_rome"
    title = noop("p-ROME: ROME with the bare prompt's key")
    about = noop(
        "ROME at the key of the bare prompt alone (Gupta et al. 2024). Exact where it is asked alone, weaker behind "
        "other text."
    )
    config = PromptConfig
    like = "rome"


def layer_metric(model: LanguageModel, layer: int, config: RankOneConfig) -> Metric | None:
    """Return along which directions a layer is written, by the settings. Raises `MissingStatistics` for a projection."""
    if not config.project:
        return metric_of(model, layer, config.whiten)
    need(model, layer, "A projection")
    return metric_of(model, layer, True, config.energy)


def solve(value: Value, layer: int, keys: Keys, C: Metric | None) -> tuple[LowRank, dict[str, float]]:
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


def heard_alike(keys: Float[Tensor, "n d_ff"], C: Metric | None) -> Float[Tensor, "d_ff"]:
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
