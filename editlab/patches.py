"""What can be laid over a frozen model, and its algebra.

The model is never changed. An edit is a patch, a view is a stack of patches, and everything shown is one view held
against another. At an edited layer `k` is the input of the MLP's output projection and `y` its output:

    y = W k + bias + B (A k) + D k

A patch is defined by what it lays where, so methods to come need no change in the model. Tensors are float32 and on the
device of the model they were made for; W and patches are written `[d_model, d_ff]` whatever the module stores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class LowRank:
    """y += B (A k): n rank-one edits of one layer. `A` `[n, d_ff]` reads, `B` `[d_model, n]` writes."""

    layer: int
    A: Float[Tensor, "n d_ff"]
    B: Float[Tensor, "d_model n"]

    def dense(self) -> Float[Tensor, "d_model d_ff"]:
        """The same update as one matrix."""
        return self.B @ self.A


@dataclass(frozen=True, eq=False)
class Dense:
    """y += D k: an update without low rank (fine-tuning, RECT, PRUNE)."""

    layer: int
    D: Float[Tensor, "d_model d_ff"]

    def dense(self) -> Float[Tensor, "d_model d_ff"]:
        """The update itself."""
        return self.D


@dataclass(frozen=True)
class Preamble:
    """Text before every prompt: "just say it", a retrieved note, demonstrations. Costs no weight, only tokens."""

    text: str


Patch = LowRank | Dense | Preamble


@dataclass(frozen=True, eq=False)
class Laid:
    """All that a view lays at one layer, ready to be added: one matrix pair, or one matrix where that is cheaper."""

    A: Float[Tensor, "n d_ff"] | None = None
    B: Float[Tensor, "d_model n"] | None = None
    D: Float[Tensor, "d_model d_ff"] | None = None

    def __call__(self, k: Float[Tensor, "*rows d_ff"]) -> Float[Tensor, "*rows d_model"]:
        """What is added to the projection's output, in float32."""
        k = k.float()
        added = (k @ self.A.T) @ self.B.T if self.A is not None else 0.0
        return added + k @ self.D.T if self.D is not None else added

    def dense(self) -> Float[Tensor, "d_model d_ff"]:
        """The sum of everything laid here as one matrix."""
        pair = self.B @ self.A if self.A is not None else 0.0
        return pair + self.D if self.D is not None else pair


@dataclass(frozen=True, eq=False)
class View:
    """A stack of patches: one way to look at the model. `View.base()` is the model as it was loaded."""

    patches: tuple[Patch, ...] = ()

    @classmethod
    def base(cls) -> View:
        """Nothing laid over the model."""
        return BASE

    def with_patches(self, patches: Iterable[Patch]) -> View:
        """This view with more patches on top."""
        return replace(self, patches=(*self.patches, *patches))

    def without(self, patches: Iterable[Patch]) -> View:
        """This view with these patches taken out; the others stay as they were computed."""
        gone = {id(patch) for patch in patches}
        return replace(self, patches=tuple(patch for patch in self.patches if id(patch) not in gone))

    @cached_property
    def preamble(self) -> str:
        """The text that stands before every prompt, or the empty string."""
        return " ".join(patch.text.strip() for patch in self.patches if isinstance(patch, Preamble))

    @cached_property
    def laid(self) -> Mapping[int, Laid]:
        """What lies at each layer that is touched at all."""
        layers = sorted({patch.layer for patch in self.patches if not isinstance(patch, Preamble)})
        return {layer: _lay([p for p in self.patches if getattr(p, "layer", None) == layer]) for layer in layers}


BASE = View()


def _lay(patches: list[LowRank | Dense]) -> Laid:
    dense = [patch.D for patch in patches if isinstance(patch, Dense)]
    low = [patch for patch in patches if isinstance(patch, LowRank)]
    D = torch.stack(dense).sum(0) if dense else None
    if not low:
        return Laid(D=D)
    A, B = torch.cat([patch.A for patch in low]), torch.cat([patch.B for patch in low], dim=1)
    rank, d_ff, d_model = A.shape[0], A.shape[1], B.shape[0]
    if D is not None or rank * (d_ff + d_model) > d_ff * d_model:
        return Laid(D=B @ A if D is None else D + B @ A)
    return Laid(A, B)
