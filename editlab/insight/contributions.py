"""Direct logit attribution: what each part of the model adds to the logit of the new and of the true object.

The logit is linear in what the parts write into the residual stream once the scale of the final norm is given, so the
contributions add up to it:

    logit(t) = sum over parts c of  W_U[t] . (gamma * c / sigma)  +  W_U[t] . beta  +  b[t]

RMSNorm: sigma is the root mean square of the final residual and beta is none; LayerNorm: c without its mean, sigma the
standard deviation. Before soft-capping, where a family has it. The published form <c, W_U[t]> (arXiv 2605.28839) is without
the norm; here it keeps the first and the last layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from editlab.insight.stream import Question, Stream, stream
from editlab.patches import View
from editlab.work import Cancel, never

if TYPE_CHECKING:
    from editlab.model import LanguageModel

NOWHERE = -1
"""The layer of what belongs to none."""


@torch.no_grad()
def contributions(
    model: LanguageModel, views: Mapping[str, View], question: Question, cancel: Cancel = never
) -> pd.DataFrame:
    """Return a row a view and part, at the token that is looked at.

    Columns: `view`; `part`: "token embedding", "position embedding", "attention", "mlp", "norm bias", "head bias", and below
    float32 "rounding", what the residual stream lost; `layer`, `NOWHERE` where it belongs to none; `new` and `true`, what it
    adds to the logits of the objects' first tokens (NaN without a true object), and `raw_new`, `raw_true` in the published
    form (NaN for biases). Of each view, `new` sums to the logit, and so does `true`. Raises `Cancelled`.
    """
    found = stream(model, views, question, cancel)
    labels, parts = _parts(found, question.at, exact=model.dtype in (torch.float32, torch.float64))
    head, norm = model.hf.get_output_embeddings(), model.hf.get_submodule(model.arch.norm)
    scale = getattr(model.hf.config, "logits_scaling", 1.0)
    unembedding = head.weight[list(question.objects.values())].double().cpu() / scale
    normed = _normed(norm, parts, found.residual[:, -1, -question.at].double().cpu(), model.arch.norm_offset)
    raw, read = (own @ unembedding.T for own in (parts, normed))
    biases = {
        "norm bias": None if getattr(norm, "bias", None) is None else unembedding @ norm.bias.double().cpu(),
        "head bias": None if head.bias is None else head.bias[list(question.objects.values())].double().cpu(),
    }
    names = list(question.objects)
    rows = [
        {"view": view, "part": part, "layer": layer}
        | dict(zip(names, read[row, n].tolist(), strict=True))
        | {f"raw_{name}": value for name, value in zip(names, raw[row, n].tolist(), strict=True)}
        for row, view in enumerate(found.views)
        for n, (part, layer) in enumerate(labels)
    ]
    rows += [
        {"view": view, "part": part, "layer": NOWHERE} | dict(zip(names, bias.tolist(), strict=True))
        for view in found.views
        for part, bias in biases.items()
        if bias is not None
    ]
    return pd.DataFrame(rows, columns=["view", "part", "layer", "new", "true", "raw_new", "raw_true"])


def _parts(found: Stream, at: int, exact: bool) -> tuple[list[tuple[str, int]], Float[Tensor, "views parts d_model"]]:
    """Return what is written into the stream at a token, labelled (part, layer), in float64."""
    entering, leaving = (found.residual[:, end, -at].double().cpu() for end in (0, -1))
    embedding = found.embedding.double().cpu()
    attention, mlp = (own.double().cpu().unbind(1) for own in (found.attention, found.mlp))
    written = {("token embedding", NOWHERE): embedding, ("position embedding", NOWHERE): entering - embedding}
    for layer in range(len(mlp)):
        written |= {("attention", layer): attention[layer], ("mlp", layer): mlp[layer]}
    if not written["position embedding", NOWHERE].any():
        del written["position embedding", NOWHERE]
    if not exact:
        written["rounding", NOWHERE] = leaving - torch.stack(list(written.values())).sum(0)
    return list(written), torch.stack(list(written.values()), 1)


def _normed(
    norm: nn.Module, parts: Float[Tensor, "views parts d_model"], final: Float[Tensor, "views d_model"], offset: float
) -> Float[Tensor, "views parts d_model"]:
    """Return the parts as the final norm passes them on, with its scale at the final residual; without its bias."""
    if isinstance(norm, nn.LayerNorm):
        parts = parts - parts.mean(-1, keepdim=True)
        squared = final.var(-1, correction=0)
    else:
        squared = final.square().mean(-1)
    epsilon = norm.eps if hasattr(norm, "eps") else norm.variance_epsilon
    return parts * (norm.weight.double().cpu() + offset) / (squared + epsilon).sqrt()[:, None, None]
