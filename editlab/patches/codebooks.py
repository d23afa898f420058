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
    """Return several codebooks of a layer as one, their entries added in order.

    Each keeps its own key and value. Where it comes nearer to the nearest one than both radii together, and the two say
    different things, the distance is halved between them, by which no radius becomes larger. An entry with the key of an
    earlier one takes its place, so that the later of two edits of one prompt counts.
    """
    keys, values, radii = (torch.cat([getattr(book, name) for book in books]) for name in ("keys", "values", "radii"))
    labels = tuple(label for book in books for label in book.labels)
    precise, norms, reach = keys.double(), keys.norm(dim=1).tolist(), radii.tolist()
    kept: list[int] = []
    for new in range(len(keys)):
        if new % _FOLDED == 0:
            rows = torch.cdist(precise[new : new + _FOLDED], precise[: new + _FOLDED]).tolist()
        apart = rows[new % _FOLDED]
        kept = [entry for entry in kept if apart[entry] > SAME_KEY * norms[entry]]
        near = min(kept, key=apart.__getitem__, default=new)
        if labels[near] != labels[new] and apart[near] <= reach[near] + reach[new]:
            reach[near], reach[new] = (min(apart[near] / 2, own) for own in (reach[near], reach[new]))
        kept.append(new)
    radii = torch.tensor([reach[entry] for entry in kept], device=keys.device)
    return Codebook(books[0].layer, keys[kept], values[kept], radii, tuple(labels[entry] for entry in kept))


_FOLDED = 256
"""Entries whose distances are computed together."""
