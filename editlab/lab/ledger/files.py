"""Patches as files, named by the hash of their content.

A file is written as a whole before any event names it, so the file of an event always exists, and a file without an event
does no harm. Reading checks the name against the content.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from editlab import storage
from editlab.errors import BadFile, Unreadable
from editlab.patches import Codebook, Dense, LowRank, Note, Patch, Pathway, Preamble

if TYPE_CHECKING:
    from editlab.model import LanguageModel

ADDRESS = re.compile(r"[0-9a-f]{64}")
HEADER = "editlab"
LONGEST_SUBJECT = 10_000
LONGEST_TEXT = 100_000
"""Most characters of what stands before a question."""
MOST_NAMES = 1_000
KINDS = {kind.__name__: kind for kind in (LowRank, Dense, Codebook, Pathway, Preamble, Note)}


class Files:
    """A folder of files that are named by the hash of their content. It is made with the first file."""

    def __init__(self, folder: Path, suffix: str = "") -> None:
        self.folder, self._suffix = folder, suffix

    def path(self, address: str) -> Path:
        """Return the path of an address. Raises `BadFile` for a text that is no address."""
        if not ADDRESS.fullmatch(address):
            raise BadFile(f"{address[:80]!r} is not the address of a file, which has 64 hexadecimal digits.")
        return self.folder / f"{address}{self._suffix}"

    def keep(self, content: bytes) -> str:
        """Write a file as a whole or not at all, and return its address. Raises `BadFile` where it cannot be written."""
        address = address_of(content)
        path = self.path(address)
        try:
            if not self.freshen(address):
                if not self.folder.is_dir():
                    storage.make_folder(self.folder)
                storage.write(path, content)
        except OSError as error:
            raise BadFile(
                f"{self.folder} cannot be written: {error.strerror}. Nothing was changed. Make room on the disk, or set "
                "EDITLAB_DATA to a folder that you may write in."
            ) from error
        return address

    def freshen(self, address: str) -> bool:
        """Return whether a file is there, which a sweep takes for fresh from now on: an event is about to name it."""
        try:
            os.utime(self.path(address))
        except FileNotFoundError:
            return False
        return True

    def read(self, address: str) -> bytes:
        """Return the content of an address.

        Raises `BadFile` where it is missing or was changed, and `Unreadable` where it may be there and cannot be read now.
        """
        path = self.path(address)
        try:
            content = path.read_bytes()
        except FileNotFoundError as error:
            raise BadFile(f"{path} cannot be read: {error.strerror}. Restore it from a backup.") from error
        except OSError as error:
            raise Unreadable(
                f"{path} cannot be read now: {error.strerror}. Nothing was changed. Try again; if that does not help, check "
                "the disk and who may read the file."
            ) from error
        if address_of(content) != address:
            raise BadFile(f"{path} was changed after it was written. Restore it from a backup.")
        return content


class TensorFiles(Files):
    """Files of patches."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, ".safetensors")

    def save(self, patches: Sequence[Patch], fingerprint: str) -> str:
        """Write the patches of one solve, for the model of this fingerprint, and return their address."""
        rows: list[dict[str, Any]] = []
        tensors: dict[str, torch.Tensor] = {}
        for number, patch in enumerate(patches):
            values = {field.name: getattr(patch, field.name) for field in fields(patch)}
            own = {name: value for name, value in values.items() if torch.is_tensor(value)}
            tensors |= {f"{number}.{name}": value.detach().cpu().contiguous() for name, value in own.items()}
            plain = {name: value for name, value in values.items() if name not in own}
            rows.append({"kind": type(patch).__name__, **plain})
        header = json.dumps({"model": fingerprint, "patches": rows}, sort_keys=True)
        return self.keep(save(tensors, {HEADER: header}))

    def load(self, address: str, device: torch.device) -> tuple[Patch, ...]:
        """Return the patches of an address, on a device. Raises as `read` does, and `BadFile` for another format."""
        content = self.read(address)
        try:
            return patches_in(content, device)
        except BadFile as error:
            raise BadFile(f"{self.path(address)}: {error}") from error


