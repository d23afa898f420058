"""Lays views over a model for the length of a `with` block: hooks on the edited projections, and nothing else.

Rows of one batch may belong to different views; each hook adds to its own rows. Where nothing lies, nothing is hooked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from editlab.model.architectures import Architecture
from editlab.model.weights import matrix_of
from editlab.patches import Laid, View


@contextmanager
def laid_over(model: nn.Module, arch: Architecture, views: View | Sequence[View]) -> Iterator[None]:
    """Make forwards inside the block answer as under `views`: one view for all rows, or one a row."""
    with ExitStack() as stack:
        for layer, groups in _by_layer(views).items():
            projection = arch.projection_of(model, layer)
            groups = [(rows, laid.on(projection, matrix_of)) for rows, laid in groups]
            if moving := [(rows, laid) for rows, laid in groups if laid.pathways]:
                stack.callback(projection.register_forward_pre_hook(_mover(moving)).remove)
            if writing := [(rows, laid) for rows, laid in groups if laid.writes]:
                stack.callback(projection.register_forward_hook(_writer(writing)).remove)
        yield


def _by_layer(views: View | Sequence[View]) -> dict[int, list[tuple[Tensor | None, Laid]]]:
    """Return what to add at each layer: pairs of rows (None for all) and what is laid there."""
    if isinstance(views, View):
        return {layer: [(None, laid)] for layer, laid in views.laid.items()}
    distinct = {id(view.laid): view for view in views}
    if len(distinct) == 1:
        return _by_layer(views[0])
    layers: dict[int, list[tuple[Tensor | None, Laid]]] = {}
    for key, view in distinct.items():
        rows = torch.tensor([row for row, other in enumerate(views) if id(other.laid) == key])
        for layer, laid in view.laid.items():
            layers.setdefault(layer, []).append((rows, laid))
    return layers


def _mover(groups: list[tuple[Tensor | None, Laid]]) -> Callable[..., tuple[Tensor, ...]]:
    """Move keys before the projection: the module itself then computes W k', also when it is quantised."""

    def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        k, *rest = inputs
        if groups[0][0] is None:
            return groups[0][1].at(k.device).moved(k), *rest
        moved = k.clone()
        for rows, laid in groups:
            moved[rows] = laid.at(k.device).moved(k[rows])
        return moved, *rest

    return hook


def _writer(groups: list[tuple[Tensor | None, Laid]]) -> Callable[..., Tensor]:
    def hook(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        k = inputs[0]
        if groups[0][0] is None:
            return groups[0][1].at(k.device).written(k, output)
        output = output.clone()
        for rows, laid in groups:
            output[rows] = laid.at(k.device).written(k[rows], output[rows])
        return output

    return hook


class Reached(Exception):
    """Ends a forward whose answer is known."""


@contextmanager
def capturing_keys(
    model: nn.Module, arch: Architecture, layers: Sequence[int], stop: bool = True
) -> Iterator[dict[int, Tensor]]:
    """Collect the projections' inputs `[rows, tokens, d_ff]` of some layers; `stop` ends the forward at the highest."""
    found: dict[int, Tensor] = {}

    def hook(layer: int) -> Callable[..., None]:
        def take(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            found[layer] = inputs[0]
            if stop and layer == max(layers):
                raise Reached

        return take

    with ExitStack() as stack:
        for layer in layers:
            stack.callback(arch.projection_of(model, layer).register_forward_pre_hook(hook(layer)).remove)
        with suppress(Reached):
            yield found


@contextmanager
def capturing_output(module: nn.Module, layer: int) -> Iterator[dict[int, Tensor]]:
    """Collect the output `[rows, tokens, d_model]` of a block or MLP of a layer and end the forward there."""
    found: dict[int, Tensor] = {}

    def take(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor | tuple) -> None:
        found[layer] = first_of(output)
        raise Reached

    handle = module.register_forward_hook(take)
    with suppress(Reached):
        try:
            yield found
        finally:
            handle.remove()


@dataclass(frozen=True, eq=False)
class Call:
    """How the model called a block: it can be called so again, with another hidden state."""

    block: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def __call__(self, hidden: Tensor) -> Tensor:
        """Return the block's output for a hidden state."""
        return first_of(self.block(hidden, *self.args, **self.kwargs))

    def into(self, cache: Any, other: Any) -> Call:
        """Return the call with another cache in place of the one that it was given."""
        args = tuple(other if value is cache else value for value in self.args)
        return Call(self.block, args, {name: other if value is cache else value for name, value in self.kwargs.items()})


@dataclass(eq=False)
class Recorded:
    """The calls of the upper blocks, and the hidden state that arrived `below` the first of them."""

    below: Tensor | None = None
    calls: list[Call] = field(default_factory=list)


@contextmanager
def recording_blocks(model: nn.Module, arch: Architecture, lowest: int) -> Iterator[Recorded]:
    """Collect how the blocks from `lowest` up are called, bottom first."""
    recorded = Recorded()

    def record(block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hidden, *rest = args or (kwargs["hidden_states"],)
        if not recorded.calls:
            recorded.below = hidden
        recorded.calls.append(Call(block, tuple(rest), {k: v for k, v in kwargs.items() if k != "hidden_states"}))

    with ExitStack() as stack:
        for block in arch.block_list(model)[lowest:]:
            stack.callback(block.register_forward_pre_hook(record, with_kwargs=True).remove)
        yield recorded


def first_of(output: Tensor | tuple) -> Tensor:
    """Return a block's hidden state, whether the family returns it bare or in a tuple."""
    return output[0] if isinstance(output, tuple) else output
