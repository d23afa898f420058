"""How much of a change is the sum of edits that are known: least squares over their matrices, and what is left over.

The change C of a weight is held against the edits E_i of that weight: the coefficients c minimise |C - sum_i c_i E_i|, by
the normal equations, whose inner products <B A, B' A'> = tr((A A'ᵀ)ᵀ (Bᵀ B')) need no whole matrix of a low-rank edit. An
edit that was written into the weight as it was made has the coefficient 1, one that was not has 0. What is left over is
taken where rounding cannot blur it: from W + sum_i c_i E_i in the precision in which the checkpoint is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from editlab.forensics.known import Update
from editlab.patches import View

NEAR = 0.3
"""How near a coefficient must be to 0 or 1 to be tried as 0 or 1."""
BETTER = 0.9
"""Fitted coefficients count where they leave less than this share of what those tried as 0 and 1 leave."""
ABSENT = 0.05
"""Coefficients below this are of edits that the weight does not have."""


@dataclass(frozen=True)
class Explanation:
    """The coefficients of the known edits in one weight, by their places, and what they leave of the change."""

    coefficients: dict[int, float]
    left: Float[Tensor, "d_out d_in"]


def explain(
    change: Float[Tensor, "d_out d_in"],
    edits: Sequence[tuple[int, tuple[Update, ...]]],
    left_by: Callable[[Float[Tensor, "d_out d_in"]], Float[Tensor, "d_out d_in"]],
) -> Explanation:
    """Return the edits' coefficients and the change that they do not explain.

    `edits`: the place of each among the known ones, and what it adds to this weight; `left_by`: what a sum of edits leaves
    of the change, rounded as the weight is stored. Both the fitted coefficients and those rounded to 0 and 1 are tried.
    """
    if not edits:
        return Explanation({}, change)
    fitted = _fitted(change, [updates for _, updates in edits])
    near = torch.where((fitted - fitted.round()).abs() <= NEAR, fitted.round().clamp(0, 1), fitted)
    best: Explanation | None = None
    for coefficients in (near, fitted):
        used = {place: c for (place, _), c in zip(edits, coefficients.tolist(), strict=True) if abs(c) >= ABSENT}
        added = _sum([(used[place], updates) for place, updates in edits if place in used])
        left = change if added is None else left_by(added)
        if best is None or left.norm() < BETTER * best.left.norm():
            best = Explanation(used, left)
        if not best.left.any():
            break
    return best


def _fitted(change: Float[Tensor, "d_out d_in"], edits: Sequence[tuple[Update, ...]]) -> Float[Tensor, "n"]:
    """Return the coefficients by least squares; of edits that cannot be told apart, those of least norm."""
    laid = [View(updates).laid[0] for updates in edits]
    pairs = [(number, own.B, own.A) for number, own in enumerate(laid) if own.A is not None]
    wholes = [(number, own.D) for number, own in enumerate(laid) if own.D is not None]
    gram = torch.zeros(len(laid), len(laid), dtype=torch.float64)
    right = torch.zeros(len(laid), dtype=torch.float64)
    if pairs:
        owner = torch.cat([torch.full((len(A),), number) for number, _, A in pairs])
        B, A = torch.cat([B for _, B, _ in pairs], dim=1), torch.cat([A for _, _, A in pairs])
        right.index_add_(0, owner, ((change @ A.T) * B).sum(0).double())
        inner = torch.zeros(len(laid), len(A), dtype=torch.float64)
        inner.index_add_(0, owner, ((A @ A.T) * (B.T @ B)).double())
        gram.index_add_(1, owner, inner)
        for number, D in wholes:
            across = torch.zeros(len(laid), dtype=torch.float64).index_add_(0, owner, ((D @ A.T) * B).sum(0).double())
            gram[number] += across
            gram[:, number] += across
    for number, D in wholes:
        right[number] += (change * D).sum(dtype=torch.float64)
        for other, own in wholes:
            gram[number, other] += (D * own).sum(dtype=torch.float64)
    return torch.linalg.lstsq(gram, right[:, None], driver="gelsd").solution[:, 0]


def _sum(edits: Sequence[tuple[float, tuple[Update, ...]]]) -> Float[Tensor, "d_out d_in"] | None:
    """Return the sum of edits times their coefficients, added up as a view adds up its patches: to the same last bit."""
    scaled = [_scaled(update, c) for c, updates in edits for update in updates]
    return View(tuple(scaled)).laid[0].dense() if scaled else None


def _scaled(update: Update, c: float) -> Update:
    if c == 1.0:
        return update
    return type(update)(0, update.A, c * update.B) if hasattr(update, "B") else type(update)(0, c * update.D)
