"""A memory beside the weights of a layer: keys, and what the layer puts out where one of them arrives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from editlab.patches.digested import Digested


@dataclass(frozen=True, eq=False)
class Codebook(Digested):
    """y = values[i] where the nearest key, keys[i], lies within radii[i]: a memory beside the weights of its layer (GRACE).

    `labels`: what each entry makes the model say. `keys` `[n, d_ff]`, `values` `[n, d_model]`, `radii` `[n]`. Several in a
    view are one (`joined`). Source: arXiv 2211.11031.
    """

    layer: int
    keys: Float[Tensor, "n d_ff"]
    values: Float[Tensor, "n d_model"]
    radii: Float[Tensor, "n"]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))

    def to(self, device: torch.device) -> Codebook:
        """Return the same on another device."""
        return replace(self, **{name: getattr(self, name).to(device) for name in ("keys", "values", "radii")})

    @cached_property
    def _squares(self) -> Float[Tensor, "n"]:
        return self.keys.square().sum(1)

    def found(self, k: Float[Tensor, "*rows d_ff"]) -> tuple[Bool[Tensor, "*rows"], Int[Tensor, "*rows"]]:
        """Return which keys lie within the radius of the entry nearest to them, and that entry."""
        k = k.float()
        apart, which = (self._squares - 2 * k @ self.keys.T + k.square().sum(-1, keepdim=True)).min(-1)
        return apart <= self.radii[which].square(), which

    def answered(self, k: Float[Tensor, "*rows d_ff"], y: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_model"]:
        """Return the outputs at these keys, replaced where an entry answers."""
        inside, which = self.found(k)
        return torch.where(inside[..., None], self.values[which].to(y.dtype), y)


SAME_KEY = 1e-3
"""Two keys that lie nearer than this, in lengths of the key, are one."""


def joined(books: Sequence[Codebook]) -> Codebook:
    """Return several codebooks of a layer as one, their entries added in order as GRACE adds them.

    A new key that is further from the nearest one than both radii together is added. Nearer than that, it is taken in by an
    entry with the same label, which reaches to it from now on and has the new value; between entries with different labels
    the distance is halved. Unlike in the published code, a split makes no radius larger, and an entry with the key of an
    earlier one takes its place, so that the later of two edits of one prompt counts.
    """
    keys, values, radii = (torch.cat([getattr(book, name) for book in books]) for name in ("keys", "values", "radii"))
    labels = tuple(label for book in books for label in book.labels)
    precise, norms = keys.double(), keys.norm(dim=1).tolist()
    reach, valued = radii.tolist(), list(range(len(keys)))
    kept: list[int] = []
    for new in range(len(keys)):
        if new % _FOLDED == 0:
            rows = torch.cdist(precise[new : new + _FOLDED], precise[: new + _FOLDED]).tolist()
        apart = rows[new % _FOLDED]
        near = min(kept, key=apart.__getitem__, default=None)
        if near is None or apart[near] > reach[new] + reach[near]:
            kept.append(new)
        elif apart[near] <= SAME_KEY * norms[near]:
            reach[new] = reach[near]
            kept[kept.index(near)] = new
        elif labels[near] == labels[new]:
            reach[near], valued[near] = max(reach[near], apart[near]), new
        else:
            reach[near], reach[new] = (min(apart[near] / 2, own) for own in (reach[near], reach[new]))
            kept.append(new)
    radii = torch.tensor([reach[entry] for entry in kept], device=keys.device)
    return Codebook(
        books[0].layer, keys[kept], values[[valued[entry] for entry in kept]], radii, tuple(labels[entry] for entry in kept)
    )


_FOLDED = 256
"""Entries whose distances are computed together."""
