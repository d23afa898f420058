"""Integrated gradients over the MLPs' inner activations: which neurons does a fact come from?

Attr(w_i) = w_i mean_j [ d p(object) / d w_i at (j / m) w ] for every neuron i of every layer at the prompt's last token. A
layer's output is linear in its activations, so that the gradient is taken at the output and brought back through W. The
rows of all layers and steps go through the upper layers together, one token each: Dai et al. 2022, arXiv 2104.08696, eq. 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import align_module_device
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from editlab.model.overlay import first_of, laid_over
from editlab.model.replay import Replay, replay
from editlab.model.tokens import Located
from editlab.patches import View

if TYPE_CHECKING:
    from editlab.model import LanguageModel


def attributions(
    model: LanguageModel, ids: tuple[int, ...], label: int, steps: int, view: View
) -> tuple[Float[Tensor, "layers d_ff"], Float[Tensor, "layers d_ff"]]:
    """Return how much each neuron at the last token adds to the probability of the label; and the activations."""
    kept = _Kept(model.n_layers)
    with ExitStack() as stack:
        for layer in range(model.n_layers):
            for handle in kept.hooks(model, layer):
                stack.callback(handle.remove)
        run = replay(model, [Located(ids, len(ids) - 1)], 0, view)
    values = [_silenced(model, layer, kept.values[layer][0], steps) for layer in range(model.n_layers)]
    with torch.enable_grad():
        p = _through(run, kept, values)[:, label]
        gradients = torch.autograd.grad(p.sum(), values)
    slopes = [gradient.mean((0, 1)).float() @ _weight(model, layer, view) for layer, gradient in enumerate(gradients)]
    activations = torch.stack([keys[0, 0].float() for keys in kept.keys])
    return activations * torch.stack(slopes), activations


def _silenced(model: LanguageModel, layer: int, value: Float[Tensor, "1 d_model"], steps: int) -> Float[Tensor, "m 1 d"]:
    """Return what the layer's projection puts out for (j / m) times its activations, j from 1 to m = `steps`."""
    projection = model.arch.projection_of(model.hf, layer)
    share = torch.arange(1, steps + 1, device=value.device, dtype=value.dtype)[:, None, None] / steps
    with align_module_device(projection):
        bias = torch.zeros_like(value) if projection.bias is None else projection.bias.to(value)
    return (bias + share * (value - bias)).detach().requires_grad_()


def _through(run: Replay, kept: _Kept, values: Sequence[Tensor]) -> Float[Tensor, "rows vocab"]:
    """Return the next token's probabilities for all rows, a layer's after those of the layers below it."""
    model, hidden = run.model, None
    with laid_over(model.hf, model.arch, run.view):
        for layer, value in enumerate(values):
            behind = model.arch.behind(model.hf, layer)
            before = kept.values[layer]
            change = behind(value - before) if behind.is_linear else behind(value) - behind(before)
            own = kept.residual[layer] + change
            hidden = own if hidden is None else torch.cat([run.calls[layer - 1](hidden), own])
        norm = model.hf.get_submodule(model.arch.norm)
        return model.head(norm(hidden[:, 0])).softmax(-1)


def _weight(model: LanguageModel, layer: int, view: View) -> Float[Tensor, "d_model d_ff"]:
    """Return the weight of a layer's projection with the edits of a view."""
    laid = view.laid.get(layer)
    W = model.weight(layer)
    return W if laid is None or (laid.A is None and laid.D is None) else W + laid.dense()


class _Kept:
    """What each layer read at the last token, what its MLP put out, edits included, and the state behind its block."""

    def __init__(self, layers: int) -> None:
        self.keys: list[Tensor] = [torch.empty(0)] * layers
        self.values: list[Tensor] = [torch.empty(0)] * layers
        self.residual: list[Tensor] = [torch.empty(0)] * layers

    def hooks(self, model: LanguageModel, layer: int) -> Iterator[RemovableHandle]:
        """Yield the handles of hooks that keep what passes at a layer; the last forward stays."""

        def keep_key(_module: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
            self.keys[layer] = inputs[0]

        def keep_value(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Any) -> None:
            self.values[layer] = first_of(output)

        def keep_residual(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Any) -> None:
            self.residual[layer] = first_of(output)

        arch = model.arch
        yield arch.projection_of(model.hf, layer).register_forward_hook(keep_key)
        yield arch.mlp_of(model.hf, layer).register_forward_hook(keep_value)
        yield arch.block_list(model.hf)[layer].register_forward_hook(keep_residual)
