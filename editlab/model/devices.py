"""Where a model runs."""

from __future__ import annotations

import torch

from editlab.errors import BadModel


def device_for(device: str) -> torch.device:
    """Return the device that a setting names; "auto" takes a GPU if there is one. Raises `BadModel` for a missing GPU."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise BadModel("There is no CUDA device here. Use --device cpu.")
    return torch.device(device)


def multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether it has matrix units for bfloat16. Without them, a CPU multiplies bfloat16 no faster than float32."""
    return device.type != "cpu" or bool(torch.cpu.get_capabilities().get("amx_bf16"))
