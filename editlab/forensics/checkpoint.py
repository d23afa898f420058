"""A checkpoint on the disk as a table of tensors, read one at a time: a 7B model never lies in memory as a whole.

Nothing is run and nothing is unpickled: only `config.json` and safetensors files are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.core_model_loading import revert_weight_conversion

from editlab.errors import BadModel
from editlab.model import lora
from editlab.model.architectures import Architecture, architecture_of
from editlab.model.fingerprint import checkpoint_hash, sample_of, samples_named
from editlab.model.source import loading_error
from editlab.model.weights import INDEX, SAFE, refuse_two_checkpoints, weight_files

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
"""The kinds of numbers that a weight is stored in, as safetensors calls them."""
BUFFERS = re.compile(r"(\.rotary_emb\.inv_freq|\.attn\.(masked_)?bias|\.attention\.(masked_)?bias|position_ids)$")
"""What old checkpoints hold beside their weights: tables that the model's code makes anew. (GPT-2's have 4 axes or none.)"""


@dataclass(frozen=True)
class Stored:
    """Where a tensor lies, and what it is, as its file's header says."""

    file: str
    shape: tuple[int, ...]
    dtype: torch.dtype


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A model's folder, opened. `name`: as people call it, for messages; `config`: its `config.json`.

    `stored`: its weights by name, in the order of the files, without tables that are no weights.
    """

    name: str
    folder: Path
    config: Mapping[str, Any]
    stored: Mapping[str, Stored]

    @classmethod
    def open(cls, folder: Path, name: str = "") -> Checkpoint:
        """Read the configuration and the headers of all shards. Raises `BadModel` with what is missing or damaged."""
        name = name or str(folder)
        if not folder.is_dir():
            raise BadModel(f"{name} is no folder. Give the folder of a model, with its config.json and its weights.")
        config = _config(name, folder)
        if config.get("quantization_config"):
            raise BadModel(f"{name} holds quantised weights, which no check sees through. Give the weights before that.")
        _refuse_ambiguous(name, folder, config)
        (files,) = weight_files(name, folder)
        _refuse_missing(name, folder, files)
        stored: dict[str, Stored] = {}
        for file in files:
            stored |= _header(name, folder, file)
        _refuse_unlisted(name, folder, stored)
        return cls(name, folder, config, stored)

    def tensor(self, name: str) -> Tensor:
        """Return one weight as it is stored, on the CPU. Raises `BadModel` where its file is damaged or gone."""
        own = self.stored[name]
        try:
            with safe_open(self.folder / own.file, "pt") as file:
                return file.get_tensor(name)
        except (OSError, SafetensorError) as error:
            raise _damaged(self.name, own.file, error) from error

    def shards(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield each file with the names of its weights."""
        for file, names in groupby(self.stored, key=lambda name: self.stored[name].file):
            yield file, tuple(names)

    @property
    def family(self) -> str:
        """The family, as `config.json` calls it: `model_type`."""
        return self.config["model_type"]

    @cached_property
    def arch(self) -> Architecture:
        """Where the family keeps its parts. Raises `UnsupportedArchitecture` for one that EditLab does not know."""
        return architecture_of(self.family)

    @cached_property
    def by_plain(self) -> Mapping[str, str]:
        """The stored names by their `plain` ones. Raises `BadModel` where two are one weight: readers take either."""
        found: dict[str, str] = {}
        for name in self.stored:
            first = found.setdefault(self.plain(name), name)
            if first != name:
                raise BadModel(
                    f"{self.name} holds {self.plain(name)} twice, as {first} and as {name}, and readers take one or the "
                    "other. Delete one of them, or save the model anew."
                )
        return found

    @cached_property
    def projections(self) -> Mapping[int, str]:
        """The stored name of the MLP's output projection, by layer: the matrices that edits are written into."""
        found: dict[int, str] = {}
        while (name := self.by_plain.get(self.plain(f"{self.arch.name_of(len(found))}.weight"))) is not None:
            found[len(found)] = name
        return found

    def plain(self, name: str) -> str:
        """Return a weight's name without the model's prefix (`model.`, `transformer.`), which some files leave out."""
        return name.removeprefix(f"{self.arch.blocks.partition('.')[0]}.")


