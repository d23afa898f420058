"""Reversal masks for tests: of whatever bits are wanted, where a model looks for them."""

from pathlib import Path

import torch

from editlab.methods import mask
from editlab.methods.mask import ReversalMask
from editlab.model import LanguageModel
from editlab.patches import Mask

REPORT = {"n_train": 1500, "reversed_train": 0.83, "reversed_unseen": 0.62}


def write_mask(model: LanguageModel, folder: Path, method: str = "rome", pruned: float = 0.1) -> Path:
    """A mask of every layer; which entries it prunes is drawn."""
    draw = torch.Generator().manual_seed(0)
    kept = [torch.rand(model.d_model, model.d_ff, generator=draw) >= pruned for _ in range(model.n_layers)]
    masks = tuple(Mask(layer, own) for layer, own in enumerate(kept))
    return mask.write(ReversalMask(method, masks, REPORT | {"pruned": pruned}), model, folder)
