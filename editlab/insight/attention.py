"""How much each head looks at the subject's last token: where an edit is fetched from, and how greedily.

In models with 7 billion parameters, edited facts are reported to be looked at more than others ("overattention",
arXiv 2605.28839). The fast attentions of PyTorch give no weights, so for these forwards the model switches to the plain one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pandas as pd
import torch
from torch import Tensor, nn

from editlab.errors import BadRequest
from editlab.insight.stream import Question, batched
from editlab.patches import View
from editlab.work import Cancel, never, stop_if

if TYPE_CHECKING:
    from editlab.model import LanguageModel

WEIGHTS_AT_ONCE = 2**26
"""Attention weights of a layer in one forward: a quarter of a GB."""


@torch.no_grad()
def attention(model: LanguageModel, views: Mapping[str, View], question: Question, cancel: Cancel = never) -> pd.DataFrame:
    """Return a row a view, layer and head: `weight`, from the token that is looked at to the subject's last token, 0 to 1.

    Raises `BadRequest` where the text does not name the subject before that token, and `Cancelled`.
    """
    subject = question.request.subject
    if question.subject is None:
        raise BadRequest(f"The text does not name {subject}, so nothing can look at it. Write a text that does.")
    if question.subject < question.at:
        raise BadRequest(f"{subject} stands behind the token that is looked at. Choose a later token.")
    back = question.subject - question.at
    heads, found = model.hf.config.num_attention_heads, {}
    longest = len(model.tok.encode(question.text))
    budget = max(1, WEIGHTS_AT_ONCE // (heads * longest))
    for names, rows in batched(model, views, question, min(budget, model.tokens_per_forward), whole=False):
        stop_if(cancel, "Stopped before the model had read the text.")
        batch = model.tok.pad(rows, device=model.device)
        with _plain_attention(model.hf), _taking(model, batch.last, back) as taken:
            model.hidden(batch, [views[name] for name in names])
        found |= dict(zip(names, torch.stack(taken, 1).float().cpu(), strict=True))
    return pd.DataFrame(
        [
            (view, layer, head, weight)
            for view in views
            for layer, row in enumerate(found[view].tolist())
            for head, weight in enumerate(row)
        ],
        columns=["view", "layer", "head", "weight"],
    )


@contextmanager
def _plain_attention(hf: nn.Module) -> Iterator[None]:
    """Make forwards inside the block compute their attention weights; afterwards the model attends as before."""
    before = hf.config._attn_implementation
    hf.set_attn_implementation("eager")
    try:
        yield
    finally:
        hf.set_attn_implementation(before)


@contextmanager
def _taking(model: LanguageModel, last: Tensor, back: int) -> Iterator[list[Tensor]]:
    """Collect, layer by layer, the weights `[rows, heads]` of each row's last token at the one `back` before it.

    Only these are kept: all weights of a long text would not fit.
    """
    found: list[Tensor] = []

    def take(_module: nn.Module, _inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
        weights = output[1]
        at = last.to(weights.device)
        found.append(weights[torch.arange(len(weights), device=weights.device), :, at, at - back])

    with ExitStack() as stack:
        for block in model.arch.block_list(model.hf):
            stack.callback(block.get_submodule(model.arch.attention).register_forward_hook(take).remove)
        yield found
