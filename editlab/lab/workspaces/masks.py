"""The reversal mask in a workspace: which one belongs to the edits that are on, and what is known about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from editlab.methods import mask
from editlab.methods.mask import ReversalMask
from editlab.model import LanguageModel
from editlab.patches import Mask, View


@dataclass(frozen=True)
class MaskInfo:
    """A mask without its bits: for which `method`'s edits, at which `layers`, which share of them it sets to zero.

    `n_train`: the edits it was trained on; `reversed_unseen`: the share of edits it never saw that it reverses. Both None
    where its report does not say.
    """

    method: str
    layers: tuple[int, ...]
    pruned: float
    n_train: int | None
    reversed_unseen: float | None


def described(found: ReversalMask) -> MaskInfo:
    """What is known about a mask."""
    report = found.report
    return MaskInfo(found.method, found.layers, found.pruned, report.get("n_train"), report.get("reversed_unseen"))


def masks_for(model: LanguageModel, methods: Iterable[str]) -> tuple[ReversalMask, ...]:
    """The masks for edits of these methods. Raises `MissingMask` where one has none, `BadFile` where it is damaged."""
    return tuple(mask.need(model, method) for method in dict.fromkeys(methods))


def bits_of(masks: Iterable[ReversalMask]) -> tuple[Mask, ...]:
    """The patches of several masks, which a view lays over one another."""
    return tuple(own for found in masks for own in found.masks)


class Covered:
    """Views under masks, each kept as long as what it is made of stays: the masked matrix is computed once a view."""

    def __init__(self) -> None:
        self._views: dict[str, View] = {}

    def under(self, name: str, view: View, masks: tuple[Mask, ...]) -> View:
        """A view with masks over it; the same object where the same was asked for by this name before."""
        patches = (*view.patches, *masks)
        known = self._views.get(name)
        if known is None or known.patches != patches or known.threshold != view.threshold:
            known = self._views[name] = View(patches, view.threshold)
        return known
