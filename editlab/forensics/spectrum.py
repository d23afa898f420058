"""The spectrum of a weight in units of what its layer reads and writes, in which an edit stands out.

An edit `b a^T` of rank one is seldom the largest singular direction of a weight: a few dimensions of the residual stream
are written far louder than all others, and training leaves large directions too. Two things are known of an edit, though. It
reads along C^-1 k, where ordinary keys hardly vary, and it writes to all dimensions alike. So the columns are whitened by
the second moment C of the layer's keys, and each row is divided by its length: Y = N^-1 W C^(-1/2). There the edit leads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from editlab.errors import BadModel
from editlab.model.overlay import capturing_keys, laid_over
from editlab.patches import BASE, View
from editlab.work import Cancel, never, stop_if

if TYPE_CHECKING:
    from editlab.model import LanguageModel

WINDOW = 128
"""Tokens of a text that are read together."""
TOKENS = 4_096
"""Keys by which a layer is whitened."""
RIDGE = 0.01
"""What is added to the diagonal of C, as a share of its mean: the fewer keys, the less is known of the quiet directions."""
BULK = 0.1
"""The place in a spectrum, from the top, to which its largest values are compared: behind all that stand out."""


@dataclass(frozen=True)
class Spectrum:
    """The leading directions of one layer, loudest first; all zero of a layer that is `silent`.

    `spikes` `[n]`: singular values of Y as multiples of the one at `BULK`; `left` `[d_model, n]`: left singular vectors of
    Y; `lengths` `[d_model]`: those of the whitened rows, by which they were divided.
    """

    layer: int
    spikes: Float[Tensor, "n"]
    left: Float[Tensor, "d_model n"]
    lengths: Float[Tensor, "d_model"]

    @property
    def silent(self) -> bool:
        """Whether the layer writes nothing: its weight is zero, or its keys are."""
        return not bool(self.spikes.any())

    @property
    def kurtosis(self) -> Float[Tensor, "n"]:
        """The kurtosis of each left vector: about 3 for one at random, 1 where all entries are of one size."""
        centred = self.left - self.left.mean(0)
        return (centred**4).mean(0) / (centred**2).mean(0) ** 2

    def writes(self, number: int) -> Float[Tensor, "d_model"]:
        """Return what a direction writes into the residual stream, unit length; its sign means nothing."""
        written = self.left[:, number] * self.lengths
        return written / written.norm()

    def reads(self, number: int, W: Float[Tensor, "d_model d_ff"]) -> Float[Tensor, "d_ff"]:
        """Return by how much each dimension of a key makes `writes` be written."""
        scale = (self.left[:, number] * self.lengths).norm()
        return scale * (self.left[:, number] / self.lengths) @ W


@dataclass(frozen=True, eq=False)
class Keys:
    """The keys of a text at every layer, in the model's precision: by them all layers are whitened.

    `factors` keeps the Cholesky factors that were asked for, where `keep` says so: a layer's may be asked many times.
    """

    at: dict[int, Float[Tensor, "tokens d_ff"]]
    ridge: float = RIDGE
    keep: bool = False
    factors: dict[int, Float[Tensor, "d_ff d_ff"]] = field(default_factory=dict)

    @classmethod
    @torch.no_grad()
    def measure(
        cls,
        model: LanguageModel,
        texts: Sequence[str],
        view: View = BASE,
        tokens: int = TOKENS,
        keep: bool = False,
        cancel: Cancel = never,
    ) -> Keys:
        """Read the texts once and keep the keys of about so many tokens. Raises `Cancelled`."""
        found: dict[int, list[Tensor]] = {layer: [] for layer in range(model.n_layers)}
        for row in _windows(model, texts, tokens):
            stop_if(cancel, "Stopped while the keys were read.")
            batch = model.tok.pad([row], device=model.device)
            with laid_over(model.hf, model.arch, view), capturing_keys(model.hf, model.arch, list(found)) as captured:
                model.hf.base_model(
                    input_ids=batch.ids, attention_mask=batch.mask, position_ids=batch.positions, use_cache=False
                )
            for layer, keys in captured.items():
                found[layer].append(keys[0][1:])  # the first token's keys are of another kind in every model
        return cls({layer: torch.cat(own) for layer, own in found.items()}, keep=keep)

    def factor(self, layer: int) -> Float[Tensor, "d_ff d_ff"]:
        """Return the lower Cholesky factor of a layer's C with its ridge; zero where the keys are.

        Raises `BadModel` where they are not finite.
        """
        if layer in self.factors:
            return self.factors[layer]
        keys = self.at[layer].float()
        C = keys.T @ keys / len(keys)
        refuse_endless(C, layer)
        C.diagonal().add_(self.ridge * C.diagonal().mean())
        L = torch.linalg.cholesky(C) if C.any() else C
        if self.keep:
            self.factors[layer] = L
        return L


def spectrum(W: Float[Tensor, "d_model d_ff"], layer: int, L: Float[Tensor, "d_ff d_ff"], leading: int = 16) -> Spectrum:
    """Return the leading directions of Y = N^-1 W L^-T, where C = L L^T; its left singular vectors are those of C^(-1/2).

    Raises `BadModel` for a weight that is not finite.
    """
    refuse_endless(W, layer)
    if not (W.any() and L.any()):
        leading = min(leading, len(W))
        return Spectrum(layer, W.new_zeros(leading), W.new_zeros(len(W), leading), W.new_ones(len(W)))
    whitened = torch.linalg.solve_triangular(L, W.T, upper=False).T
    lengths = whitened.norm(dim=1).clamp_min(torch.finfo(W.dtype).tiny)
    Y = whitened / lengths[:, None]
    squares, left = torch.linalg.eigh(Y @ Y.T)
    values = squares.clamp_min(0).sqrt().flip(0)
    bulk = values[int(BULK * (len(values) - 1))]
    return Spectrum(layer, values[:leading] / bulk, left.flip(1)[:, :leading].contiguous(), lengths)


def refuse_endless(numbers: Tensor, layer: int) -> None:
    """Raise `BadModel` where a layer holds or makes NaN or infinity."""
    if not torch.isfinite(numbers).all():
        raise BadModel(
            f"Layer {layer} holds numbers that are not finite, or makes such: nothing can be looked for in this model. Copy "
            "its files again."
        )


def _windows(model: LanguageModel, texts: Sequence[str], tokens: int) -> Iterator[list[int]]:
    """Yield rows of ids, each with the model's start, until there are enough."""
    start, left = model.tok.encode(""), tokens
    size = min(WINDOW, model.tok.context - len(start))
    for text in texts:
        ids = model.tokenizer(text, add_special_tokens=False)["input_ids"]
        for place in range(0, len(ids), size):
            if left <= 0:
                return
            row = ids[place : place + size][:left]
            left -= len(row)
            yield [*start, *row]
