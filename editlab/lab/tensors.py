"""Patches as files that are named by what is in them.

A file is written under a temporary name, brought to the disk and renamed, before any event names it: so an event's file
is always there and whole, and one that lost its event harms nobody. Reading checks the name against the content.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from editlab.errors import BadFile
from editlab.patches import Dense, LowRank, Patch, Pathway, Preamble

ADDRESS = re.compile(r"[0-9a-f]{64}")
HEADER = "editlab"
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
                self._write(path, content)
        except OSError as error:
            raise BadFile(
                f"{self.folder} cannot be written: {error.strerror}. Nothing was changed. Make room there, or set "
                "EDITLAB_DATA to a folder that you may write in."
            ) from error
        return address

    def _write(self, path: Path, content: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".{secrets.token_hex(8)}.tmp"
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync(self.folder)

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
        self.read(address)
        path = self.path(address)
        try:
            with safe_open(path, "pt", device=str(device)) as file:
                described = json.loads(file.metadata()[HEADER])["patches"]
                held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - a file is no mapping
                return tuple(_patch(row, number, held) for number, row in enumerate(described))
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise BadFile(f"{path} holds no patches that this version of EditLab can read: {error}") from error


def _patch(row: dict[str, Any], number: int, tensors: dict[str, torch.Tensor]) -> Patch:
    """The patch that a row of a header describes. Raises `KeyError` or `TypeError` where something of it is missing."""
    kind = KINDS[row["kind"]]
    names = [field.name for field in fields(kind)]
    return kind(**{name: row[name] if name in row else tensors[f"{number}.{name}"] for name in names})


def address_of(content: bytes) -> str:
    """The name of a file: SHA-256 of what is in it."""
    return hashlib.sha256(content).hexdigest()


def _sync(folder: Path) -> None:
    """Bring a folder's list of names to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
