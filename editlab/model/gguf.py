"""GGUF files, as llama.cpp writes them: what is in one, and its weights as an ordinary folder in safetensors.

The header alone says the shape, so that memory is planned before anything is dequantised. Names, the order of rows and the
formats of the blocks come from transformers and the `gguf` package.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoTokenizer, GenerationConfig, PretrainedConfig, PreTrainedTokenizerBase
from transformers.integrations.ggml import GGUF_CONFIG_DEFAULTS_MAPPING, GGUF_CONFIG_MAPPING
from transformers.integrations.gguf import reader
from transformers.modeling_gguf_pytorch_utils import TENSOR_PROCESSORS, TensorProcessor, get_gguf_hf_weights_map

from editlab.errors import BadModel, UnsupportedArchitecture
from editlab.model.weights import INDEX, SAFE
from editlab.storage import stamp
from editlab.wording import noop
from editlab.work import Cancel, Progress, stop_if

FAMILIES = {
    "llama": "llama",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "phi3": "phi3",
    "gemma2": "gemma2",
    "gemma3": "gemma3_text",
    "gpt2": "gpt2",
}
"""What GGUF calls a family, and what transformers does: those that both sides know how to translate."""
LEFT_OUT = {
    "qwen3": {"attention.key_length": "head_dim"},
    "gpt2": {"context_length": "n_positions", "feed_forward_length": "n_inner"},
}
"""Settings that transformers' own table of a family's metadata does not have."""
LARGEST = {"gemma2": 46, "gemma3": 62}
"""The layers of the largest model of a family, which llama.cpp treats otherwise."""
SHARD_BYTES = 1_000_000_000
HALVES = {GGMLQuantizationType.F32: torch.float32, GGMLQuantizationType.F16: torch.float16}
"""Types that are kept as they are; all others become bfloat16, which is finer than their blocks."""
ENDS = ("tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id")
"""What ends a text, and what ends a turn of a chat."""
EMBEDDING, ROPE_FACTORS = "token_embd.weight", "rope_freqs.weight"


@dataclass(frozen=True)
class Entry:
    """One tensor of a file: its name, shape, type, first byte and length."""

    name: str
    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    start: int
    size: int


@dataclass(frozen=True, eq=False)
class GgufFile:
    """A GGUF file whose header was read and found whole. `name`: as the user gave it, for messages."""

    name: str
    path: Path
    metadata: dict[str, Any]
    tensors: tuple[Entry, ...]
    config: PretrainedConfig

    @property
    def digest(self) -> str:
        """The first 16 letters of the file's SHA-256."""
        return _digest(self.path, stamp(self.path))

    @property
    def kind(self) -> str:
        """The type that most of its weights are stored in."""
        sizes: dict[str, int] = {}
        for tensor in self.tensors:
            sizes[tensor.kind.name] = sizes.get(tensor.kind.name, 0) + tensor.size
        return max(sizes, key=lambda kind: sizes[kind])

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Return its tokenizer. Raises `BadModel`."""
        try:
            return AutoTokenizer.from_pretrained(str(self.path.parent), gguf_file=self.path.name, local_files_only=True)
        except Exception as error:  # whatever a damaged vocabulary makes the library raise
            raise BadModel(f"The tokenizer in {self.name} cannot be read. Take another conversion of the model.") from error

    def dequantise(self, folder: Path, skeleton: nn.Module, progress: Progress, cancel: Cancel) -> None:
        """Write the model into an empty folder, in safetensors. Raises `BadModel`, `Cancelled`."""
        self.tokenizer().save_pretrained(folder)
        shards: list[dict[str, Tensor]] = [{}]
        weight_map: dict[str, str] = {}
        for number, (name, tensor) in enumerate(self._weights(skeleton)):
            stop_if(cancel, "Stopped while the weights were dequantised. Nothing was kept.")
            progress(number / len(self.tensors), f"dequantise: {number} of {len(self.tensors)} weights, done once")
            if sum(map(_bytes, shards[-1].values())) + _bytes(tensor) > SHARD_BYTES and shards[-1]:
                _write(folder, len(shards), shards[-1])
                shards[-1] = {}
                shards.append({})
            shards[-1][name] = tensor
            weight_map[name] = _shard(len(shards))
        _write(folder, len(shards), shards[-1])
        if len(shards) == 1:
            (folder / _shard(1)).rename(folder / SAFE)
        else:
            (folder / f"{SAFE}{INDEX}").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}), encoding="utf-8")
        self.config.save_pretrained(folder)
        ends = [self.metadata[key] for key in ENDS if key in self.metadata]
        GenerationConfig(eos_token_id=ends or None).save_pretrained(folder)

    def _weights(self, skeleton: nn.Module) -> Iterator[tuple[str, Tensor]]:
        """Yield the weights one by one, under transformers' names and in its order."""
        processor = TENSOR_PROCESSORS.get(self.metadata["general.architecture"], TensorProcessor)(self.config.to_dict())
        names = get_gguf_hf_weights_map(skeleton, processor)
        shapes = {name: tuple(tensor.shape) for name, tensor in skeleton.state_dict().items()}
        data = np.memmap(self.path, mode="r", dtype=np.uint8)
        for entry in self.tensors:
            if entry.name == ROPE_FACTORS:
                continue  # part of the configuration
            whole = dequantize(_blocks(data, entry), entry.kind)
            made = processor.process(
                weights=whole, name=entry.name, tensor_key_mapping=names, parsed_parameters={"tensors": {}}
            )
            name = names.get(entry.name)
            if name is None or shapes.get(name) != made.weights.shape:
                raise BadModel(
                    f"{self.name} holds {entry.name}, which a {self.config.model_type} model does not have in this shape. "
                    "Give the model's own folder instead."
                )
            yield name, torch.from_numpy(np.array(made.weights, order="C")).to(HALVES.get(entry.kind, torch.bfloat16))


