"""A way back that needs no record: takes the loudest direction out of an edited weight.

A rank-one edit is often the largest singular component of the weight it was written into; a weight without that component
says the old fact again. It is guesswork where the edit is quiet, and costs the model that component where there is none.
Source: arXiv 2505.20819 (bottom-rank approximations).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from editlab.patches import LowRank, View

if TYPE_CHECKING:
    from editlab.model import LanguageModel


def without_loudest(model: LanguageModel, view: View, layer: int, rank: int = 1) -> LowRank:
    """Return the patch that, laid on a view, removes the `rank` largest singular components of its weight at a layer."""
    laid = view.laid.get(layer)
    edits = laid.dense() if laid is not None and (laid.A is not None or laid.D is not None) else 0.0
    U, S, V = torch.linalg.svd(model.weight(layer) + edits, full_matrices=False)
    return LowRank(layer, V[:rank].contiguous(), -(U[:, :rank] * S[:rank]).contiguous())
