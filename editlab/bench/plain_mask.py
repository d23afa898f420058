"""Mask training the plain way: each edit has its own weight, and runs through the whole model on its own.

This is how the published code works, but for its deltas, which it reads from the disk each time. It is the yardstick of
`bench speed` and the reference for the gradient of the batched form.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils import parametrize

from editlab.methods.mask import Batch, Example
from editlab.methods.mask.batch import Scores
from editlab.methods.mask.config import MaskConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from editlab.model import LanguageModel


def gradient(
    model: LanguageModel, examples: Sequence[Example], batches: Sequence[Batch], theta: Scores
) -> dict[int, Float[Tensor, "d_model d_ff"]]:
    """Return d(restoration) / d(theta) for M = sigmoid(theta): one pass for each example, with its own weight.

    `batches` hold the same examples, and say what is read where; the restoration loss is the mean over all their rows.
    """
    found = {layer: torch.zeros_like(scores) for layer, scores in theta.items()}
    ids = [row for batch in batches for row in batch.ids]
    owner, true, new = (torch.cat([getattr(batch, name) for batch in batches]) for name in ("owner", "true", "new"))
    for number, example in enumerate(examples):
        rows = (owner == number).nonzero()[:, 0]
        with _weighing(model, example, theta) as scores:
            own = model.tok.pad([ids[row] for row in rows.tolist()], device=model.device)
            states = model.hf.base_model(
                input_ids=own.ids, attention_mask=own.mask, position_ids=own.positions, use_cache=False
            ).last_hidden_state
            logits = model.head(states[torch.arange(len(rows), device=model.device), own.last])
            (restoration(logits, true[rows], new[rows]).sum() / len(owner)).backward()
        for layer, leaf in scores.items():
            found[layer] += leaf.grad
    return found


def batched(batches: Sequence[Batch], theta: Scores) -> dict[int, Float[Tensor, "d_model d_ff"]]:
    """Return the same gradient by the batched form: a forward and a backward a batch."""
    scores = {layer: values.detach().requires_grad_(True) for layer, values in theta.items()}
    rows = sum(len(batch.owner) for batch in batches)
    for batch in batches:
        logits = batch.logits({layer: torch.sigmoid(values) for layer, values in scores.items()})
        (restoration(logits, batch.true, batch.new).sum() / rows).backward()
    return {layer: values.grad for layer, values in scores.items()}


def restoration(
    logits: Float[Tensor, "rows vocab"], true: Int[Tensor, "rows"], new: Int[Tensor, "rows"]
) -> Float[Tensor, "rows"]:
    """Return relu(margin - (z_true - z_new))."""
    ahead = logits.gather(1, true[:, None]) - logits.gather(1, new[:, None])
    return torch.relu(MaskConfig().margin - ahead)[:, 0]


@contextmanager
def _weighing(model: LanguageModel, example: Example, theta: Scores) -> Iterator[dict[int, Float[Tensor, "d_model d_ff"]]]:
    """Yield the model whose projections are (W + the example's edit) . M, for the length of the block."""
    with ExitStack() as stack:
        scores = {}
        for layer, values in theta.items():
            scores[layer] = values.detach().clone().requires_grad_(True)
            delta = sum(patch.dense() for patch in example.patches if patch.layer == layer)
            projection = model.arch.projection_of(model.hf, layer)
            masked = _Masked(scores[layer], delta, model.arch.transposed)
            parametrize.register_parametrization(projection, "weight", masked, unsafe=True)
            stack.callback(parametrize.remove_parametrizations, projection, "weight", leave_parametrized=False)
        yield scores


class _Masked(nn.Module):
    def __init__(self, scores: Tensor, delta: Tensor, transposed: bool) -> None:
        super().__init__()
        self.scores, self.delta, self.transposed = (scores,), delta, transposed

    def forward(self, W: Tensor) -> Tensor:
        """Return W as the module stores it, edited and masked."""
        edited, M = W + (self.delta.T if self.transposed else self.delta), torch.sigmoid(self.scores[0])
        return edited * (M.T if self.transposed else M)