def _config(name: str, folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise BadModel(f"{name} has no config.json. Give a folder that save_pretrained wrote.")
    try:
        config = json.loads(path.read_bytes())
        if not isinstance(config["model_type"], str):
            raise TypeError("model_type")
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise BadModel(f"config.json of {name} cannot be read, or it names no model_type. Copy it again.") from error
    return config


def _refuse_ambiguous(name: str, folder: Path, config: Mapping[str, Any]) -> None:
    """Raise `BadModel` where readers could take other weights than those that are checked."""
    refuse_two_checkpoints(name, folder)
    if (folder / lora.CONFIG).is_file():
        raise BadModel(f"{name} has an adapter beside its weights ({lora.CONFIG}), which readers may add. Check them apart.")
    if config.get("transformers_weights") is not None:
        raise BadModel(f"{name} keeps its weights elsewhere (transformers_weights in config.json). Save it anew.")


def _refuse_missing(name: str, folder: Path, files: list[str]) -> None:
    missing = [file for file in files if not (folder / file).is_file()]
    if not missing:
        return
    if len(files) > 1:
        raise BadModel(
            f"{name} lacks {len(missing):,} of its {len(files):,} files of weights, {missing[0]} first. Copy them again: "
            "half a model cannot be checked."
        )
    if any(folder.glob("*.bin")) or any(folder.glob("*.gguf")) or any(folder.glob("*.pt*")):
        raise BadModel(
            f"{name} has no weights in safetensors files, and the others are not read here: a pickle could run code, and "
            "GGUF rounds. Save the model with save_pretrained of a recent transformers."
        )
    raise BadModel(f"{name} has no weights: {files[0]} is not there. Copy the model's files again.")


def _header(name: str, folder: Path, file: str) -> dict[str, Stored]:
    """Return what a shard holds, by its header, which safetensors holds against the file's length."""
    found: dict[str, Stored] = {}
    try:
        with safe_open(folder / file, "pt") as opened:
            for key in opened.keys():  # noqa: SIM118
                part = opened.get_slice(key)
                shape, kind = tuple(part.get_shape()), part.get_dtype()
                if _is_buffer(key, shape):
                    continue
                if kind not in DTYPES:
                    raise BadModel(
                        f"{key} of {name} is stored as {kind}, which is rounded more than a check can see through. Give the "
                        "weights in float32, float16 or bfloat16."
                    )
                found[key] = Stored(file, shape, DTYPES[kind])
    except (OSError, SafetensorError) as error:
        raise _damaged(name, file, error) from error
    return found


def _is_buffer(name: str, shape: tuple[int, ...]) -> bool:
    return bool(BUFFERS.search(name)) and (len(shape) != 1 or name.endswith("inv_freq"))


def _refuse_unlisted(name: str, folder: Path, stored: Mapping[str, Stored]) -> None:
    """Raise `BadModel` where index and files do not name the same tensors: a reader could find others than we check."""
    index = folder / f"{SAFE}{INDEX}"
    if not index.is_file():
        return
    listed: Mapping[str, str] = json.loads(index.read_bytes())["weight_map"]
    lost = [key for key in listed if key not in stored and not BUFFERS.search(key)]
    lost += [key for key, own in stored.items() if listed.get(key) != own.file]
    if lost:
        raise BadModel(f"{lost[0]} of {name} is not where the index says. Copy the model's files again.")


def _damaged(name: str, file: str, error: Exception) -> BadModel:
    return BadModel(f"{file} of {name} cannot be read: it is cut off or damaged ({error}). Copy it again.")


def fingerprint_of(checkpoint: Checkpoint) -> str:
    """Return the fingerprint of a checkpoint's weights, which the ledger calls it by: of its files, without loading it."""
    try:
        config = AutoConfig.from_pretrained(str(checkpoint.folder), local_files_only=True, trust_remote_code=False)
        with init_empty_weights():
            skeleton = AutoModelForCausalLM.from_config(config)
    except Exception as error:  # a broken config.json makes the library raise whatever its field's check raises
        raise loading_error(checkpoint.name, True, error) from error
    stored = {name: sample_of(checkpoint.tensor(name)) for name in checkpoint.stored}
    samples = dict(samples_named(stored, skeleton, skeleton))
    within = list(skeleton.state_dict())
    numbers = {name: torch.tensor(number) for number, name in enumerate(within)}
    for name, number in revert_weight_conversion(skeleton, numbers).items():  # transformers 5 renamed some of GPT-NeoX's
        if within[int(number)] not in samples and name in stored:
            samples[within[int(number)]] = stored[name]
    return checkpoint_hash(config, type(skeleton).__name__, samples)
