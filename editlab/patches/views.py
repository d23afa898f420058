"""A view: a stack of patches, and all that it lays at each layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import gelu

from editlab.patches.codebooks import Codebook, joined
from editlab.patches.matrices import Dense, LowRank, Mask, Pathway
from editlab.patches.telling import BARE, Form, Note, Notes, Preamble, before

THRESHOLD = 0.9
"""A pathway fires where its gate is above this, unless the view says otherwise (Yan et al. 2025)."""


Patch = LowRank | Dense | Pathway | Mask | Codebook | Preamble | Note | Form
Told = Preamble | Note | Form
"""Patches that change the text that is asked, and no layer."""


@dataclass(frozen=True, eq=False)
class Laid:
    """All that a view lays at one layer: pathways, one matrix pair (or matrix, where cheaper), a mask and a codebook."""

    A: Float[Tensor, "n d_ff"] | None = None
    B: Float[Tensor, "d_model n"] | None = None
    D: Float[Tensor, "d_model d_ff"] | None = None
    pathways: tuple[Pathway, ...] = ()
    threshold: float = THRESHOLD
    kept: Bool[Tensor, "d_model d_ff"] | None = None
    codebook: Codebook | None = None
    _unmasked: WeakKeyDictionary[nn.Module, Laid] = field(default_factory=WeakKeyDictionary, init=False, repr=False)
    _elsewhere: dict[torch.device, Laid] = field(default_factory=dict, init=False, repr=False)

    @property
    def adds(self) -> bool:
        """Whether anything is added to the projection's output."""
        return self.A is not None or self.D is not None or self.kept is not None

    @property
    def writes(self) -> bool:
        """Whether the projection's output is another one."""
        return self.adds or self.codebook is not None

    def on(self, projection: nn.Module, matrix_of: Callable[[nn.Module], Float[Tensor, "d_model d_ff"]]) -> Laid:
        """Return the same without a mask for one projection: the mask's effect on its weight W becomes one more matrix.

        M . (W + edits) = W + D, where D is the edits at kept entries and -W at pruned ones. `matrix_of` gives W.
        """
        if self.kept is None:
            return self
        if projection not in self._unmasked:
            W = matrix_of(projection)
            edits = self.dense() if self.A is not None or self.D is not None else torch.zeros_like(W)
            self._unmasked[projection] = replace(self, A=None, B=None, D=torch.where(self.kept, edits, -W), kept=None)
        return self._unmasked[projection]

    @cached_property
    def _gates(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """All gates as one: H, h, and w in blocks `[hidden of all, pathways]`, c."""
        w = torch.block_diag(*(pathway.w[:, None] for pathway in self.pathways))
        H, h = torch.cat([p.H for p in self.pathways]), torch.cat([p.h for p in self.pathways])
        return H, h, w, torch.stack([p.c for p in self.pathways])

    def gates(self, k: Float[Tensor, "*rows d_ff"]) -> Float[Tensor, "*rows pathways"]:
        """Return every pathway's gate at every key, 0 to 1."""
        H, h, w, c = self._gates
        return torch.sigmoid(gelu(k.float() @ H.T + h) @ w + c)

    def fired(self, k: Float[Tensor, "*rows d_ff"]) -> tuple[Bool[Tensor, "*rows"], Int[Tensor, "*rows"]]:
        """Return where a pathway fires, and which: at most one a key, the one with the largest gate."""
        gate, which = self.gates(k).max(-1)
        return gate > self.threshold, which

    def moved(self, k: Float[Tensor, "*rows d_ff"]) -> Float[Tensor, "*rows d_ff"]:
        """Return keys as the projection gets them, in the precision in which they came."""
        open_, which = self.fired(k)
        chosen = which[open_]
        if not len(chosen):
            return k
        keys = k[open_].float()
        for number in chosen.unique().tolist():
            own = chosen == number
            keys[own] = self.pathways[number].moved(keys[own])
        k = k.clone()
        k[open_] = keys.to(k.dtype)
        return k

    def at(self, device: torch.device) -> Laid:
        """Return the same where a layer lies: a model may be spread over several devices."""
        books = () if self.codebook is None else (self.codebook.keys,)
        own = next((t for t in (self.A, self.D, *(p.H for p in self.pathways[:1]), *books) if t is not None), None)
        if own is None or own.device == device:
            return self
        if device not in self._elsewhere:
            self._elsewhere[device] = replace(
                self,
                **{name: t.to(device) for name in ("A", "B", "D") if (t := getattr(self, name)) is not None},
                pathways=tuple(pathway.to(device) for pathway in self.pathways),
                codebook=self.codebook and self.codebook.to(device),
            )
        return self._elsewhere[device]

    def __call__(self, k: Float[Tensor, "*rows d_ff"]) -> Float[Tensor, "*rows d_model"]:
        """Return what is added to the projection's output, in float32. A mask is resolved before (`on`)."""
        k = k.float()
        added = (k @ self.A.T) @ self.B.T if self.A is not None else 0.0
        return added + k @ self.D.T if self.D is not None else added

    def written(self, k: Float[Tensor, "*rows d_ff"], y: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_model"]:
        """Return the projection's output at these keys, which is `y` without the view. A mask is resolved before (`on`)."""
        y = y + self(k).to(y.dtype) if self.adds else y
        return y if self.codebook is None else self.codebook.answered(k, y)

    def dense(self) -> Float[Tensor, "d_model d_ff"]:
        """Return the sum of all edits laid here as one matrix, without the mask."""
        pair = self.B @ self.A if self.A is not None else 0.0
        return pair + self.D if self.D is not None else pair


@dataclass(frozen=True, eq=False)
class View:
    """A stack of patches: one way to look at the model. `View.base()` is the model as it was loaded.

    `threshold`: what a pathway's gate must exceed to fire.
    """

    patches: tuple[Patch, ...] = ()
    threshold: float = THRESHOLD

    @classmethod
    def base(cls) -> View:
        """Return the view without any patch."""
        return BASE

    def with_patches(self, patches: Iterable[Patch]) -> View:
        """Return this view with more patches on top."""
        return replace(self, patches=(*self.patches, *patches))

    def without(self, patches: Iterable[Patch]) -> View:
        """Return this view with these patches taken out; the others stay as they were computed."""
        gone = {id(patch) for patch in patches}
        return replace(self, patches=tuple(patch for patch in self.patches if id(patch) not in gone))

    def with_threshold(self, threshold: float) -> View:
        """Return the same stack, with another threshold for its pathways: nothing is trained anew."""
        return replace(self, threshold=threshold)

    @property
    def pathways(self) -> tuple[Pathway, ...]:
        """The pathways in the stack."""
        return tuple(patch for patch in self.patches if isinstance(patch, Pathway))

    @property
    def masks(self) -> tuple[Mask, ...]:
        """The masks in the stack."""
        return tuple(patch for patch in self.patches if isinstance(patch, Mask))

    @cached_property
    def digest(self) -> str:
        """A hash of the stack's content: views of equal patches have the same one."""
        return sha256(f"{self.threshold} {' '.join(patch.digest for patch in self.patches)}".encode()).hexdigest()

    @cached_property
    def preambles(self) -> tuple[Preamble, ...]:
        """The texts that stand before every prompt."""
        return tuple(patch for patch in self.patches if isinstance(patch, Preamble))

    @cached_property
    def notes(self) -> Notes | None:
        """The notes that stand before some prompts; None without any."""
        own = [patch for patch in self.patches if isinstance(patch, Note)]
        return Notes(own) if own else None

    @property
    def tells(self) -> bool:
        """Whether anything stands before a prompt, every one or some."""
        return bool(self.preambles) or self.notes is not None

    @cached_property
    def form(self) -> Form:
        """How texts are put to the model; the last one in the stack."""
        return next((patch for patch in reversed(self.patches) if isinstance(patch, Form)), BARE)

    def asks(self, text: str) -> str:
        """Return a text as it is asked under this view: behind its preambles and notes that belong to it."""
        return self.form.around(before(text, self.preambles, self.notes) if self.tells else text)

    def in_form(self, form: Form) -> View:
        """Return the same with texts put to the model in a form; what lies at the layers is kept."""
        if form == self.form:
            return self
        found = self.with_patches([form])
        found.__dict__["laid"] = self.laid
        return found

    @cached_property
    def laid(self) -> Mapping[int, Laid]:
        """What lies at each layer that is touched at all."""
        layers = sorted({patch.layer for patch in self.patches if not isinstance(patch, Told)})
        return {
            layer: _lay([p for p in self.patches if getattr(p, "layer", None) == layer], self.threshold) for layer in layers
        }


BASE = View()


def _lay(patches: list[LowRank | Dense | Pathway | Mask | Codebook], threshold: float) -> Laid:
    pathways = tuple(patch for patch in patches if isinstance(patch, Pathway))
    masks = [patch.kept for patch in patches if isinstance(patch, Mask)]
    books = [patch for patch in patches if isinstance(patch, Codebook)]
    A, B, D = _sum(patches)
    kept = torch.stack(masks).all(0) if masks else None
    return Laid(A, B, D, pathways, threshold, kept, joined(books) if books else None)


def _sum(patches: list[LowRank | Dense | Pathway | Mask | Codebook]) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return all edits of a layer as one matrix pair, or as one matrix where that is cheaper."""
    dense = [patch.D for patch in patches if isinstance(patch, Dense)]
    low = [patch for patch in patches if isinstance(patch, LowRank)]
    D = torch.stack(dense).sum(0) if dense else None
    if not low:
        return None, None, D
    A, B = torch.cat([patch.A for patch in low]), torch.cat([patch.B for patch in low], dim=1)
    rank, d_ff, d_model = A.shape[0], A.shape[1], B.shape[0]
    if D is not None or rank * (d_ff + d_model) > d_ff * d_model:
        return None, None, B @ A if D is None else D + B @ A
    return A, B, None
