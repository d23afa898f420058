"""Hands a cache of keys and values to a model, under the name that the installed transformers has for it."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from torch import nn
from transformers import DynamicCache


def kept_in(cache: DynamicCache, hf: nn.Module) -> dict[str, Any]:
    """Return the arguments of a forward of `hf` that reads and fills `cache`.

    Models take any other name in silence, and then forget what they have read.
    """
    return {_name(type(hf)): cache, "use_cache": True}


@functools.cache
def _name(kind: type[nn.Module]) -> str:
    return "cache" if "cache" in inspect.signature(kind.forward).parameters else "past_key_values"
