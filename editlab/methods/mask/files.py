"""Reversal masks as files: bits of a layer's weight, and beside them the report of the training that made them.

A mask means nothing over other weights or for another method's edits: its file is named by the model's fingerprint and the
method, and reading it fails where it does not fit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from editlab import storage
from editlab.errors import BadFile, MissingMask
from editlab.patches import Mask

if TYPE_CHECKING:
    from editlab.model import LanguageModel


@dataclass(frozen=True, eq=False)
class ReversalMask:
    """One mask for all edits of a method: `masks` one a layer, `report` the figures of its training, as plain JSON.

    The report has at least `n_train`, `pruned` (0 to 1), `reversed_train` and `reversed_unseen` (0 to 1: the share of edits,
    held out from training, at which the true object is likelier again than the new one).
    """

    method: str
    masks: tuple[Mask, ...]
    report: Mapping[str, Any]

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers that it masks."""
        return tuple(mask.layer for mask in self.masks)

    @property
    def pruned(self) -> float:
        """The share of entries set to zero, over all its layers."""
        return sum(mask.pruned for mask in self.masks) / len(self.masks)


def find(model: LanguageModel, method: str) -> ReversalMask | None:
    """Return the mask of this model for a method's edits, or None where nobody trained one. Read once a model and file.

    What a user trained goes before what came with EditLab. Raises `BadFile` where the file is damaged.
    """
    paths = [folder / _name(model, method) for folder in reversed(model.masks)]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return None
    key = f"mask {path} {path.stat().st_mtime_ns}"
    if key not in model.memo:
        model.memo[key] = read(path, model)
    return model.memo[key]


def need(model: LanguageModel, method: str) -> ReversalMask:
    """Return the same; raises `MissingMask` saying how to get one."""
    mask = find(model, method)
    if mask is None:
        raise MissingMask(
            f"Nobody trained a reversal mask for {method} edits of {model.name}. "
            f"Run: editlab mask train --model {model.name} --method {method}"
        )
    return mask


def methods_with_masks(model: LanguageModel) -> list[str]:
    """Return the methods for whose edits this model has a mask."""
    paths = (path for folder in model.masks for path in folder.glob(f"{model.checkpoint}-*.safetensors"))
    return sorted({path.stem.partition("-")[2] for path in paths})


def write(mask: ReversalMask, model: LanguageModel, folder: Path) -> Path:
    """Keep a mask in a folder, in place of an older one for the same model and method; where it stands."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _name(model, mask.method)
    header = {
        "model": model.name,
        "fingerprint": model.checkpoint,
        "method": mask.method,
        "shape": list(mask.masks[0].kept.shape),
        "report": dict(mask.report),
    }
    with storage.new_file(path) as part:
        save_file({f"layer{own.layer}": _packed(own.kept) for own in mask.masks}, part, {"editlab": json.dumps(header)})
    return path


def read(path: Path, model: LanguageModel) -> ReversalMask:
    """Read one file for a model. Raises `BadFile` where it is damaged, or was made for other weights."""
    try:
        with safe_open(path, "pt") as file:
            header = json.loads(file.metadata()["editlab"])
            rows, columns = header["shape"]
            masks = tuple(
                Mask(int(name.removeprefix("layer")), _unpacked(file.get_tensor(name), columns).to(model.device))
                for name in sorted(file.keys(), key=lambda name: int(name.removeprefix("layer")))
            )
            found = ReversalMask(header["method"], masks, header["report"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BadFile(f"{path} is not a reversal mask. Delete it and run: editlab mask train") from error
    if header["fingerprint"] != model.checkpoint:
        raise BadFile(
            f"{path} is a mask of {header['model']} ({header['fingerprint']}), not of {model.name} ({model.checkpoint}). "
            "Over other weights it means nothing: train one with: editlab mask train"
        )
    fits = (rows, columns) == (model.d_model, model.d_ff) and all(layer < model.n_layers for layer in found.layers)
    if not masks or not fits or any(mask.kept.shape != (rows, columns) for mask in masks):
        raise BadFile(f"{path} does not fit {model.name}: its layers or shapes are others. Run: editlab mask train")
    return found


def _name(model: LanguageModel, method: str) -> str:
    return f"{model.checkpoint}-{method}.safetensors"


def _packed(kept: Bool[Tensor, "d_model d_ff"]) -> Tensor:
    return torch.from_numpy(np.packbits(kept.cpu().numpy(), axis=1))


def _unpacked(bits: Tensor, columns: int) -> Bool[Tensor, "d_model d_ff"]:
    return torch.from_numpy(np.unpackbits(bits.numpy(), axis=1, count=columns).astype(bool))
