"""Which weights a model has, in 16 letters: a hash of its configuration and of a sample of every tensor.

It is the same wherever and in whatever precision a checkpoint is loaded, so that key statistics and masks find it again;
of a model that is quantised it is that of the weights before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import PretrainedConfig

SAMPLE = 512
UNSHAPING = ("transformers_version", "dtype", "_name_or_path", "quantization_config")
"""Fields of a configuration that say nothing of what the model computes."""

Samples = Mapping[str, tuple[tuple[int, ...], Tensor]]
"""Shape and sample of every tensor of a state dict."""


def sample_of(tensor: Tensor) -> tuple[tuple[int, ...], Tensor]:
    """Return a tensor's shape and at most 512 of its numbers, evenly spread, as bfloat16 rounds them."""
    flat = tensor.detach().reshape(-1)
    sample = flat[:: max(1, flat.numel() // SAMPLE)][:SAMPLE]
    return tuple(tensor.shape), sample.to(torch.bfloat16).float().cpu()


def samples_of(hf: nn.Module) -> Samples:
    """Return the samples of a model whose weights are in memory as they are on the disk."""
    return {name: sample_of(tensor) for name, tensor in hf.state_dict().items()}


def samples_in(folder: Path, skeleton: nn.Module, loaded: nn.Module) -> Samples:
    """Return samples of a checkpoint's files for a state dict; what the files name differently is read off the model.

    `skeleton`: the model as it would be unquantised, without weights.
    """
    stored: dict[str, tuple[tuple[int, ...], Tensor]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            stored |= {name: sample_of(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    return samples_named(stored, skeleton, loaded)


def samples_named(stored: Samples, skeleton: nn.Module, loaded: nn.Module) -> Samples:
    """Return samples by the names of a state dict, from those by the files' names; see `samples_in`."""
    tied = getattr(skeleton, "all_tied_weights_keys", None) or {}
    inside = f"{skeleton.base_model_prefix}."
    found, here = {}, loaded.state_dict()
    for name, shape in ((name, tensor.shape) for name, tensor in skeleton.state_dict().items()):
        known = next((n for n in (name, tied.get(name), name.removeprefix(inside)) if n in stored), None)
        if known is not None:
            found[name] = stored[known]
        elif name in here and here[name].shape == shape and not here[name].is_meta:
            found[name] = sample_of(here[name])
    return found


def checkpoint_hash(config: PretrainedConfig, kind: str, samples: Samples) -> str:
    """Return the 16 letters. `kind` is the name of the model's class, which a configuration learns only when it is saved."""
    given = config.to_diff_dict() | {"architectures": [kind]}
    shape = {key: value for key, value in given.items() if key not in UNSHAPING}
    digest = hashlib.sha256(repr(_in_order(shape)).encode())
    for name, (size, sample) in sorted(samples.items()):
        digest.update(f"{name}{size}".encode())
        digest.update(sample.numpy().tobytes())
    return digest.hexdigest()[:16]


def _in_order(value: Any) -> Any:
    """Return a configuration with its keys sorted, at every depth: files keep them so, objects in memory do not."""
    return {key: _in_order(value[key]) for key in sorted(value, key=str)} if isinstance(value, dict) else value
