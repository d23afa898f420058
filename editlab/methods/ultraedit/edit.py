"""UltraEdit: one closed-form step for many facts, from keys and gradients where the new objects are said.

Gu et al. 2025, arXiv 2505.14679; in n x n where that is smaller. See docs/methods.md, section 10.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from editlab.facts import EditRequest
from editlab.methods._contexts import context_texts
from editlab.methods._method import Edited, Method, Stopwatch, check_requests, probability_of_new, relative_norm
from editlab.methods._rows import row_of, row_of_text
from editlab.methods.ultraedit.config import UltraeditConfig
from editlab.methods.ultraedit.features import Moments, read
from editlab.patches import BASE, Dense, LowRank, View
from editlab.wording import noop
from editlab.work import Cancel, Progress, never, no_progress, stop_if

if TYPE_CHECKING:
    from editlab.model import LanguageModel

CONTEXTS = ((5, 10), (10, 10))
LATEST = 1_000
"""So many of the latest earlier requests take part in the normalisation."""


class Ultraedit(Method):
    """One closed-form step for many facts. It keeps no state: its statistics are read again from the earlier requests."""

    name = "ultraedit"
    title = noop("UltraEdit: one step for many facts")
    about = noop(
        "One closed-form step (Gu et al. 2025). Where the new objects are said, each value moves against its normalised "
        "gradient, and ridge regression finds the weights that move them all."
    )
    config = UltraeditConfig
    joint = True
    spares = True
    whitens = False
    at_subject = False

    def prepare(self, model: LanguageModel, config: UltraeditConfig) -> None:
        """Let the model write the texts of the warm-up, and read them."""
        if config.warm_up:
            _warm_up(model, config)

    def edit(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        view: View = BASE,
        config: UltraeditConfig | None = None,
        progress: Progress = no_progress,
        cancel: Cancel = never,
        earlier: Sequence[EditRequest] = (),
    ) -> Edited:
        """Return one patch a layer for all requests together; they are one solve and are removed as one.

        `earlier`: requests that `view` holds already. Their features, as the unedited model has them, are part of the
        lifelong normalisation.
        """
        watch = Stopwatch()
        config = self.settle(config, model)
        check_requests(model, requests)
        form = model.form(config.form)
        progress(0.0, "gradients: one forward and one backward over all facts")
        features = read(model, [row_of(model, request, form) for request in requests], config.layers, view)
        seen = Moments.of(features)
        if config.warm_up:
            seen = _warm_up(model, config) + seen
        if earlier:
            stop_if(cancel)
            progress(0.25, "normalisation: the earlier facts")
            seen = Moments.of(read(model, [row_of(model, r, form) for r in earlier[-LATEST:]], config.layers, BASE)) + seen
        normal = seen.normalised(features)
        patches = []
        for position, layer in enumerate(config.layers):
            stop_if(cancel)
            progress(0.5, f"solve: layer {layer}, {position + 1} of {len(config.layers)}")
            change = wanted(normal.keys[position], normal.gradients[position], config.learning_rate)
            patches.append(ridge_regression(layer, features.keys[position], change, config.ridge))
        reached = probability_of_new(model, requests, [view.with_patches((*patches, form))] * len(requests))
        norm = max(relative_norm(model, patch) for patch in patches)
        seconds = watch.seconds
        health = tuple({"relative_norm": norm, "p_new": p, "seconds": seconds / len(requests)} for p in reached)
        return Edited(self.name, tuple(requests), config.layers, (tuple(patches),), health, (), seconds)


def _warm_up(model: LanguageModel, config: UltraeditConfig) -> Moments:
    """Return the moments of texts that the model writes itself, read once."""
    key = f"ultraedit warm-up {config.layers} {config.warm_up} {config.seed}"
    if key not in model.memo:
        texts = context_texts(model, CONTEXTS, config.seed, config.warm_up)[1:]
        model.memo[key] = Moments.of(read(model, [row_of_text(model, text) for text in texts], config.layers, BASE))
    return model.memo[key]


def wanted(
    keys: Float[Tensor, "n d_ff"], gradients: Float[Tensor, "n d_model"], learning_rate: float
) -> Float[Tensor, "n d_model"]:
    """Return how the value at each key is to change, by normalised keys and gradients: -learning_rate |k|^2 g."""
    return -learning_rate * keys.square().sum(1, keepdim=True) * gradients


def ridge_regression(
    layer: int, keys: Float[Tensor, "n d_ff"], change: Float[Tensor, "n d_model"], ridge: float
) -> LowRank | Dense:
    """Return the patch D = V^T K (K^T K + ridge I)^-1 with rows of keys K and changes V, in the smaller of its two forms.

    D = V^T (K K^T + ridge I)^-1 K is the same in n x n. Solved in float64; a pair of matrices where it is the smaller one.
    """
    K, V = keys.double(), change.double()
    n, d_ff = K.shape
    if n <= d_ff:
        B = torch.linalg.solve(K @ K.T + ridge * torch.eye(n, device=K.device, dtype=K.dtype), V).T
        if n * (d_ff + V.shape[1]) <= d_ff * V.shape[1]:
            return LowRank(layer, keys.contiguous(), B.float().contiguous())
        return Dense(layer, (B @ K).float().contiguous())
    inner = K.T @ K + ridge * torch.eye(d_ff, device=K.device, dtype=K.dtype)
    return Dense(layer, torch.linalg.solve(inner, K.T @ V).T.float().contiguous())
