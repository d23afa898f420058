"""A memory beside the weights of a layer: keys, and what the layer puts out where one of them arrives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256

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

    The last few are remembered: a chain of edits adds one entry to what is joined already, and not all of them each time.
    """
    known = _JOINED.get(_named(books[:-1]))
    found = _added([known, books[-1]], len(known.keys)) if known is not None else _added(books)
    _JOINED[_named(books)] = found
    while len(_JOINED) > _REMEMBERED:
        del _JOINED[next(iter(_JOINED))]
    return found


def _added(books: Sequence[Codebook], first: int = 0) -> Codebook:
    """Return the entries of codebooks as one, from the `first` on added in order; those before it lie as they are."""
    keys, values, radii = (torch.cat([getattr(own, name) for own in books]) for name in ("keys", "values", "radii"))
    labels = tuple(label for own in books for label in own.labels)
    precise, reach, kept = keys.double(), radii.double().cpu(), torch.ones(len(keys), dtype=torch.bool)
    squares = precise.square().sum(1)
    same = SAME_KEY * squares.sqrt().cpu()
    for start in range(first, len(keys), _FOLDED):
        some = slice(start, start + _FOLDED)
        apart_squared = squares[some, None] + squares[: some.stop] - 2 * precise[some] @ precise[: some.stop].T
        rows = apart_squared.clamp_min(0).sqrt().cpu()
        for new in range(start, min(start + _FOLDED, len(keys))):
            apart = rows[new - start, :new]
            kept[:new] &= apart > same[:new]
            apart = apart.where(kept[:new], torch.inf)
            near = int(apart.argmin()) if new else new
            if new and labels[near] != labels[new] and apart[near] <= reach[near] + reach[new]:
                reach[near], reach[new] = (min(float(apart[near]) / 2, float(own)) for own in (reach[near], reach[new]))
    own = kept.nonzero().flatten()
    radii, own = reach[own].to(radii), own.to(keys.device)
    return Codebook(books[0].layer, keys[own], values[own], radii, tuple(labels[entry] for entry in own.tolist()))


def _named(books: Sequence[Codebook]) -> str:
    """Return a name of what several codebooks hold, in their order."""
    return sha256(" ".join(book.digest for book in books).encode()).hexdigest()


_FOLDED = 256
"""Entries whose distances are computed together."""
_JOINED: dict[str, Codebook] = {}
_REMEMBERED = 4
"""The codebooks that were joined last, by the name of what they were joined of."""
