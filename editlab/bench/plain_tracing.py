"""Causal tracing the plain way: each restoration is a forward of the whole prompt through all layers.

`at_once`: 1, a forward for each sample of the noise; or the samples, as in the published code (Meng et al. 2022). It is the
yardstick of `bench tracing` and, being written without any of the engine's shortcuts, the reference for its results.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from editlab.facts import EditRequest
from editlab.insight.tracing import KINDS, Kind, Traced, Tracing
from editlab.model.overlay import first_of

if TYPE_CHECKING:
    from editlab.model import LanguageModel

Effects = dict[tuple[Kind, int, int], float]
"""The indirect effect by kind, layer and place from the end."""


@torch.no_grad()
def trace(model: LanguageModel, request: EditRequest, how: Tracing, at_once: int = 1) -> Effects:
    """Return the indirect effects at all tokens from the subject's first one on."""
    fact = Traced.of(model, request)
    noise = how.noises(fact.last + 1 - fact.first, model.d_model).to(model.device, model.dtype)
    clean = _clean(model, fact)
    corrupted = _p(model, fact, noise, at_once, {})
    found: Effects = {}
    for token in range(fact.first, len(fact.ids)):
        for kind in KINDS:
            for layer, window in how.windows(kind, model.n_layers).items():
                restored = {_module(model, kind, own): (token, clean[kind, own][token]) for own in window}
                found[kind, layer, len(fact.ids) - token] = _p(model, fact, noise, at_once, restored) - corrupted
    return found


def _module(model: LanguageModel, kind: Kind, layer: int) -> nn.Module:
    block = model.arch.block_list(model.hf)[layer]
    return block if kind == "hidden" else block.get_submodule(getattr(model.arch, kind))


def _clean(model: LanguageModel, fact: Traced) -> dict[tuple[Kind, int], Tensor]:
    """Return the clean run's outputs `[tokens, d_model]` of each block, MLP and attention."""
    found: dict[tuple[Kind, int], Tensor] = {}
    with ExitStack() as stack:
        for kind in KINDS:
            for layer in range(model.n_layers):

                def keep(_module: nn.Module, _inputs: tuple, output: Any, place: tuple[Kind, int] = (kind, layer)) -> None:
                    found[place] = first_of(output)[0].clone()

                stack.callback(_module(model, kind, layer).register_forward_hook(keep).remove)
        model.hf(input_ids=torch.tensor([fact.ids], device=model.device), use_cache=False)
    return found


def _p(
    model: LanguageModel, fact: Traced, noise: Tensor, at_once: int, restored: dict[nn.Module, tuple[int, Tensor]]
) -> float:
    """Return the true object's mean probability over the samples, with some modules' outputs restored at a token."""
    total = 0.0
    for part in noise.split(at_once):

        def corrupt(_module: nn.Module, _inputs: tuple, output: Tensor, part: Tensor = part) -> Tensor:
            output = output.clone()
            output[:, fact.first : fact.last + 1] += part
            return output

        def restore(module: nn.Module, _inputs: tuple, output: Any) -> Tensor | tuple:
            token, state = restored[module]
            hidden = first_of(output).clone()
            hidden[:, token] = state
            return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

        with ExitStack() as stack:
            stack.callback(model.hf.get_input_embeddings().register_forward_hook(corrupt).remove)
            for module in restored:
                stack.callback(module.register_forward_hook(restore).remove)
            ids = torch.tensor([fact.ids] * len(part), device=model.device)
            logits = model.hf(input_ids=ids, use_cache=False).logits[:, -1]
        total += logits.float().softmax(-1)[:, fact.label].sum().item()
    return total / len(noise)
