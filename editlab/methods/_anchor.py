"""Norm anchoring: a solved value is as long as it would be in the unedited model, so that a chain of edits does not swell.

Values that are solved on edited weights are longer than before, and write longer weights: a loop that ends a chain of edits
abruptly. Liu et al. 2026, arXiv 2602.02543, rescale each value to one length for all, the mean over solved values of other
facts in the original model; here it is the length that this very value has there, so that no other facts are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

from editlab.facts import EditRequest
from editlab.methods._delta import Hook, Schedule, Value, optimise
from editlab.patches import Dense, Form, LowRank, Mask, Patch, Pathway, View
from editlab.work import Cancel, Progress

if TYPE_CHECKING:
    from editlab.model import LanguageModel


def solve_values(
    model: LanguageModel,
    requests: Sequence[EditRequest],
    layer: int,
    hook: Hook,
    contexts: Sequence[str],
    schedule: Schedule,
    view: View,
    anchor: bool,
    progress: Progress,
    cancel: Cancel,
    form: Form,
    own: Sequence[Patch] = (),
) -> list[Value]:
    """Return what `optimise` finds under a view; with `anchor`, as long as what it finds in the unedited model.

    `own`: what the edit itself lays at layers below, on top of either. Where the view holds no edit both are the same, and
    the search runs once.
    """
    unedited = unedited_of(view)
    alike = len(unedited.patches) == len(view.patches)
    view, unedited = view.with_patches(own), unedited.with_patches(own)
    values = optimise(model, requests, layer, hook, contexts, schedule, view, progress, cancel, form)
    if not anchor or alike:
        return values
    first = optimise(model, requests, layer, hook, contexts, schedule, unedited, progress, cancel, form)
    lengths = [(put_out + value.delta).norm() for put_out, value in _put_out(model, requests, layer, unedited, form, first)]
    return [
        replace(value, delta=rescaled(put_out, value.delta, length))
        for (put_out, value), length in zip(_put_out(model, requests, layer, view, form, values), lengths, strict=True)
    ]


def rescaled(
    put_out: Float[Tensor, "d_model"], delta: Float[Tensor, "d_model"], length: Float[Tensor, ""]
) -> Float[Tensor, "d_model"]:
    """Return the change after which what the MLP puts out has this length, in the direction that was found."""
    value = put_out + delta
    return value * (length / value.norm().clamp(min=1e-12)) - put_out


def unedited_of(view: View) -> View:
    """Return a view without all that changes weights or keys: what stands in the text stays."""
    return replace(view, patches=tuple(p for p in view.patches if not isinstance(p, LowRank | Dense | Pathway | Mask)))


def _put_out(
    model: LanguageModel, requests: Sequence[EditRequest], layer: int, view: View, form: Form, values: Sequence[Value]
) -> list[tuple[Tensor, Value]]:
    """Return what the layer's MLP puts out at each bare prompt, beside its value."""
    rows = [model.locate(request.prompt, request.subject, form=form) for request in requests]
    return list(zip(model.outputs(rows, layer, view), values, strict=True))