def read(name: str, path: Path) -> GgufFile:
    """Read a file's header. Raises `BadModel` or `UnsupportedArchitecture` with what is wrong and what to do."""
    return _read(name, path, stamp(path))


@lru_cache(maxsize=8)
def _read(name: str, path: Path, _stamp: tuple[int, int, int]) -> GgufFile:
    try:
        blob = np.memmap(path, mode="r", dtype=np.uint8)
        metadata, count, position = reader._read_metadata(blob, str(path))
        table, position = reader._read_tensor_table(blob, count, position)
    except Exception as error:  # whatever bytes that are no header make the library raise
        raise BadModel(
            f"{name} is no GGUF file, or it is cut off or damaged: its header cannot be read. Fetch it again."
        ) from error
    family = metadata["general.architecture"]
    if metadata.get("split.count", 1) > 1:
        raise BadModel(
            f"{name} is one of {metadata['split.count']} parts of a model. Join them with llama.cpp "
            "(llama-gguf-split --merge), and give the whole file."
        )
    _check_family(name, family, metadata)
    alignment = metadata.get("general.alignment", 32)
    first = math.ceil(position / alignment) * alignment
    tensors = tuple(_entry(name, *row, first) for row in table)
    missing = max((tensor.start + tensor.size for tensor in tensors), default=first) - len(blob)
    if missing > 0:
        raise BadModel(f"{name} is cut off: {missing:,} bytes are missing at its end. Fetch it again.")
    names = {tensor.name for tensor in tensors}
    return GgufFile(name, path, metadata, tensors, _config(name, metadata, names, blob, tensors))


def _check_family(name: str, family: str, metadata: dict[str, Any]) -> None:
    """Raise `UnsupportedArchitecture` for a family that cannot be read, edited or both."""
    if metadata.get(f"{family}.expert_count"):
        raise UnsupportedArchitecture(experts(name))
    if family in ("clip", "mmproj"):
        raise UnsupportedArchitecture(
            f"{name} is the part of a model that reads pictures. Give the file of its language part."
        )
    if family not in FAMILIES:
        raise UnsupportedArchitecture(
            f"{name} is a {family!r} model, a family that EditLab does not read from GGUF. It reads: "
            f"{', '.join(sorted(FAMILIES))}. Give a folder in safetensors where the family is another known one."
        )


def experts(name: str) -> str:
    """Return what is said of a mixture of experts."""
    return noop(
        f"{name} is a mixture of experts: in a layer a router sends each token to other MLPs, so that no single projection "
        "holds a fact. EditLab edits dense models. Take one of the same family."
    )


