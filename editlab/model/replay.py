"""Runs only the layers above an edited one, only from the subject's last token on: exact, and several times faster.

What an optimised value can change lies above its layer and, since attention looks back only, at or after its token.
Everything else is constant: keys and values of earlier tokens are computed once and kept; each block above the layer is
called again exactly as the model itself called it, with another hidden state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import DynamicCache

from editlab.model.behind import Behind
from editlab.model.cache import kept_in
from editlab.model.overlay import Call, first_of, laid_over, recording_blocks
from editlab.model.tokens import Located, pad
from editlab.patches import View

if TYPE_CHECKING:
    from editlab.model.language_model import LanguageModel


class _Prefix(DynamicCache):
    """Keys and values of the tokens before the replayed ones: read by every replay, written by none."""

    frozen = False

    def update(self, key: Tensor, value: Tensor, layer_idx: int, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Return earlier keys and values followed by the given ones; once frozen, the given ones are not kept.

        A single row's serve any number of given ones.
        """
        if not self.frozen:
            return super().update(key, value, layer_idx, *args, **kwargs)
        kept = self.layers[layer_idx]
        if not kept.is_initialized:
            return key, value
        before = [own.expand(len(key), -1, -1, -1) for own in (kept.keys, kept.values)]
        return torch.cat([before[0], key], -2), torch.cat([before[1], value], -2)


@dataclass(frozen=True, eq=False)
class Replay:
    """The part of a batch that lies above `layer` and from each row's located token on.

    Column 0 of the active tokens is the located token. `keys` `[rows, active, d_ff]` is the projection's input, `outputs`
    `[rows, active, d_model]` the whole MLP's output and `residual` the block's; `key`, `value` and `mlp` are the
    projection's input and output and the MLP's output at the located token.
    """

    model: LanguageModel
    layer: int
    view: View
    value: Float[Tensor, "rows d_model"]
    keys: Float[Tensor, "rows active d_ff"]
    outputs: Float[Tensor, "rows active d_model"]
    residual: Float[Tensor, "rows active d_model"]
    lengths: Int[Tensor, "rows"]
    calls: tuple[Call, ...]

    @property
    def key(self) -> Float[Tensor, "rows d_ff"]:
        """Keys at the located tokens, float32."""
        return self.keys[:, 0].float()

    @property
    def mlp(self) -> Float[Tensor, "rows d_model"]:
        """The MLP's outputs at the located tokens, float32."""
        return self.outputs[:, 0].float()

    def with_value(self, delta: Float[Tensor, "rows d_model"]) -> Float[Tensor, "rows active d_model"]:
        """Return the block's output when `delta` is added to the MLP's output at the located token."""
        behind = self.behind
        if behind.is_linear:
            return self.with_residual(behind(delta))
        before = self.mlp.to(self.model.dtype)
        return self.with_residual(behind(before + delta.to(before.dtype)).float() - behind(before).float())

    def with_outputs(self, outputs: Float[Tensor, "rows active d_model"]) -> Float[Tensor, "rows active d_model"]:
        """Return the block's output when the whole MLP's output is another one."""
        behind, new = self.behind, outputs.to(self.outputs.dtype)
        return self.residual + (behind(new - self.outputs) if behind.is_linear else behind(new) - behind(self.outputs))

    def with_added(self, added: Float[Tensor, "rows active d_model"]) -> Float[Tensor, "rows active d_model"]:
        """Return the block's output when `added` is added to the whole MLP's output."""
        behind = self.behind
        if not behind.is_linear:
            return self.with_outputs(self.outputs + added.to(self.outputs.dtype))
        return self.residual + behind(added).to(self.residual.dtype)

    @property
    def behind(self) -> Behind:
        """What the family puts between the MLP and the residual stream."""
        return self.model.arch.behind(self.model.hf, self.layer)

    def with_residual(self, delta: Float[Tensor, "rows d_model"]) -> Float[Tensor, "rows active d_model"]:
        """Return the block's output when `delta` is added to it at the located token."""
        first = self.residual[:, :1] + delta[:, None].to(self.residual.dtype)
        return torch.cat([first, self.residual[:, 1:]], 1)

    def finish(self, hidden: Tensor, rows: Tensor, columns: Tensor) -> Float[Tensor, "reads vocab"]:
        """Return logits at (row, active column) pairs, each named once, after the layers above have run on `hidden`."""
        return self.model.head(self.last(hidden, rows, columns))

    def last(self, hidden: Tensor, rows: Tensor, columns: Tensor) -> Float[Tensor, "reads d_model"]:
        """Return the last hidden states, behind the final norm, from which those logits are read."""
        last = self.model.arch.mlp_of(self.model.hf, self.model.n_layers - 1)
        with laid_over(self.model.hf, self.model.arch, self.view), _only_at(last, rows, columns):
            for call in self.calls:
                hidden = call(hidden)
        norm = self.model.hf.get_submodule(self.model.arch.norm)
        return norm(hidden[rows, columns])


