"""How much memory there is, how much is used, and what to do when it runs out."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

import psutil
import torch

from editlab.errors import OutOfMemory
from editlab.wording import noop

REFUSALS = ("can't allocate memory", "not enough memory", "CUDA error: out of memory", "_STATUS_ALLOC_FAILED")
"""What PyTorch's allocator on a CPU, CUDA itself and its libraries say: they have no error class of their own."""


def free(device: torch.device) -> int | None:
    """Return the bytes that are free on a device; None where that is unknown."""
    if device.type == "cuda":
        with suppress(RuntimeError):
            kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
            return torch.cuda.mem_get_info(device)[0] + kept
        return None
    return psutil.virtual_memory().available


def used(device: torch.device) -> dict[str, int]:
    """Return the bytes in use: `allocated` by tensors and `reserved` by PyTorch; on a CPU both are the process's."""
    if device.type == "cuda":
        return {"allocated": torch.cuda.memory_allocated(device), "reserved": torch.cuda.memory_reserved(device)}
    resident = psutil.Process().memory_info().rss
    return {"allocated": resident, "reserved": resident}


def trim() -> None:
    """Give back to the system what the C library keeps for later: after an edit of a 0.5B model on a CPU that was 0.4 GB."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def give_back() -> None:
    """Give unused memory back to the system, and to the GPU's other users."""
    gc.collect()
    trim()
    if torch.cuda.is_available():
        with suppress(RuntimeError):  # a poisoned context: `poisoned` tells
            torch.cuda.empty_cache()


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(refusal in str(error) for refusal in REFUSALS)
    )


def poisoned(device: torch.device) -> bool:
    """Return whether a GPU no longer answers this process, as after an illegal access: only a new process helps."""
    if device.type != "cuda":
        return False
    try:
        torch.cuda.synchronize(device)
        torch.zeros(1, device=device).item()
    except RuntimeError as error:
        return not out_of_memory(error)
    return False


def too_little(error: BaseException, device: torch.device) -> OutOfMemory:
    """Return what to tell a person when memory has run out in the middle of something."""
    left = free(device)
    there = "" if left is None else noop(f" {gigabytes(left)} are free.")
    return OutOfMemory(
        f"Memory ran out on {device.type}.{there} Nothing was changed. Use fewer context texts (contexts), a smaller batch "
        f"or shorter texts, or load the model with --quantization 4bit. ({str(error).splitlines()[0][:160]})"
    )


def gigabytes(count: int) -> str:
    """Return a number of bytes for a person: 13.5 GB, or 21 MB."""
    return f"{count / 1e9:.1f} GB" if count >= 5e8 else f"{count / 1e6:.0f} MB"
