"""Beginnings of long texts, read once: under the base model from question to question, under views as far as they differ.

A beginning is a row's first tokens, in whole blocks. What a view makes of it is computed only from its lowest patched layer
up, and views that differ by pathways alone share it where none of those fires. All of it is exact: the same operations, in
the same order, as for each view by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import DynamicCache

from editlab.model.cache import kept_in
from editlab.model.overlay import Recorded, capturing_keys, laid_over, recording_blocks
from editlab.model.tokens import TokenBatch, pad
from editlab.patches import Pathway, View

if TYPE_CHECKING:
    from editlab.model.frozen import FrozenModel

LONG = 150
"""A row with so many tokens has a beginning."""
BLOCK = 50
"""A beginning has a multiple of so many tokens, so that texts which begin alike share it."""

Ids = tuple[int, ...]
KeysValues = list[tuple[Float[Tensor, "1 heads tokens head_dim"], Float[Tensor, "1 heads tokens head_dim"]]]
"""Keys and values of every layer."""


@dataclass(frozen=True, eq=False)
class _Base:
    """What the base model made of a beginning, and how its blocks from `lowest` up were called."""

    kept: KeysValues
    cache: DynamicCache
    recorded: Recorded
    lowest: int


@dataclass(frozen=True, eq=False)
class _Made:
    """What a view, which it keeps alive, made of a beginning; and the keys that arrived at some layers' projections."""

    view: View
    kept: KeysValues
    keys: dict[int, Float[Tensor, "1 tokens d_ff"]]


def length(before: int) -> int:
    """Return how many tokens the beginning of a row has of which column `before` and all behind it are read; 0 for none."""
    return before // BLOCK * BLOCK if before >= LONG else 0


@torch.no_grad()
def read_ahead(model: FrozenModel, text: str, lowest: int) -> None:
    """Read the beginning of a long text under the base model now, for questions behind it that come later.

    `lowest`: the lowest layer that their views patch.
    """
    ids = tuple(model.tok.encode(text))
    if own := length(len(ids)):
        _base(model, ids[:own], lowest)


@torch.no_grad()
def read_on(
    model: FrozenModel, rows: Sequence[Sequence[int]], views: Sequence[View], lengths: Sequence[int]
) -> tuple[TokenBatch, Float[Tensor, "rows new d_model"], DynamicCache]:
    """Read rows, each under its view, behind beginnings of `lengths` tokens (0 for none).

    Return the whole rows padded on the left, the final hidden states of the last columns, in which all that follows a
    beginning lies, and the cache.
    """
    batch = model.tok.pad(rows, "left", model.device)
    new = max(len(row) - own for row, own in zip(rows, lengths, strict=True))
    cache = DynamicCache(config=model.hf.config)
    if new < batch.ids.shape[1]:
        used = [max(0, len(row) - new) for row in rows]
        cache = DynamicCache(_side_by_side(_beginnings(model, rows, views, lengths), used))
    body = model.hf.base_model
    with laid_over(model.hf, model.arch, views):
        hidden = body(
            input_ids=batch.ids[:, -new:],
            attention_mask=batch.mask,
            position_ids=batch.positions[:, -new:],
            **kept_in(cache, body),
        ).last_hidden_state
    return batch, hidden, cache


def _beginnings(
    model: FrozenModel, rows: Sequence[Sequence[int]], views: Sequence[View], lengths: Sequence[int]
) -> list[KeysValues | None]:
    """Return each row's keys and values of its beginning under its view, None where it has none."""
    places: dict[Ids, list[int]] = {}
    for place, (row, own) in enumerate(zip(rows, lengths, strict=True)):
        if own:
            places.setdefault(tuple(row[:own]), []).append(place)
    found: list[KeysValues | None] = [None] * len(rows)
    for ids, own in places.items():
        for place, kept in zip(own, _under(model, ids, [views[place] for place in own]), strict=True):
            found[place] = kept
    return found


def _under(model: FrozenModel, ids: Ids, views: Sequence[View]) -> Iterator[KeysValues]:
    """Yield what each view makes of a beginning."""
    lowest = min((layer for view in views for layer in view.laid), default=model.n_layers)
    base = _base(model, ids, lowest)
    gated = sorted({pathway.layer for view in views for pathway in view.pathways})
    for view in views:
        if not view.laid:
            yield base.kept
            continue
        plain = View(tuple(patch for patch in view.patches if hasattr(patch, "layer") and not isinstance(patch, Pathway)))
        found = _made(model, ids, base, plain, gated)
        gates = [(view.laid[layer], found.keys[layer]) for layer in {pathway.layer for pathway in view.pathways}]
        fires = any(bool(laid.at(keys.device).fired(keys)[0].any()) for laid, keys in gates)
        yield _made(model, ids, base, view).kept if fires else found.kept


def _base(model: FrozenModel, ids: Ids, lowest: int) -> _Base:
    """Return a beginning as the base model has it, ready to be called again from layer `lowest` up."""
    bases = model.beginnings.bases
    found: _Base | None = bases.get((ids, ()))
    if found is None or found.lowest > lowest:
        found = _read(model, ids, lowest)
    model.beginnings.keep(bases, (ids, ()), found)
    return found


def _made(model: FrozenModel, ids: Ids, base: _Base, view: View, gated: Sequence[int] = ()) -> _Made:
    """Return what a view makes of a beginning, and the keys that arrive at the `gated` layers."""
    made, key = model.beginnings.made, (ids, (view.threshold, *map(id, view.patches)))
    found: _Made | None = made.get(key)
    if found is None or not set(gated) <= set(found.keys):
        found = _again(model, base, view, gated)
    model.beginnings.keep(made, key, found)
    return found


def _read(model: FrozenModel, ids: Ids, lowest: int) -> _Base:
    batch = pad([ids], model.tok.filler, device=model.device)
    cache = DynamicCache()
    body = model.hf.base_model
    with recording_blocks(model.hf, model.arch, lowest) as recorded:
        body(input_ids=batch.ids, attention_mask=batch.mask, position_ids=batch.positions, **kept_in(cache, body))
    return _Base([(layer.keys, layer.values) for layer in cache.layers], cache, recorded, lowest)


def _again(model: FrozenModel, base: _Base, view: View, gated: Sequence[int]) -> _Made:
    """Run the blocks from the lowest patched one up under a view."""
    cache = DynamicCache()
    hidden = base.recorded.below
    with (
        laid_over(model.hf, model.arch, view),
        capturing_keys(model.hf, model.arch, gated, stop=False) as keys,
    ):
        for call in base.recorded.calls:
            hidden = call.into(base.cache, cache)(hidden)
    above = [(layer.keys, layer.values) for layer in cache.layers[base.lowest :]]
    return _Made(view, [*base.kept[: base.lowest], *above], keys)


def _side_by_side(beginnings: Sequence[KeysValues | None], used: Sequence[int]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield keys and values of all rows, layer by layer, padded on the left: of each row's beginning the first `used`."""
    some = next(kept for kept in beginnings if kept is not None)
    for number, pair in enumerate(some):
        both = []
        for which, like in enumerate(pair):
            whole = like.new_zeros(len(used), like.shape[1], max(used), like.shape[3])
            for row, (kept, count) in enumerate(zip(beginnings, used, strict=True)):
                if kept is not None and count:
                    whole[row, :, max(used) - count :] = kept[number][which][0, :, :count]
            both.append(whole)
        yield both[0], both[1]
