"""What storing a weight does to it: the step between the numbers of a precision, and the noise that rounding to it makes.

A weight w of p bits stands on a grid of step ulp(w) = eps 2^floor(log2 |w|), eps = 2^(1-p). Rounding to it adds an error
that is spread evenly over one step, so its variance is ulp² / 12. Over a whole matrix such errors have a largest singular
value of about max_i (sum_j v_ij)^1/2 + max_j (sum_i v_ij)^1/2 (Bandeira and van Handel 2016, Annals of Probability 44(4)):
below it, a direction cannot be told from rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Floor:
    """What rounding can do to a whole matrix: the Frobenius norm of the errors, and their largest singular value."""

    norm: float
    top: float


NOTHING = Floor(0.0, 0.0)


def same(found: Tensor, base: Tensor) -> bool:
    """Return whether two weights are the same number everywhere: bit for bit, but for the sign of a zero."""
    if found.dtype != base.dtype or found.shape != base.shape:
        return False
    bits = {8: torch.int64, 4: torch.int32, 2: torch.int16}[found.itemsize]
    return torch.equal(found.view(bits), base.view(bits)) or torch.equal(found, base)


def same_as_stored(found: Tensor, base: Tensor) -> bool:
    """Return whether two weights in different precisions can be the same weight, each rounded as it is stored.

    So it is where one of them rounded to the other's precision is the other, or where no entry differs by more than half
    a step of both. Weights of one precision are the same only where `same` says so.
    """
    if found.dtype == base.dtype or found.shape != base.shape:
        return False
    if torch.equal(found, base.to(found.dtype)) or torch.equal(found.to(base.dtype), base):
        return True
    half_steps = (step(found.float(), found.dtype) + step(base.float(), base.dtype)) / 2
    return bool(((found.float() - base.float()).abs() <= half_steps).all())


def step(weight: Float[Tensor, "*shape"], dtype: torch.dtype) -> Float[Tensor, "*shape"]:
    """Return the distance of neighbouring numbers of a precision, at each weight."""
    kind = torch.finfo(dtype)
    _, exponents = torch.frexp(weight)
    steps = torch.ldexp(torch.full_like(weight, kind.eps), exponents - 1)
    return steps.masked_fill_(weight == 0, 0.0).clamp_(min=kind.smallest_normal * kind.eps)


def floor_of(weight: Float[Tensor, "d_out d_in"], *dtypes: torch.dtype) -> Floor:
    """Return what rounding to these precisions, one after the other, can do to a matrix."""
    variance = sum(step(weight, dtype).square() / 12 for dtype in set(dtypes))
    total = variance.sum(dtype=torch.float64).sqrt().item()
    if variance.ndim < 2:
        return Floor(total, total)
    return Floor(total, (variance.sum(1).max().sqrt() + variance.sum(0).max().sqrt()).item())
