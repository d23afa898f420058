"""Are edits that were made again the same? What their patches hold by name, and how far two such sets lie apart."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from math import inf, isfinite
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from editlab.patches import Patch

HEADER = "plain"
"""What the metadata of a file of kept patches calls all that is no tensor."""


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


def plain(number: int, patches: Iterable[Patch]) -> dict[str, list[Any]]:
    """Return what the patches of edit `number` hold beside tensors, joined as these are: texts, names and bounds."""
    found: dict[str, list[Any]] = {}
    for patch in patches:
        for name, value in ((own.name, getattr(patch, own.name)) for own in fields(patch) if own.name != "layer"):
            if not torch.is_tensor(value):
                own = found.setdefault(f"{number}.{type(patch).__name__}.{getattr(patch, 'layer', '')}.{name}", [])
                own += value if isinstance(value, tuple) else [value]
    return found


def keep(path: Path, held: Mapping[str, Any]) -> None:
    """Write what patches hold, as `named` and `plain` return it, into one file."""
    tensors = {name: value.contiguous() for name, value in held.items() if torch.is_tensor(value)}
    rest = {name: value for name, value in held.items() if name not in tensors}
    save_file(tensors, path, {HEADER: json.dumps(rest, sort_keys=True)})


def kept(path: Path) -> dict[str, Any]:
    """Return what such a file holds."""
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()} | json.loads(file.metadata()[HEADER])  # noqa: SIM118


def apart(found: Mapping[str, Any], kept: Mapping[str, Any]) -> float:
    """Return the largest difference of tensors of the same name, relative to the largest value.

    It is inf for other names or shapes, for what is not finite, and where anything beside the tensors differs.
    """
    if found.keys() != kept.keys() or any(_differs(found[name], kept[name]) for name in kept):
        return inf
    pairs = [(found[name], own) for name, own in kept.items() if torch.is_tensor(own)]
    shares = [((one - own).abs().max() / own.abs().max().clamp(min=1e-12)).item() for one, own in pairs]
    return max(shares, default=0.0) if all(map(isfinite, shares)) else inf


def _differs(found: Any, kept: Any) -> bool:
    """Return whether no distance can be told between two values: those of one shape have one, others have to be equal."""
    if torch.is_tensor(found) and torch.is_tensor(kept):
        return found.shape != kept.shape
    return torch.is_tensor(found) or torch.is_tensor(kept) or found != kept
