"""Patches as files that are named by what is in them.

A file is written under a temporary name, brought to the disk and renamed, before any event names it: so an event's file
is always there and whole, and one that lost its event harms nobody. Reading checks the name against the content.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from editlab import storage
from editlab.errors import BadFile
from editlab.patches import Dense, LowRank, Patch, Pathway, Preamble

if TYPE_CHECKING:
    from editlab.model import LanguageModel

ADDRESS = re.compile(r"[0-9a-f]{64}")
HEADER = "editlab"
LONGEST_SUBJECT = 10_000
KINDS = {kind.__name__: kind for kind in (LowRank, Dense, Pathway, Preamble)}


class Files:
    """A folder of files that are named by what is in them, made when the first one is written."""

    def __init__(self, folder: Path, suffix: str = "") -> None:
        self.folder, self._suffix = folder, suffix

    def path(self, address: str) -> Path:
        """Where the file of an address lies. Raises `BadFile` for what is no address."""
        if not ADDRESS.fullmatch(address):
            raise BadFile(f"{address[:80]!r} is no address of a file: 64 hexadecimal digits.")
        return self.folder / f"{address}{self._suffix}"

    def keep(self, content: bytes) -> str:
        """Keep a file's bytes, whole or not at all; their address. Raises `BadFile` where the folder takes nothing."""
        address = address_of(content)
        path = self.path(address)
        try:
            if path.exists():
                os.utime(path)  # whoever sweeps takes it for fresh: it is about to be named once more
            else:
                if not self.folder.is_dir():
                    storage.make_folder(self.folder)
                storage.write(path, content)
        except OSError as error:
            raise BadFile(
                f"{self.folder} cannot be written: {error.strerror}. Nothing was changed. Make room there, or set "
                "EDITLAB_DATA to a folder that you may write in."
            ) from error
        return address

    def read(self, address: str) -> bytes:
        """The bytes at an address. Raises `BadFile` where they are missing or were changed."""
        path = self.path(address)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BadFile(f"{path} cannot be read: {error.strerror}. Bring it back from a backup.") from error
        if address_of(content) != address:
            raise BadFile(f"{path} is not what was written there. Bring it back from a backup.")
        return content


class TensorFiles(Files):
    """Files of patches."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, ".safetensors")

    def save(self, patches: Sequence[Patch], fingerprint: str) -> str:
        """Keep the patches of one solve, made for the model of this fingerprint; their address."""
        described: list[dict[str, Any]] = []
        tensors: dict[str, torch.Tensor] = {}
        for number, patch in enumerate(patches):
            values = {field.name: getattr(patch, field.name) for field in fields(patch)}
            own = {name: value for name, value in values.items() if torch.is_tensor(value)}
            tensors |= {f"{number}.{name}": value.detach().cpu().contiguous() for name, value in own.items()}
            plain = {name: value for name, value in values.items() if name not in own}
            described.append({"kind": type(patch).__name__, **plain})
        header = json.dumps({"model": fingerprint, "patches": described}, sort_keys=True)
        return self.keep(save(tensors, {HEADER: header}))

    def load(self, address: str, device: torch.device) -> tuple[Patch, ...]:
        """The patches at an address, on a device. Raises `BadFile`."""
        content = self.read(address)
        try:
            return patches_in(content, device)
        except BadFile as error:
            raise BadFile(f"{self.path(address)}: {error}") from error


class Shape(NamedTuple):
    """What a patch has to fit."""

    n_layers: int
    d_model: int
    d_ff: int

    @classmethod
    def of(cls, model: LanguageModel) -> Shape:
        """A model's."""
        return cls(model.n_layers, model.d_model, model.d_ff)

    def check(self, layers: Iterable[int], solves: Iterable[Patch], pathways: Iterable[Patch]) -> None:
        """Raise `BadFile` where an edit's layers, its patches or its pathways cannot be laid over a model of this shape."""
        if not all(layer in range(self.n_layers) for layer in layers):
            raise BadFile("an edit names a layer that this model does not have")
        if not all(isinstance(patch, LowRank | Dense) and self._takes(patch) for patch in solves):
            raise BadFile("an edit has another shape than this model")
        if not all(isinstance(patch, Pathway) and self._takes(patch) for patch in pathways):
            raise BadFile("a pathway has another shape than this model")

    def _takes(self, patch: LowRank | Dense | Pathway) -> bool:
        if type(patch.layer) is not int or patch.layer not in range(self.n_layers):
            return False
        tensors = {name: value for name, value in vars(patch).items() if torch.is_tensor(value)}
        if not all(value.dtype == torch.float32 and value.isfinite().all() for value in tensors.values()):
            return False
        shapes, d_model, d_ff = {name: tuple(value.shape) for name, value in tensors.items()}, self.d_model, self.d_ff
        if isinstance(patch, Dense):
            return shapes == {"D": (d_model, d_ff)}
        if isinstance(patch, LowRank):
            rank = _length(patch.A)
            return rank > 0 and shapes == {"A": (rank, d_ff), "B": (d_model, rank)}
        hidden, rank = _length(patch.H), _length(patch.V)
        gate = {"H": (hidden, d_ff), "h": (hidden,), "w": (hidden,), "c": ()}
        named = isinstance(patch.subject, str) and len(patch.subject) <= LONGEST_SUBJECT
        return named and hidden * rank > 0 and shapes == {"U": (d_ff, rank), "V": (rank, d_ff), "b": (d_ff,), **gate}


def patches_in(content: bytes, device: torch.device) -> tuple[Patch, ...]:
    """The patches that a file's bytes hold, on a device. Raises `BadFile`."""
    try:
        held = {name: value.to(device) for name, value in load(content).items()}
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        described = json.loads(header["__metadata__"][HEADER])["patches"]
        return tuple(_patch(row, number, held) for number, row in enumerate(described))
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BadFile(f"it holds no patches that this version of EditLab can read: {error}") from error


def _patch(row: dict[str, Any], number: int, tensors: dict[str, torch.Tensor]) -> Patch:
    """The patch that a row of a header describes. Raises `KeyError` or `TypeError` where something of it is missing."""
    kind = KINDS[row["kind"]]
    names = [field.name for field in fields(kind)]
    return kind(**{name: row[name] if name in row else tensors[f"{number}.{name}"] for name in names})


def _length(value: Any) -> int:
    """The rows of a tensor; 0 of what is none."""
    return len(value) if torch.is_tensor(value) and value.ndim else 0


def address_of(content: bytes) -> str:
    """The name of a file: SHA-256 of what is in it."""
    return hashlib.sha256(content).hexdigest()
