"""What storing a weight does to it, and what of a change rises above that: the noise of rounding, and spectra over it.

A weight w of p bits stands on a grid of step ulp(w) = eps 2^floor(log2 |w|), eps = 2^(1-p). Rounding to it adds an error
that is spread evenly over one step, so its variance is ulp² / 12. Over a whole matrix such errors have a largest singular
value of about max_i (sum_j v_ij)^1/2 + max_j (sum_i v_ij)^1/2 (Bandeira and van Handel 2016, Annals of Probability 44(4)):
below it, a direction cannot be told from rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import EllipsisType

import torch
from jaxtyping import Float
from torch import Tensor

BLOCK = 2**22
"""Entries that are worked on together: of a large vocabulary's matrix, whole copies would fill the memory."""
EXACT = 1024
"""The smaller side of a matrix up to which all singular values are computed."""
SOUGHT = (32, 128)
"""How many of the largest are sought of a wider one; more where the first do not reach the noise."""
POWERS = 4
"""Power iterations of the randomised decomposition (Halko, Martinsson and Tropp 2011, algorithm 4.4)."""
FAINT, LOUD = 5.0, 0.1
"""A direction that is fainter than so many floors counts where it has this share of the largest: where an edit's entries are
about as large as the step, what rounding does to them follows the edit's own pattern and is not all noise."""
NUMERIC = 1e-6
"""What float32 leaves of singular values that are zero, as a share of the largest."""


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
    one = other = near = True
    for rows in blocks(found):
        own, others = found[rows], base[rows]
        one = one and torch.equal(own, others.to(own.dtype))
        other = other and torch.equal(own.to(others.dtype), others)
        near = near and _within_a_step(own, others)
        if not (one or other or near):
            return False
    return True


def _within_a_step(found: Tensor, base: Tensor) -> bool:
    half_steps = (step(found.float(), found.dtype) + step(base.float(), base.dtype)) / 2
    return bool(((found.float() - base.float()).abs() <= half_steps).all())


def blocks(weight: Tensor) -> Iterator[slice | EllipsisType]:
    """Yield slices of rows, each of about `BLOCK` entries; all of a tensor without rows."""
    if weight.ndim == 0:
        yield ...
        return
    size = max(1, BLOCK * len(weight) // max(1, weight.numel()))
    for first in range(0, len(weight), size):
        yield slice(first, first + size)


def norm_of(weight: Tensor) -> float:
    """Return the Frobenius norm, summed up in float64."""
    norms = [torch.linalg.vector_norm(weight[rows], dtype=torch.float64) for rows in blocks(weight)]
    return torch.stack(norms).norm().item() if norms else 0.0


def minus(found: Tensor, base: Tensor) -> Float[Tensor, "*shape"]:
    """Return the difference of two weights in float32."""
    change = torch.empty(found.shape, dtype=torch.float32)
    for rows in blocks(found):
        change[rows] = found[rows].float() - base[rows].float()
    return change


def step(weight: Float[Tensor, "*shape"], dtype: torch.dtype) -> Float[Tensor, "*shape"]:
    """Return the distance of neighbouring numbers of a precision, at each weight."""
    kind = torch.finfo(dtype)
    _, exponents = torch.frexp(weight)
    steps = torch.ldexp(torch.full_like(weight, kind.eps), exponents - 1)
    return steps.masked_fill_(weight == 0, 0.0).clamp_(min=kind.smallest_normal * kind.eps)


def chance_of(change: Float[Tensor, "*shape"]) -> float:
    """Return the largest singular value that a matrix with entries of these sizes has where their signs are chance.

    What a small edit does to rounded weights lies below the floor of rounding, but it has a pattern: it rises above this.
    """
    return _floor(change[rows].square() for rows in blocks(change)).top


def floor_of(weight: Float[Tensor, "d_out d_in"], *dtypes: torch.dtype) -> Floor:
    """Return what rounding to these precisions, one after the other, can do to a matrix."""
    kinds = set(dtypes)
    floats = (weight[rows].float() for rows in blocks(weight))
    return _floor(sum(step(own, dtype).square() / 12 for dtype in kinds) for own in floats)


def _floor(variances: Iterator[Float[Tensor, "rows d_in"]]) -> Floor:
    """Return what errors of these variances, some rows of a matrix at a time, can come to; of a vector, their norm."""
    total, highest, columns = 0.0, 0.0, None
    for own in variances:
        total += own.sum(dtype=torch.float64).item()
        if own.ndim > 1:
            highest = max(highest, own.sum(1).max().item())
            columns = own.sum(0) if columns is None else columns + own.sum(0)
    return Floor(total**0.5, total**0.5 if columns is None else highest**0.5 + columns.max().item() ** 0.5)


@dataclass(frozen=True)
class Spectrum:
    """The singular values of a change that are above the noise, largest first, as they are (not squared).

    `floor`: the largest singular value of noise alone; `whole`: whether all above it were found.
    """

    values: tuple[float, ...]
    floor: float
    whole: bool = True

    @property
    def rank(self) -> int:
        """How many directions rise above the noise; at least so many where the spectrum is not `whole`."""
        return len(self.values)

    @property
    def effective(self) -> float:
        """The effective rank: the exponential of the entropy of the normalised values (Roy and Vetterli 2007)."""
        if not self.values:
            return 0.0
        shares = torch.tensor(self.values, dtype=torch.float64)
        shares = shares / shares.sum()
        return torch.special.entr(shares).sum().exp().item()


@torch.no_grad()
def spectrum_of(change: Float[Tensor, "d_out d_in"], floor: float) -> Spectrum:
    """Return the singular values of a change that rise above a floor, or above chance where that is less."""
    floor = min(floor, chance_of(change))
    if change.ndim < 2:
        norm = change.norm().item()
        return Spectrum((norm,) if norm > floor else (), floor)
    if min(change.shape) <= EXACT:
        return _above(torch.linalg.svdvals(change), floor, whole=True)
    for sought in SOUGHT:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            _, values, _ = torch.svd_lowrank(change, q=sought, niter=POWERS)
        found = _above(values, floor, whole=False)
        if found.rank < sought:
            return Spectrum(found.values, found.floor)
    return found


def _above(values: Float[Tensor, "n"], floor: float, whole: bool) -> Spectrum:
    largest = values[0].item()
    least = max(floor, NUMERIC * largest, min(FAINT * floor, LOUD * largest))
    return Spectrum(tuple(value for value in values.tolist() if value > least), floor, whole)
