"""The logit lens: what the model would say if it stopped at a layer (nostalgebraist 2020).

The final norm and the head read the residual stream before the first block and behind each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd
import torch

from editlab.insight.stream import Question, stream
from editlab.model.scoring import LOGITS_AT_ONCE
from editlab.patches import View
from editlab.work import Cancel, never, stop_if

if TYPE_CHECKING:
    from editlab.model import LanguageModel


@torch.no_grad()
def logit_lens(model: LanguageModel, views: Mapping[str, View], question: Question, cancel: Cancel = never) -> pd.DataFrame:
    """Return a row a view, layer and token of the question.

    Columns: `view`; `layer`, -1 before the first block, else the one that it stands behind; `back`, the token's place from
    the end, 1 for the last; `token`; `p_new`, `p_true` and `logit_new`, `logit_true` of the objects' first tokens (NaN
    without a true object), the logits as the model gives them, soft-capped where its family does so; `top` and `p_top`,
    the likeliest token. Raises `Cancelled`.
    """
    found = stream(model, views, question, cancel)
    norm = model.hf.get_submodule(model.arch.norm)
    flat = found.residual.flatten(0, 2)
    rows: list[tuple] = []
    for piece in flat.split(max(1, LOGITS_AT_ONCE // model.hf.config.vocab_size)):
        stop_if(cancel, "Stopped before all layers were read.")
        logits = model.head(norm(piece))
        p = logits.softmax(-1)
        likeliest, ids = p.max(-1)
        objects = [
            values[:, i].tolist() if i is not None else [float("nan")] * len(piece)
            for values in (p, logits)
            for i in (question.new, question.true)
        ]
        said = [model.tok.decode([i]) for i in ids.tolist()]
        rows += zip(*objects, said, likeliest.tolist(), strict=True)
    layers, count = found.residual.shape[1], len(question.tokens)
    places = [
        (view, layer - 1, count - place, question.tokens[place])
        for view in found.views
        for layer in range(layers)
        for place in range(count)
    ]
    columns = ["view", "layer", "back", "token", "p_new", "p_true", "logit_new", "logit_true", "top", "p_top"]
    return pd.DataFrame([(*place, *row) for place, row in zip(places, rows, strict=True)], columns=columns)
