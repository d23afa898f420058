"""Hyperspherical energy: how evenly the rows of a weight point in all directions, an early warning that asks no question.

Edits that pile up turn rows of the edited weight towards each other; where the energy moves, editing failures were seen to
follow. Liu et al. 2025 (SPHERE), arXiv 2510.01172.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from editlab.patches import View

if TYPE_CHECKING:
    from editlab.model import LanguageModel

NEAREST = 1e-6
"""Rows that are nearer than this, on the unit sphere, count as this far from each other."""


@torch.no_grad()
def energy(weight: Float[Tensor, "d_model d_ff"]) -> float:
    """Return the mean of 1 / distance over all pairs of rows of a weight, each brought to length 1."""
    rows = torch.nn.functional.normalize(weight.float(), dim=1)
    squared = (2 - 2 * rows @ rows.T).clamp(min=NEAREST**2)
    return float(torch.triu(squared.rsqrt(), 1).double().sum() / (len(rows) * (len(rows) - 1) / 2))


def growth(model: LanguageModel, view: View) -> float:
    """Return by how much the edits of a view changed the energy of their layer, as a share, where the change is largest."""
    found: list[float] = []
    for layer, laid in view.laid.items():
        if laid.A is None and laid.D is None:
            continue
        weight, key = model.weight(layer), f"hyperspherical energy of W at layer {layer}"
        if key not in model.memo:
            model.memo[key] = energy(weight)
        found.append(energy(weight + laid.at(weight.device).dense()) / model.memo[key] - 1)
    return largest(found)


def largest(values: Sequence[float]) -> float:
    """Return the value farthest from 0; 0 without any, NaN where one is NaN."""
    return math.nan if any(map(math.isnan, values)) else max(values, key=abs, default=0.0)
