"""What UltraEdit reads of a text: keys and gradients where its labels are said, and how they are normalised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn

from editlab.methods._rows import Reads, Row
from editlab.model.overlay import laid_over
from editlab.model.tokens import in_chunks
from editlab.patches import View

if TYPE_CHECKING:
    from editlab.model import LanguageModel


@dataclass(frozen=True, eq=False)
class Features:
    """Of each layer and each label, in the rows' order: the projection's input, and the loss's gradient at its output."""

    keys: Float[Tensor, "layers labels d_ff"]
    gradients: Float[Tensor, "layers labels d_model"]


def read(model: LanguageModel, rows: Sequence[Row], layers: Sequence[int], view: View) -> Features:
    """Return the features of rows: one forward and one backward, which ends at the lowest of the layers."""
    arch, device = model.arch, model.device
    shape = (len(layers), sum(len(row.reads) for row in rows))
    starts = torch.tensor([len(row.reads) for row in rows]).cumsum(0).tolist()
    keys = torch.empty(*shape, model.d_ff, device=device)
    gradients = torch.empty(*shape, model.d_model, device=device)
    for chunk in in_chunks([len(row.ids) for row in rows], model.tokens_per_forward):
        own = [rows[n] for n in chunk]
        batch, reads = model.tok.pad([row.ids for row in own], device=device), Reads.of(own, device)
        inputs: dict[int, Tensor] = {}
        outputs: dict[int, Tensor] = {}
        with ExitStack() as stack:
            stack.enter_context(torch.enable_grad())
            stack.enter_context(laid_over(model.hf, arch, view))
            for layer in layers:
                hook = _keeping(layer, inputs, outputs)
                stack.callback(arch.projection_of(model.hf, layer).register_forward_hook(hook).remove)
            hidden = model.hf.base_model(
                input_ids=batch.ids, attention_mask=batch.mask, position_ids=batch.positions, use_cache=False
            ).last_hidden_state
            log_p = model.head(hidden[reads.rows, reads.columns]).log_softmax(-1)
            found = torch.autograd.grad(-log_p[reads.places, reads.labels].sum(), [outputs[layer] for layer in layers])
        at = torch.tensor([i for n in chunk for i in range(starts[n] - len(rows[n].reads), starts[n])], device=device)
        for place, (layer, gradient) in enumerate(zip(layers, found, strict=True)):
            keys[place, at] = inputs[layer][reads.rows, reads.columns].float()
            gradients[place, at] = gradient[reads.rows, reads.columns].float()
    return Features(keys, gradients)


def _keeping(layer: int, inputs: dict[int, Tensor], outputs: dict[int, Tensor]) -> Callable[..., Tensor]:
    """Return a hook that keeps a projection's input and output; the lowest output is where the gradients end."""

    def hook(_module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
        output = output if output.requires_grad else output.detach().requires_grad_()
        inputs[layer], outputs[layer] = given[0].detach(), output
        return output

    return hook


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and sum of squared distances from it of each feature, over all samples that were seen so far, in float64."""

    count: int
    mean: Float[Tensor, "d_ff+d_model"]
    squared: Float[Tensor, "d_ff+d_model"]

    @classmethod
    def of(cls, features: Features) -> Moments:
        """Return the moments of some samples; the layers count as samples of one distribution."""
        samples = torch.cat([features.keys, features.gradients], -1).flatten(0, 1).double()
        mean = samples.mean(0)
        return cls(len(samples), mean, (samples - mean).square().sum(0))

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of both samples together (Chan et al. 1979)."""
        count, apart = self.count + other.count, other.mean - self.mean
        squared = self.squared + other.squared + apart.square() * (self.count * other.count / count)
        return Moments(count, self.mean + apart * (other.count / count), squared)

    def normalised(self, features: Features) -> Features:
        """Return features less the mean, in standard deviations; 0 where a feature never varied."""
        sizes = [features.keys.shape[-1], features.gradients.shape[-1]]
        deviation = (self.squared / max(1, self.count - 1)).sqrt() + torch.finfo(torch.float32).eps
        parts = zip((features.keys, features.gradients), self.mean.split(sizes), deviation.split(sizes), strict=True)
        return Features(*(((own.double() - mean) / by).float() for own, mean, by in parts))