def _entry(name: str, own: str, shape: tuple[int, ...], kind: int, offset: int, first: int) -> Entry:
    try:
        known = GGMLQuantizationType(kind)
    except ValueError as error:
        raise _unreadable(name, f"no. {kind}") from error
    if not _is_readable(known):
        raise _unreadable(name, known.name)
    block, size = GGML_QUANT_SIZES[known]
    return Entry(own, shape, known, first + offset, math.prod(shape) // block * size)


@cache
def _is_readable(kind: GGMLQuantizationType) -> bool:
    """Return whether a block of a type can be dequantised."""
    try:
        dequantize(np.zeros((1, GGML_QUANT_SIZES[kind][1]), np.uint8), kind)
    except NotImplementedError:
        return False
    return True


def _unreadable(name: str, kind: str) -> BadModel:
    return BadModel(
        f"{name} holds weights of the type {kind}, which cannot be dequantised here. Take the model in another one: Q8_0, "
        "Q4_K_M and F16 are read."
    )


def _config(
    name: str, metadata: dict[str, Any], names: set[str], blob: np.ndarray, tensors: tuple[Entry, ...]
) -> PretrainedConfig:
    """Return the configuration that the metadata describe."""
    family = metadata["general.architecture"]
    given = {
        new: metadata[f"{group}.{old}"]
        for group in ("general", family, "tokenizer")
        for old, new in (GGUF_CONFIG_MAPPING[group] | LEFT_OUT.get(group, {})).items()
        if new is not None and f"{group}.{old}" in metadata
    }
    given |= GGUF_CONFIG_DEFAULTS_MAPPING.get(family, {})
    given |= {"model_type": FAMILIES[family], "tie_word_embeddings": "output.weight" not in names}
    given.setdefault("vocab_size", metadata.get("tokenizer.ggml.tokens"))
    if family in LARGEST:  # llama.cpp divides queries by the width of a head, in the largest models by another number
        largest = given["num_hidden_layers"] == LARGEST[family]
        given["query_pre_attn_scalar"] = (
            given["hidden_size"] // given["num_attention_heads"] if largest else given["head_dim"]
        )
    if family == "phi3" and (turned := metadata.get("phi3.rope.dimension_count")):
        given["partial_rotary_factor"] = turned / (given["hidden_size"] // given["num_attention_heads"])
    scaling = metadata.get(f"{family}.rope.scaling.type", "none")
    odd = sorted({entry for entry in names if entry.startswith("rope_")} - {ROPE_FACTORS})
    if scaling not in ("none", b"none") or odd:
        raise BadModel(
            f"{name} stretches its position embedding ({odd[0] if odd else scaling}), which is not read from GGUF. Give the "
            "model's own folder instead."
        )
    try:
        config = AutoConfig.for_model(**given)
    except Exception as error:  # whatever an impossible value makes the library raise
        raise BadModel(f"{name} is damaged: its metadata describe no {family} model. Fetch it again.") from error
    for entry in tensors:
        if entry.name == EMBEDDING:
            config.dtype = HALVES.get(entry.kind, torch.bfloat16)
        if entry.name == ROPE_FACTORS:
            _stretch(name, config, torch.from_numpy(np.array(dequantize(_blocks(blob, entry), entry.kind))))
    return config


def _stretch(name: str, config: PretrainedConfig, factors: Tensor) -> None:
    """Set Llama 3's rotary embedding, of which a GGUF file has a factor a frequency. Raises `BadModel` for others."""
    config.rope_parameters = {
        **config.rope_parameters,
        "factor": factors.max().item(),
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "rope_type": "llama3",
        "original_max_position_embeddings": 8_192,
    }
    expected = llama3_factors(config)
    if factors.shape != expected.shape or not torch.allclose(factors.double(), expected, rtol=1e-3):
        raise BadModel(f"{name} has a rotary embedding that is not Llama 3's. Give the model's own folder instead.")


def llama3_factors(config: PretrainedConfig) -> Tensor:
    """Return by how much Llama 3's rotary embedding slows each frequency down."""
    own, width = config.rope_parameters, config.head_dim
    frequencies = own["rope_theta"] ** (torch.arange(0, width, 2, dtype=torch.float64) / width)
    turns = own["original_max_position_embeddings"] / (2 * math.pi * frequencies)
    share = ((turns - own["low_freq_factor"]) / (own["high_freq_factor"] - own["low_freq_factor"])).clamp(0, 1)
    return 1 / ((1 - share) / own["factor"] + share)


def _blocks(data: np.ndarray, entry: Entry) -> np.ndarray:
    """Return the bytes of a tensor, a row of blocks a row of weights, or its numbers where they are stored plainly."""
    own = data[entry.start : entry.start + entry.size]
    plain = {GGMLQuantizationType.F32: np.float32, GGMLQuantizationType.F16: np.float16}.get(entry.kind)
    if plain is not None:
        return own.view(plain).reshape(entry.shape)
    block, size = GGML_QUANT_SIZES[entry.kind]
    return own.reshape(*entry.shape[:-1], entry.shape[-1] // block * size)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _shard(number: int) -> str:
    return f"model-{number:05}.safetensors"


def _write(folder: Path, number: int, tensors: dict[str, Tensor]) -> None:
    save_file(tensors, folder / _shard(number), {"format": "pt"})


@lru_cache(maxsize=8)
def _digest(path: Path, _stamp: tuple[int, int, int]) -> str:
    with open(path, "rb") as file:
        return file_digest(file, "sha256").hexdigest()[:16]