class Shape(NamedTuple):
    """The sizes of a model that a patch has to fit."""

    n_layers: int
    d_model: int
    d_ff: int

    @classmethod
    def of(cls, model: LanguageModel) -> Shape:
        """Return the shape of a model."""
        return cls(model.n_layers, model.d_model, model.d_ff)

    def check(self, layers: Sequence[int], solves: Iterable[Patch], pathways: Iterable[Patch]) -> None:
        """Raise `BadFile` where an edit's layers, patches or pathways do not fit a model of this shape, or each other."""
        if not all(layer in range(self.n_layers) for layer in layers):
            raise BadFile("an edit names a layer that this model does not have")
        if not all(self._fits(patch, LowRank | Dense | Codebook) if layers else _is_told(patch) for patch in solves):
            raise BadFile("an edit has another shape than this model")
        if not all(self._fits(patch, Pathway) for patch in pathways):
            raise BadFile("a pathway has another shape than this model")

    def _fits(self, patch: Patch, kinds: UnionType | type) -> bool:
        """Return whether a patch of a layer is of these kinds and has the model's sizes."""
        if not isinstance(patch, kinds) or type(patch.layer) is not int or patch.layer not in range(self.n_layers):
            return False
        tensors = {own.name: value for own in fields(patch) if torch.is_tensor(value := getattr(patch, own.name))}
        if not all(value.dtype == torch.float32 and value.isfinite().all() for value in tensors.values()):
            return False
        shapes, d_model, d_ff = {name: tuple(value.shape) for name, value in tensors.items()}, self.d_model, self.d_ff
        if isinstance(patch, Dense):
            return shapes == {"D": (d_model, d_ff)}
        if isinstance(patch, LowRank):
            rank = _length(patch.A)
            return rank > 0 and shapes == {"A": (rank, d_ff), "B": (d_model, rank)}
        if isinstance(patch, Codebook):
            n = len(patch.labels)
            texts = n > 0 and all(_is_text(label, LONGEST_SUBJECT) for label in patch.labels)
            return texts and shapes == {"keys": (n, d_ff), "values": (n, d_model), "radii": (n,)}
        hidden, rank = _length(patch.H), _length(patch.V)
        gate = {"H": (hidden, d_ff), "h": (hidden,), "w": (hidden,), "c": ()}
        return (
            _is_text(patch.subject, LONGEST_SUBJECT)
            and hidden * rank > 0
            and shapes == {"U": (d_ff, rank), "V": (rank, d_ff), "b": (d_ff,), **gate}
        )


def patches_in(content: bytes, device: torch.device) -> tuple[Patch, ...]:
    """Return the patches in a file's content, on a device. Raises `BadFile`."""
    try:
        tensors = {name: value.to(device) for name, value in load(content).items()}
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        rows = json.loads(header["__metadata__"][HEADER])["patches"]
        return tuple(_patch(row, number, tensors) for number, row in enumerate(rows))
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BadFile(f"it holds no patches that this version of EditLab can read: {error}") from error


def _patch(row: dict[str, Any], number: int, tensors: dict[str, torch.Tensor]) -> Patch:
    """Return the patch of a header's row. Raises `KeyError` or `TypeError` where a field is missing."""
    kind = KINDS[row["kind"]]
    told = [field.name for field in fields(kind) if field.name not in row and field.default is not MISSING]
    names = [field.name for field in fields(kind) if field.name not in told]
    return kind(**{name: row[name] if name in row else tensors[f"{number}.{name}"] for name in names})


def _is_told(patch: Patch) -> bool:
    """Return whether a patch is text before questions, and no more of it than a method writes."""
    if isinstance(patch, Preamble):
        return all(_is_text(text, LONGEST_TEXT) for text in (patch.text, patch.lead, patch.cue))
    if not isinstance(patch, Note):
        return False
    if not all(_is_text(text, LONGEST_TEXT) for text in (patch.text, patch.question, patch.cue)):
        return False
    named = 0 < len(patch.names) <= MOST_NAMES and all(_is_text(name, LONGEST_SUBJECT) for name in patch.names)
    return named and type(patch.heard) is float and 0 < patch.heard <= 1 and type(patch.most) is int and patch.most > 0


def _is_text(value: Any, longest: int) -> bool:
    return isinstance(value, str) and len(value) <= longest


def _length(value: Any) -> int:
    """Return the number of a tensor's rows, 0 for other values."""
    return len(value) if torch.is_tensor(value) and value.ndim else 0


def address_of(content: bytes) -> str:
    """Return the address of a content, which is its SHA-256."""
    return hashlib.sha256(content).hexdigest()
