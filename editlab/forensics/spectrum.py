"""How many directions a change of a matrix has, and how strong they are."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

EXACT = 1024
"""The smaller side of a matrix up to which all singular values are computed."""
SOUGHT = (32, 256)
"""How many of the largest are sought of a wider one; more where the first do not reach the noise."""
POWERS = 4
"""Power iterations of the randomised decomposition (Halko, Martinsson and Tropp 2011, algorithm 4.4)."""
NUMERIC = 1e-6
"""What float32 leaves of singular values that are zero, as a share of the largest."""


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
    """Return the singular values of a change that rise above a floor."""
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
    least = max(floor, NUMERIC * values[0].item())
    return Spectrum(tuple(value for value in values.tolist() if value > least), floor, whole)
