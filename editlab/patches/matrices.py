"""What changes a layer's matrix, or the keys before it: edits, pathways and masks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import gelu

from editlab.patches.digested import Digested


@dataclass(frozen=True, eq=False)
class LowRank(Digested):
    """y += B (A k): n rank-one edits of one layer. `A` `[n, d_ff]` reads, `B` `[d_model, n]` writes."""

    layer: int
    A: Float[Tensor, "n d_ff"]
    B: Float[Tensor, "d_model n"]

    def dense(self) -> Float[Tensor, "d_model d_ff"]:
        """Return the same update as one matrix."""
        return self.B @ self.A


@dataclass(frozen=True, eq=False)
class Dense(Digested):
    """y += D k: an update without low rank (fine-tuning, RECT, PRUNE)."""

    layer: int
    D: Float[Tensor, "d_model d_ff"]

    def dense(self) -> Float[Tensor, "d_model d_ff"]:
        """Return the update itself."""
        return self.D


@dataclass(frozen=True, eq=False)
class Pathway(Digested):
    """k' = k + gate(k) (U (V k) + b): brings the keys of one subject together before the projection (REP).

    gate(k) = sigmoid(w . GELU(H k + h) + c). It belongs to a subject and a layer, not to an edit. `U` `[d_ff, rank]`,
    `V` `[rank, d_ff]`, `b` `[d_ff]`; `H` `[hidden, d_ff]`, `h` and `w` `[hidden]`, `c` `[]`. Source: arXiv 2410.09338.
    """

    layer: int
    subject: str
    U: Float[Tensor, "d_ff rank"]
    V: Float[Tensor, "rank d_ff"]
    b: Float[Tensor, "d_ff"]
    H: Float[Tensor, "hidden d_ff"]
    h: Float[Tensor, "hidden"]
    w: Float[Tensor, "hidden"]
    c: Float[Tensor, ""]

    def gate(self, k: Float[Tensor, "*rows d_ff"]) -> Float[Tensor, "*rows"]:
        """Return how sure the gate is that this key is the subject's, 0 to 1."""
        return torch.sigmoid(gelu(k.float() @ self.H.T + self.h) @ self.w + self.c)

    def to(self, device: torch.device) -> Pathway:
        """Return the same on another device."""
        return replace(self, **{name: getattr(self, name).to(device) for name in ("U", "V", "b", "H", "h", "w", "c")})

    def moved(self, k: Float[Tensor, "*rows d_ff"]) -> Float[Tensor, "*rows d_ff"]:
        """Return the key as it leaves an open gate."""
        return k + (k @ self.V.T) @ self.U.T + self.b


@dataclass(frozen=True, eq=False)
class Mask(Digested):
    """y = (M . (W + edits)) k' + bias: entries of W and of all edits of its layer set to zero (reversal mask).

    `kept` is M: False where an entry is pruned. It belongs to a layer and to no edit; it hides the edits of a view wherever
    they stand in the stack. Source: arXiv 2605.28839.
    """

    layer: int
    kept: Bool[Tensor, "d_model d_ff"]

    @property
    def pruned(self) -> float:
        """The share of entries that are set to zero, 0 to 1."""
        return 1 - self.kept.float().mean().item()
