"""Reversal masks for tests: of whatever bits are wanted, where a model looks for them."""

from collections.abc import Sequence
from pathlib import Path

import torch

from editlab.methods import mask
from editlab.methods.mask import ReversalMask
from editlab.model import LanguageModel
from editlab.patches import Mask

REPORT = {"n_train": 1500, "reversed_train": 0.83, "reversed_unseen": 0.62}


def write_mask(
    model: LanguageModel, folder: Path, method: str = "rome", pruned: float = 0.1, layers: Sequence[int] | None = None
) -> Path:
    """Write a mask of these layers, of all unless given; which entries it prunes is drawn."""
    draw = torch.Generator().manual_seed(0)
    on = range(model.n_layers) if layers is None else layers
    masks = tuple(Mask(layer, torch.rand(model.d_model, model.d_ff, generator=draw) >= pruned) for layer in on)
    return mask.write(ReversalMask(method, masks, REPORT | {"pruned": pruned}), model, folder)