@contextmanager
def _only_at(mlp: nn.Module, rows: Int[Tensor, "reads"], columns: Int[Tensor, "reads"]) -> Iterator[None]:
    """Make the last block's MLP compute only what is read and leave zeros elsewhere: no later token depends on it.

    Other hooks on what the MLP puts out see it in its usual shape.
    """
    shape: list[torch.Size] = []

    def gather(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        shape.append(inputs[0].shape)
        return (inputs[0][rows, columns], *inputs[1:])

    def scatter(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output.new_zeros(shape.pop()).index_put((rows, columns), output)

    with ExitStack() as stack:
        stack.callback(mlp.register_forward_pre_hook(gather).remove)
        stack.callback(mlp.register_forward_hook(scatter, prepend=True).remove)
        yield


@torch.no_grad()
def replay(model: LanguageModel, rows: Sequence[Located], layer: int, view: View) -> Replay:
    """Run a batch once under `view` and keep what its replays need. A value will change at each row's located token."""
    device, hf, arch = model.device, model.hf, model.arch
    heads = pad([row.ids[: row.index] or row.ids[:1] for row in rows], model.tok.filler, "left", device)
    empty = torch.tensor([row.index == 0 for row in rows], device=device)
    tails = pad([row.ids[row.index :] for row in rows], model.tok.filler, "right", device)
    head_mask = heads.mask & ~empty[:, None]
    mask = torch.cat([head_mask, tails.mask], 1)
    starts = torch.tensor([row.index for row in rows], device=device)
    positions = starts[:, None] + torch.arange(tails.ids.shape[1], device=device)
    positions = positions.clamp(max=model.tok.context - 1)
    cache = _Prefix(config=hf.config)
    kept: dict[str, Tensor] = {}

    def keep_projection(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        kept["keys"], kept["value"] = inputs[0], output[:, 0].float()

    def keep_mlp(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        kept["outputs"] = first_of(output)

    def keep_residual(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Any) -> None:
        kept["residual"] = first_of(output)

    with ExitStack() as stack:
        stack.enter_context(laid_over(hf, arch, view))
        hf.base_model(
            input_ids=heads.ids,
            attention_mask=heads.mask,
            position_ids=heads.positions,
            **kept_in(cache, hf.base_model),
        )
        cache.frozen = True
        blocks = arch.block_list(hf)
        recorded = stack.enter_context(recording_blocks(hf, arch, layer + 1))
        stack.callback(arch.projection_of(hf, layer).register_forward_hook(keep_projection).remove)
        stack.callback(arch.mlp_of(hf, layer).register_forward_hook(keep_mlp).remove)
        stack.callback(blocks[layer].register_forward_hook(keep_residual).remove)
        hf.base_model(input_ids=tails.ids, attention_mask=mask, position_ids=positions, **kept_in(cache, hf.base_model))
    return Replay(
        model,
        layer,
        view,
        *(kept[name] for name in ("value", "keys", "outputs", "residual")),
        tails.mask.sum(1),
        tuple(recorded.calls),
    )
