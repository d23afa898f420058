"""How sure the pathways of a view are at every token: which words open a gate, and which only come near it.

A gate is read off the key as it arrives, before any pathway of its layer has moved it; those of the layers below have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from editlab.patches import View

if TYPE_CHECKING:
    from editlab.model import LanguageModel

Ids = Sequence[int]


def layers_of(view: View) -> tuple[int, ...]:
    """Return the layers at which a view has pathways, the lowest first."""
    return tuple(sorted({pathway.layer for pathway in view.pathways}))


@torch.no_grad()
def gates_at(
    model: LanguageModel, rows: Sequence[Ids], layer: int, views: Sequence[View]
) -> list[Float[Tensor, "tokens pathways"]]:
    """Return every gate of a layer, 0 to 1, at every token of each row under its view; the forwards stop at the layer."""
    arriving = {id(view): _below(view, layer) for view in views}
    found: list[Tensor] = [torch.empty(0)] * len(rows)
    for chunk, keys in model.keys_everywhere(rows, layer, [arriving[id(view)] for view in views]):
        for n, own in zip(chunk, keys.split([len(rows[n]) for n in chunk]), strict=True):
            found[n] = views[n].laid[layer].gates(own)
    return found


def gates_of(model: LanguageModel, texts: Sequence[str], view: View) -> list[Float[Tensor, "tokens"]]:
    """Return the largest gate at every token of each text, 0 where the view has no pathway."""
    rows = [model.tok.encode(view.asks(text)) for text in texts]
    found = [torch.zeros(len(row), device=model.device) for row in rows]
    for layer in layers_of(view):
        at_layer = gates_at(model, rows, layer, [view] * len(rows))
        found = [torch.maximum(own, new.max(-1).values) for own, new in zip(found, at_layer, strict=True)]
    return found


def gates(model: LanguageModel, text: str, view: View) -> pd.DataFrame:
    """Return how sure a view's pathways are at each token of a text: one row a token.

    Columns: `token` (as shown, space as "␣"), `gate` (the largest of all, 0 to 1), `subject` (of the pathway whose gate
    that is) and `fires` (whether it does at the view's threshold). Without a pathway, no gate is above 0. Special tokens
    are left out: nobody wrote them.
    """
    ids = model.tok.encode(view.asks(text))
    sure, subjects = torch.zeros(len(ids)), [""] * len(ids)
    for layer in layers_of(view):
        largest, which = gates_at(model, [ids], layer, [view])[0].max(-1)
        for token, (gate, number) in enumerate(zip(largest.tolist(), which.tolist(), strict=True)):
            if gate > sure[token]:
                sure[token], subjects[token] = gate, view.laid[layer].pathways[number].subject
    special = set(model.tokenizer.all_special_ids)
    rows = [
        {"token": model.tok.decode([i]).replace(" ", "␣"), "gate": gate, "subject": subject, "fires": fires}
        for i, gate, subject, fires in zip(ids, sure.tolist(), subjects, (sure > view.threshold).tolist(), strict=True)
        if i not in special
    ]
    return pd.DataFrame(rows, columns=["token", "gate", "subject", "fires"])


def _below(view: View, layer: int) -> View:
    """Return the part of a view under a layer: all that shapes the keys that arrive there."""
    return View(tuple(patch for patch in view.patches if getattr(patch, "layer", -1) < layer), view.threshold)
