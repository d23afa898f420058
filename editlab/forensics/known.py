"""What is known of a checkpoint's edits: the matrices that each adds, by the names of the weights.

They come from an adapter, from a folder of tensors that EditLab exported, or from a ledger (`lab/ledger/known.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from editlab.errors import BadFile
from editlab.model import lora
from editlab.model.architectures import Architecture
from editlab.patches import Dense, LowRank, Patch
from editlab.wording import noop

EDITS, PATCHES = "edits.safetensors", "patches.safetensors"
PART = re.compile(r"(?P<module>[^/]+)/(?P<number>\d+)/(?P<part>[ABD])")
OWN = re.compile(r"(?P<number>\d+)\.(LowRank|Dense)\.(?P<layer>\d+)\.(?P<part>[ABD])")
"""How the exports call a tensor: of what a view adds, and of an edit by its number."""

Update = LowRank | Dense
"""What is added to a weight; its layer is not looked at."""


@dataclass(frozen=True, eq=False)
class Known:
    """An edit whose matrices are at hand. `updates`: what it adds to each weight, by name; `source`: where it is from."""

    name: str
    source: str
    updates: Mapping[str, tuple[Update, ...]]

    @property
    def digest(self) -> str:
        """A hash of all that it adds: the same edit in two workspaces counts once."""
        return repr([(name, [own.digest for own in updates]) for name, updates in sorted(self.updates.items())])


def by_patches(name: str, source: str, patches: Iterable[Patch], arch: Architecture) -> Known | None:
    """Return an edit by its patches; None where it changes no weight, as text before a question."""
    updates: dict[str, tuple[Update, ...]] = {}
    for patch in patches:
        if isinstance(patch, LowRank | Dense):
            weight = f"{arch.name_of(patch.layer)}.weight"
            updates[weight] = (*updates.get(weight, ()), replace(patch, layer=0))
    return Known(name, source, updates) if updates else None


def by_adapter(folder: Path) -> Known:
    """Return all that a LoRA adds as one edit. Raises `BadModel` for what is not a plain LoRA."""
    pairs = lora.read(str(folder), folder).pairs()
    return Known(folder.name, str(folder), {name: (LowRank(0, A, B),) for name, (A, B) in pairs.items()})


def by_tensors(folder: Path) -> Known:
    """Return the edits of a folder that `editlab export --format tensors` wrote, as one. Raises `BadFile`."""
    path = folder / EDITS
    parts: dict[str, dict[str, dict[str, Tensor]]] = {}
    try:
        for key, tensor in load_file(path).items():
            place = PART.fullmatch(key)
            if place is None:
                raise ValueError(f"it holds {key!r:.100}")
            parts.setdefault(f"{place['module']}.weight", {}).setdefault(place["number"], {})[place["part"]] = tensor
        updates = {name: tuple(_update(own) for own in numbered.values()) for name, numbered in parts.items()}
    except (OSError, SafetensorError, ValueError, LookupError) as error:
        raise BadFile(f"{path} holds no edits that EditLab exported: {error}. Export them again.") from error
    return Known(folder.name, str(folder), updates)


def by_script(folder: Path, arch: Architecture) -> tuple[Known, ...]:
    """Return the edits of a folder that was exported as a script or a notebook, one by one. Raises `BadFile`."""
    path = folder / PATCHES
    parts: dict[int, dict[str, dict[str, Tensor]]] = {}
    try:
        for key, tensor in load_file(path).items():
            if place := OWN.fullmatch(key):  # pathways and text are no weights
                weight = f"{arch.name_of(int(place['layer']))}.weight"
                parts.setdefault(int(place["number"]), {}).setdefault(weight, {})[place["part"]] = tensor
        edits = {number: {name: (_update(own),) for name, own in found.items()} for number, found in sorted(parts.items())}
    except (OSError, SafetensorError, ValueError, LookupError) as error:
        raise BadFile(f"{path} holds no edits that EditLab exported: {error}. Export them again.") from error
    return tuple(Known(noop(f"edit {number + 1}"), str(folder), updates) for number, updates in edits.items())


def _update(parts: Mapping[str, Float[Tensor, "..."]]) -> Update:
    if "D" in parts:
        return Dense(0, parts["D"])
    if parts["A"].ndim != 2 or parts["B"].ndim != 2 or len(parts["A"]) != parts["B"].shape[1]:
        raise ValueError("its matrices do not fit each other")
    return LowRank(0, parts["A"], parts["B"])


def distinct(edits: Iterable[Known]) -> tuple[Known, ...]:
    """Return edits without those that add the very same as an earlier one."""
    found: dict[str, Known] = {}
    for edit in edits:
        found.setdefault(edit.digest, edit)
    return tuple(found.values())


def fits(update: Update, shape: tuple[int, ...]) -> bool:
    """Return whether an update can be added to a matrix of this shape, and is finite."""
    own = (len(update.B), update.A.shape[1]) if isinstance(update, LowRank) else tuple(update.D.shape)
    tensors = (update.A, update.B) if isinstance(update, LowRank) else (update.D,)
    return own == tuple(shape) and all(bool(torch.isfinite(tensor).all()) for tensor in tensors)
