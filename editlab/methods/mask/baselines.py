"""Masks of the same size that learnt nothing: the baselines of a reversal.

As in the paper's comparison: random entries, the largest of W, the largest of what edits added, and whole columns whose
neurons are most active. Each is one mask for all edits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from editlab.methods.mask.batch import Example
from editlab.patches import Mask

if TYPE_CHECKING:
    from editlab.model import LanguageModel

BASELINES = ("random", "magnitude", "delta_magnitude", "activation")


@torch.no_grad()
def baselines(
    model: LanguageModel, examples: Sequence[Example], masks: Sequence[Mask], seed: int = 0
) -> dict[str, tuple[Mask, ...]]:
    """Return for each of `BASELINES` masks at the same layers that prune as many entries, made from `examples`.

    `random`: drawn with `seed`. `magnitude`: the largest |W|. `delta_magnitude`: the largest mean |dW| over the edits.
    `activation`: columns whose neurons are on average most active at the edits' prompts.
    """
    generator = torch.Generator().manual_seed(seed)
    found: dict[str, tuple[Mask, ...]] = {name: () for name in BASELINES}
    for mask in masks:
        layer, count = mask.layer, int((~mask.kept).sum())
        W = model.weight(layer)
        rows = [model.locate(example.request.prompt, example.request.subject) for example in examples]
        active = model.keys(rows, [layer])[layer].abs().mean(0)
        sizes = {
            "random": torch.rand(W.shape, generator=generator).to(W.device),
            "magnitude": W.abs(),
            "delta_magnitude": _mean_delta(examples, layer, W),
            "activation": active[None].expand_as(W) + 1e-9 * torch.rand(W.shape, generator=generator).to(W.device),
        }
        for name, size in sizes.items():
            found[name] = (*found[name], Mask(layer, _without_largest(size, count)))
    return found


def own_delta(example: Example, mask: Mask) -> Mask:
    """Return a mask of the edit's own largest entries, as many as the mask prunes. It needs the edit's record."""
    patches = [patch for patch in example.patches if patch.layer == mask.layer]
    delta = torch.stack([patch.dense() for patch in patches]).sum(0).abs()
    return Mask(mask.layer, _without_largest(delta, int((~mask.kept).sum())))


def _mean_delta(examples: Sequence[Example], layer: int, W: Tensor) -> Float[Tensor, "d_model d_ff"]:
    """Return the mean of |dW|; of a rank-one edit as |b| |a|^T, so that no edit's matrix is made."""
    total = torch.zeros_like(W)
    for example in examples:
        for patch in example.patches:
            if patch.layer == layer:
                total += patch.B.abs() @ patch.A.abs() if len(patch.A) == 1 else patch.dense().abs()
    return total / max(1, len(examples))


def _without_largest(size: Float[Tensor, "d_model d_ff"], count: int) -> Bool[Tensor, "d_model d_ff"]:
    kept = torch.ones(size.numel(), dtype=torch.bool, device=size.device)
    kept[size.flatten().topk(count).indices] = False
    return kept.view(size.shape)
