"""What may come after a solve: RECT keeps an update's relatively largest entries, PRUNE cuts what grew too loud."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from editlab.patches import Dense, LowRank, View

if TYPE_CHECKING:
    from editlab.model import LanguageModel

After = Literal["nothing", "rect", "prune"]
KEPT = 0.4
"""The share of entries that RECT keeps: AlphaEdit's comparison keeps 40 %, the authors' own code 20 %."""
EPSILON = 1e-8
LOOKED_AT = 32
"""Singular values of all edits of a layer that PRUNE looks at, at most: few are ever above the largest of the weight."""


def finished(model: LanguageModel, patch: LowRank, view: View, after: After) -> LowRank | Dense:
    """Return a patch that was solved on a view, as it is to be laid."""
    if after == "rect":
        return Dense(patch.layer, rect(model.weight(patch.layer), patch.dense(), KEPT))
    return prune(model, patch, view) if after == "prune" else patch


def rect(
    weight: Float[Tensor, "d_model d_ff"], update: Float[Tensor, "d_model d_ff"], kept: float
) -> Float[Tensor, "d_model d_ff"]:
    """Return an update with this share of its entries, those with the largest |dW / W|, and zeros elsewhere.

    Gu et al. 2024 (RECT), arXiv 2401.04700.
    """
    relative = (update / (weight.abs() + EPSILON)).abs().flatten()
    least = relative.kthvalue(len(relative) - max(1, round(kept * len(relative))) + 1).values
    return torch.where(relative.view_as(update) >= least, update, 0.0)


def prune(model: LanguageModel, patch: LowRank, view: View) -> LowRank:
    """Return a patch after which no singular value s of the layer's edits together is far above W's largest, m.

    One above it becomes log s - log m + m. Ma et al. 2024 (PRUNE), arXiv 2405.16821. What the view holds stays as it is: the
    patch itself takes back what is too loud, by one rank more a singular value.
    """
    laid = view.laid.get(patch.layer)
    before = laid.dense() if laid is not None and (laid.A is not None or laid.D is not None) else 0.0
    total = before + patch.dense()
    with torch.random.fork_rng(devices=[total.device] if total.is_cuda else []):
        torch.manual_seed(0)
        U, S, V = torch.svd_lowrank(total, q=min(LOOKED_AT, *total.shape), niter=4)
    most = largest_singular_value(model, patch.layer)
    above = most < S
    if not above.any():
        return patch
    change = S[above].log() - most.log() + most - S[above]
    A = torch.cat([patch.A, V[:, above].T])
    return LowRank(patch.layer, A.contiguous(), torch.cat([patch.B, U[:, above] * change], 1).contiguous())


def largest_singular_value(model: LanguageModel, layer: int) -> Float[Tensor, ""]:
    """Return the largest singular value of a layer's weight, once a model."""
    key = f"largest singular value of W at layer {layer}"
    if key not in model.memo:
        model.memo[key] = torch.linalg.matrix_norm(model.weight(layer), 2)
    return model.memo[key]
