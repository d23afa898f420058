"""The reversal masks of a workspace: those of the edits that are on, and the views under them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from editlab.errors import MissingMask
from editlab.methods import METHODS
from editlab.methods.mask import ReversalMask, need
from editlab.model import LanguageModel
from editlab.patches import Mask, View
from editlab.wording import join


@dataclass(frozen=True)
class MaskInfo:
    """A mask without its bits: the `method` of its edits, its `layers`, and the share of their weights that it prunes.

    `n_train`: the number of edits on which it was trained; `reversed_unseen`: the share of unseen edits that it reverses.
    Both are None where its report has no such number.
    """

    method: str
    layers: tuple[int, ...]
    pruned: float
    n_train: int | None
    reversed_unseen: float | None


def describe(mask: ReversalMask) -> MaskInfo:
    """Return a mask's method, layers and report."""
    report = mask.report
    return MaskInfo(mask.method, mask.layers, mask.pruned, report.get("n_train"), report.get("reversed_unseen"))


def masks_for(model: LanguageModel, methods: Iterable[str]) -> tuple[ReversalMask, ...]:
    """Return the masks for edits of these methods, but for methods whose edits a mask cannot reach.

    Raises `MissingMask`, also where all of them are such methods, or `BadFile` for a damaged mask.
    """
    named = list(dict.fromkeys(methods))
    reached = [method for method in named if METHODS[method].at_subject]
    if named and not reached:
        raise MissingMask(
            f"A reversal mask is about the weights at which an edit writes to its subject, and {join(named)} writes none "
            "there. Switch the mask off, or apply an edit of another method."
        )
    return tuple(need(model, method) for method in reached)


def bits_of(masks: Iterable[ReversalMask]) -> tuple[Mask, ...]:
    """Return the patches of several masks."""
    return tuple(patch for mask in masks for patch in mask.masks)


class MaskedViews:
    """Views under masks, each kept while its patches are the same, so that a masked matrix is computed once."""

    def __init__(self) -> None:
        self._views: dict[str, View] = {}

    def get(self, name: str, view: View, masks: tuple[Mask, ...]) -> View:
        """Return a view under masks: the same object as before where nothing has changed since the last call."""
        patches = (*view.patches, *masks)
        known = self._views.get(name)
        if known is None or known.patches != patches or known.threshold != view.threshold:
            known = self._views[name] = View(patches, view.threshold)
        return known
