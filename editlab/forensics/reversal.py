"""Takes an edit out of a model whose unedited form nobody has, and asks by a mask whether a prompt was edited.

Removal: what a direction of the spectrum writes is taken out of the weight, whatever it reads. That is the bottom-rank
approximation of Youssef et al. 2026, arXiv 2505.20819v2, in the units of `spectrum`; what the weight itself had along the
direction is lost with it. The mask: a reversal mask hides edits (Holmov et al. 2026, arXiv 2605.28839), so an answer that it
changes more than others may be an edited one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from editlab.forensics.intruder import Intruder
from editlab.patches import BASE, Mask, View

if TYPE_CHECKING:
    from editlab.model import LanguageModel


def reversed_view(view: View, intruders: Iterable[Intruder]) -> View:
    """Return a view without what the intruders write."""
    return view.with_patches([intruder.removal() for intruder in intruders])


def top_components(W: Float[Tensor, "d_model d_ff"], layer: int, count: int = 1) -> Intruder:
    """Return the largest singular directions of W itself, which the paper's bottom-rank approximation leaves out."""
    _, left = torch.linalg.eigh(W @ W.T)
    writes = left.flip(1)[:, :count].contiguous()
    return Intruder(layer, float("nan"), float("nan"), float("nan"), writes, writes.T @ W)


@torch.no_grad()
def change_under_mask(model: LanguageModel, texts: Sequence[str], masks: Sequence[Mask], view: View = BASE) -> list[float]:
    """Return for each text how far a reversal mask takes the next token: KL divergence in nats, unmasked from masked.

    An edited answer should change more than one that the model has learnt; how well that tells them apart is measured in
    docs/results/forensics-blind.md.
    """
    masked = View((*view.patches, *masks), view.threshold)
    said, under = (model.logits(texts, own).log_softmax(-1) for own in (view, masked))
    return (said.exp() * (said - under)).sum(-1).tolist()
