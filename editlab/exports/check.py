"""Are edits that were made again the same? Their tensors by name, and how far two such sets lie apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields

import torch
from torch import Tensor

from editlab.patches import Patch


def named(number: int, patches: Iterable[Patch]) -> dict[str, Tensor]:
    """Return the tensors of edit `number`, patches of one kind and layer joined: a batch may be kept whole or in parts."""
    found: dict[str, Tensor] = {}
    for patch in patches:
        for name, tensor in ((own.name, getattr(patch, own.name)) for own in fields(patch)):
            if torch.is_tensor(tensor):
                key = f"{number}.{type(patch).__name__}.{patch.layer}.{name}"
                tensor = tensor.detach().cpu()
                found[key] = torch.cat([found[key], tensor], dim=1 if name == "B" else 0) if key in found else tensor
    return found


def apart(found: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> float:
    """Return the largest difference of tensors of the same name, relative to the largest value; inf for other names."""
    if found.keys() != kept.keys() or any(found[name].shape != kept[name].shape for name in kept):
        return float("inf")
    largest = [kept[name].abs().max().clamp(min=1e-12) for name in kept]
    shares = [((found[name] - kept[name]).abs().max() / most).item() for name, most in zip(kept, largest, strict=True)]
    return max(shares, default=0.0)
