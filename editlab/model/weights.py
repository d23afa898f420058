"""Weights: which files a checkpoint keeps them in, and the matrix of a linear layer, whatever holds it.

That is `nn.Linear`, GPT-2's Conv1D, 8 or 4 bit, or a weight on another device.

Quantised layers are bitsandbytes' (`Linear8bitLt`, `Linear4bit` with nf4 and double quantisation). Their weights are only
read: an edit lies beside them, and gradients pass through them to the activations.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from types import ModuleType
from typing import Literal

import torch
from accelerate.utils import align_module_device
from jaxtyping import Float
from torch import Tensor, nn
from transformers import BitsAndBytesConfig
from transformers.pytorch_utils import Conv1D

from editlab.errors import BadModel

Quantization = Literal["none", "8bit", "4bit"]

SAFE, PICKLED = "model.safetensors", "pytorch_model.bin"
INDEX = ".index.json"
MOST_INDEX_BYTES = 100_000_000


def weight_files(name: str, folder: Path, pickles: bool = False) -> list[list[str]]:
    """Return the files that hold a checkpoint's weights, in the order in which they are looked for: each a list of shards.

    They are `model.safetensors`, or what its index names; with `pickles` also `pytorch_model.bin` and its. Raises `BadModel`
    where an index names anything but files of that kind in the same folder: transformers goes by the suffix of each file and
    would unpickle it, and it follows a path to wherever it leads. (A link is followed: the hub's cache consists of them.)
    """
    safe = _shards(name, folder, SAFE, (".safetensors", ".bin") if pickles else (".safetensors",)) or [SAFE]
    return [safe, _shards(name, folder, PICKLED, (".bin",)) or [PICKLED]] if pickles else [safe]


def refuse_two_checkpoints(name: str, folder: Path) -> None:
    """Raise `BadModel` where a folder holds whole weights beside an index of others: transformers takes the first alone."""
    if (folder / SAFE).is_file() and (folder / f"{SAFE}{INDEX}").is_file():
        raise BadModel(f"{name} has {SAFE} beside an index of other files, and readers take one or the other. Delete one.")


def _shards(name: str, folder: Path, whole: str, suffixes: tuple[str, ...]) -> list[str]:
    """Return the files that an index names; none where there is no index."""
    index = folder / f"{whole}{INDEX}"
    if not index.exists():
        return []
    try:
        if index.stat().st_size > MOST_INDEX_BYTES:
            raise ValueError("too long")
        files = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise BadModel(f"{index.name} of {name} is damaged: it names no weights. Copy the model's files again.") from error
    for file in files:
        if not isinstance(file, str) or file in ("", ".", "..") or set("/\\:\0") & set(file):
            raise BadModel(
                f"{index.name} of {name} names {file!r:.100}, which is no file of that folder. Copy the model from a source "
                "that you trust."
            )
        if not file.endswith(suffixes):
            raise BadModel(
                f"{index.name} of {name} names {file!r:.100}, which is not in safetensors and could run code. Save the "
                "model with save_pretrained of a recent transformers, or, if you trust it, set EDITLAB_UNSAFE_WEIGHTS=1."
            )
    return files


def matrix_of(module: nn.Module) -> Float[Tensor, "d_out d_in"]:
    """Return a layer's weight in float32 as it multiplies a column: dequantised, transposed back, on its device."""
    with align_module_device(module):
        weight = module.weight
        if not weight.is_floating_point():
            _bitsandbytes()
            from transformers.integrations.bitsandbytes import dequantize_bnb_weight

            weight = dequantize_bnb_weight(weight, getattr(module, "state", None))
        return (weight.T if isinstance(module, Conv1D) else weight).float()


def inputs_of(module: nn.Module) -> int:
    """Return the width of what a layer multiplies."""
    return module.nx if isinstance(module, Conv1D) else module.in_features


def parameters_of(*modules: nn.Module) -> int:
    """Count the weights of modules, shared ones once and those of a quantised layer as they are multiplied."""
    found: dict[int, int] = {}
    for module in (part for given in modules for part in given.modules()):
        for name, parameter in module.named_parameters(recurse=False):
            packed = name == "weight" and not parameter.is_floating_point()
            found[id(parameter)] = module.in_features * module.out_features if packed else parameter.numel()
    return sum(found.values())


def bytes_of(*modules: nn.Module) -> int:
    """Return the bytes of modules in memory; the scales of quantised weights, a hundredth of them, are left out."""
    held = {id(p): p.numel() * p.element_size() for module in modules for p in module.parameters()}
    return sum(held.values())


def quantization_config(quantization: Quantization, dtype: torch.dtype) -> BitsAndBytesConfig | None:
    """Return how transformers quantises a checkpoint while it loads; None for not at all. `dtype`: of the activations."""
    if quantization == "none":
        return None
    _bitsandbytes()
    if quantization == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )


def quantisable(module: nn.Module) -> bool:
    """Return whether a module is a linear layer, which can be held in 8 or 4 bit."""
    return type(module) is nn.Linear or isinstance(module, Conv1D)


@torch.no_grad()
def quantise(module: nn.Module, quantization: Quantization, dtype: torch.dtype) -> nn.Module:
    """Return a linear layer in 8 or 4 bit as transformers would load it, on the same device. The given one is used up."""
    nn_ = _bitsandbytes().nn
    weight = (module.weight.T if isinstance(module, Conv1D) else module.weight).contiguous()
    (rows, columns), device, bias = weight.shape, weight.device, module.bias
    with torch.device("meta"):
        if quantization == "8bit":
            new = nn_.Linear8bitLt(columns, rows, bias is not None, has_fp16_weights=False)
            new.weight = nn_.Int8Params(weight.cpu(), requires_grad=False, has_fp16_weights=False)
        else:
            new = nn_.Linear4bit(columns, rows, bias is not None, dtype, compress_statistics=True, quant_type="nf4")
            new.weight = nn_.Params4bit(weight, requires_grad=False, quant_type="nf4", compress_statistics=True)
    module.weight = new.bias = None
    new.weight = new.weight.to(device)
    new.bias = bias
    return exact(new.requires_grad_(False))


def misshapen(hf: nn.Module) -> list[str]:
    """Return the names of quantised layers whose weights have another shape than the layer."""
    found = []
    for name, module in hf.named_modules():
        state = getattr(getattr(module, "weight", None), "quant_state", None)
        shape = module.weight.shape if state is None and hasattr(module, "state") else getattr(state, "shape", None)
        if shape is not None and tuple(shape) != (module.out_features, module.in_features):
            found.append(name)
    return found


def exact(hf: nn.Module) -> nn.Module:
    """Make quantised layers compute on a CPU as everywhere: unpacked weights, products in the activations' precision.

    Where a CPU has units for bfloat16, bitsandbytes else repacks a weight at its first use, rounds its scales, and computes
    with a gradient otherwise than without.
    """
    for module in hf.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return hf


def _bitsandbytes() -> ModuleType:
    """Import bitsandbytes, which takes a second, and silence its messages about casts and kernels."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    import bitsandbytes

    return bitsandbytes
