"""Finds an edit by the names that it may be about, also where it is spread over layers and too small for their spectra.

MEMIT writes about one direction into several neighbouring layers, each time read along C^-1 k of its subject's key k. In the
spectrum of each layer such an update lies below the size at which a direction leaves the bulk (Baik, Ben Arous and Péché
2005). But a name gives away what an update about it would read, and then no direction has to be searched for:

    h = N^-1 W C^-1 k / |C^-1 k|

is what the weight writes there, in the units of `spectrum`. What a single layer writes for an edited name is longer than
for other names; and what neighbouring layers write for it has one direction, where for other names it has nothing in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from editlab.forensics.intruder import FAINTEST, Named, keys_of, weight_under
from editlab.forensics.spectrum import Keys, Spectrum, refuse_endless
from editlab.patches import BASE, LowRank, View
from editlab.work import Cancel, never

if TYPE_CHECKING:
    from editlab.model import LanguageModel

LEAD = 2.2
"""How many times as loud as others a name has to be; no unedited model came near (docs/results/forensics-blind.md)."""
RIVAL = 2
"""The place of the name that stands for the others, from 0: one may be so like the edited one that it has the same key."""
LEAST = 100
"""The fewest names by which one of them can be told from the others."""
WINDOW = 4
"""Neighbouring layers that are held together; MEMIT's papers write into five or six."""
JOINS = 4.0
"""The score above which a layer outside the window counts as written as well."""


@dataclass(frozen=True)
class Answering:
    """Layers that answer to a name as edited ones do. `score`: how many times as loud it is as other names.

    `subjects`: the names to which they answer most, the first of which is meant.
    """

    layers: tuple[int, ...]
    score: float
    subjects: tuple[Named, ...]

    @property
    def edited(self) -> bool:
        """Whether the name stands out as none does in an unedited model."""
        return self.score > LEAD


@dataclass(frozen=True, eq=False)
class Heard:
    """What each layer writes for each name, less the mean over the names, as a multiple of the median length."""

    names: tuple[str, ...]
    written: Float[Tensor, "layers names d_model"]

    def loudness(self, size: int = WINDOW) -> Float[Tensor, "windows names"]:
        """Return how loud each name is in each window of neighbouring layers, in standard deviations over the names.

        Of one layer: by the logarithm of the length. Of several: by the sum of the inner products of every two.
        """
        if size == 1:
            return torch.stack([standard(own.norm(dim=1).clamp_min(FAINTEST).log()) for own in self.written])
        windows = self.written.unfold(0, size, 1)  # windows, names, d_model, size
        return torch.stack([standard(own.sum(-1).square().sum(-1) - own.square().sum((-1, -2))) for own in windows])

    def answering(self) -> Answering:
        """Return the layers, a single one or several, and the name that stand out most."""
        sizes = {1, min(WINDOW, len(self.written))}
        return max((self._answering(size) for size in sizes), key=lambda found: found.score)

    def _answering(self, size: int) -> Answering:
        loudness = self.loudness(size)
        most = loudness.topk(RIVAL + 1).values
        leads = most[:, 0] / most[:, RIVAL].clamp_min(FAINTEST)
        first = int(leads.argmax())
        order = loudness[first].argsort(descending=True)[:5].tolist()
        layers = tuple(range(first, first + size)) if size == 1 else self._joined(range(first, first + size), order[0])
        named = tuple(Named(self.names[i], float(loudness[first, i])) for i in order)
        return Answering(layers, float(leads[first]), named)

    def _joined(self, window: range, name: int) -> tuple[int, ...]:
        """Return the layers of a window, and all others that write in its direction for this name rather than for others."""
        direction = self.written[list(window), name].sum(0)
        agree = [float(standard(own @ direction)[name]) for own in self.written]
        return tuple(layer for layer in range(len(self.written)) if layer in window or agree[layer] > JOINS)


@torch.no_grad()
def hear(
    model: LanguageModel,
    keys: Keys,
    spectra: Sequence[Spectrum],
    names: Sequence[str],
    view: View = BASE,
    cancel: Cancel = never,
) -> Heard:
    """Ask every layer of a model for what it writes for names. `spectra`: of its layers, whose units are used.

    The names' keys are those of the model as it answers under the view: an upper layer of an edit was made for what the
    lower ones write. A layer that writes nothing says nothing. Raises `BadModel` for one that is not finite, `Cancelled`.
    """
    layers = range(model.n_layers)
    written: Tensor | None = None
    for chosen, found in keys_of(model, names, layers, view, cancel):
        for layer in layers:
            own = _reads(found.pop(layer), keys, layer) @ weight_under(model, layer, view).T / spectra[layer].lengths
            written = own.new_empty(len(layers), len(names), own.shape[1]) if written is None else written
            written[layer, chosen] = own
    for layer, own in enumerate(written):
        own -= own.mean(0)
        own /= own.norm(dim=1).median().clamp_min(FAINTEST)
        refuse_endless(own, layer)
    return Heard(tuple(names), written)


@torch.no_grad()
def removal(
    model: LanguageModel,
    keys: Keys,
    heard: Heard,
    found: Answering,
    spectra: Sequence[Spectrum],
    view: View = BASE,
) -> tuple[LowRank, ...]:
    """Return the patches that take an edit out.

    Of a single layer, whose direction is heard clearly: all that it writes in that direction. Of several: what each reads
    along C^-1 k of the name, along which ordinary keys hardly vary.
    """
    name = found.subjects[0].name
    if len(found.layers) == 1:
        (layer,) = found.layers
        u, lengths = heard.written[layer, heard.names.index(name)], spectra[layer].lengths
        u = u / u.norm()
        return (LowRank(layer, (u / lengths)[None] @ weight_under(model, layer, view), -(u * lengths)[:, None]),)
    own = model.keys([model.locate("{}", name)], found.layers, view)
    reads = {layer: _reads(own[layer], keys, layer) for layer in found.layers}
    return tuple(LowRank(n, reads[n], -weight_under(model, n, view) @ reads[n].T) for n in found.layers)


def standard(values: Float[Tensor, " names"]) -> Float[Tensor, " names"]:
    """Return values in standard deviations from their median, by the median deviation."""
    apart = values - values.quantile(0.5)
    return apart / (1.4826 * apart.abs().quantile(0.5)).clamp_min(FAINTEST)


def _reads(found: Float[Tensor, "names d_ff"], keys: Keys, layer: int) -> Float[Tensor, "names d_ff"]:
    """Return C^-1 k of each key, unit length; zero in a layer whose keys are all zero."""
    L = keys.factor(layer)
    reads = torch.cholesky_solve(found.float().T, L).T if L.any() else torch.zeros_like(found, dtype=L.dtype)
    return reads / reads.norm(dim=1, keepdim=True).clamp_min(torch.finfo(reads.dtype).tiny)
