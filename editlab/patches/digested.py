"""A hash of what a patch holds."""

from __future__ import annotations

from dataclasses import fields
from functools import cached_property
from hashlib import sha256

import torch


class Digested:
    """What has a digest: two patches that hold the same have the same one, wherever they were made."""

    @cached_property
    def digest(self) -> str:
        """A hash of the kind and of all that it holds."""
        found = sha256(type(self).__name__.encode())
        for name, value in ((own.name, getattr(self, own.name)) for own in fields(self)):
            is_tensor = torch.is_tensor(value)
            told = f"{value.dtype} {tuple(value.shape)}" if is_tensor else repr(value)
            found.update(f"\0{name}={told}\0".encode())
            if is_tensor:
                found.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return found.hexdigest()
