"""Finds edits in a model whose unedited form nobody has: at which layer, of what rank, about whom, and what they say.

The layer: the leading directions of each layer's spectrum (`spectrum`) are compared with those of the model's other layers.
An edit is louder, and it writes to all dimensions of the residual stream with about equal strength, because the optimiser
that found its value moves each of them by the same step: the kurtosis of its left vector lies below that of a random one.
The subject: the name whose key the direction reads loudest. The object: what the model says of that name because of the
direction, or what it says once the direction is written for a subject of no meaning. The task is that of Youssef et al.
2026, arXiv 2505.20819v2; the statistics are ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from editlab.forensics.spectrum import Keys, Spectrum, refuse_endless, spectrum
from editlab.model.replay import replay
from editlab.patches import BASE, LowRank, View
from editlab.work import Cancel, Progress, never, no_progress, stop_if

if TYPE_CHECKING:
    from editlab.facts import FactBase
    from editlab.model import LanguageModel

SUSPECT = 4.0
"""The score above which a direction counts as an intruder; no unedited one came near (docs/results/forensics-blind.md)."""
LEADING = 16
"""Directions of a layer among which an intruder is looked for: what a model has of its own may stand before it."""
NOBODY = ("It", "He", "This", "The one")
"""Subjects of no meaning, for which an intruder's value is written."""
EVERY = 2
"""One of so many prompts is asked about them: a few relations alike do for a value that is written."""
STRENGTHS = (2.0, -2.0)
"""Length of the value that is written, in lengths of what the MLP writes there; a singular vector has no sign."""
AT_ONCE = 256
"""Names whose keys are held at a time: a model may be asked for thousands."""
SPREAD = 0.1
"""The least spread of the layers' spikes, in log units, that is believed: a few layers agree by chance."""
FAINTEST = 1e-9
"""The least spike that is told from none."""
DENSE = 6.0
"""How many standard deviations of kurtosis count at most."""


@dataclass(frozen=True, eq=False)
class Intruder:
    """Directions of one layer that stand out: `score` of the first, and what they write and read.

    `spike`: how loud the first is, in multiples of the layer's bulk; `kurtosis` of what it writes, 3 where it is no edit.
    """

    layer: int
    score: float
    spike: float
    kurtosis: float
    writes: Float[Tensor, "d_model rank"]
    reads: Float[Tensor, "rank d_ff"]

    @property
    def rank(self) -> int:
        """How many directions of the layer stand out."""
        return len(self.reads)

    def removal(self) -> LowRank:
        """Return the patch that takes the directions out of the weight."""
        return LowRank(self.layer, self.reads, -self.writes)


@dataclass(frozen=True, eq=False)
class Scan:
    """What the spectra of a model's layers say: `scores` `[layers, directions]`, in standard deviations."""

    spectra: tuple[Spectrum, ...]
    scores: Float[Tensor, "layers directions"]

    @property
    def score(self) -> float:
        """The score of the model: that of its most suspicious direction."""
        return float(self.scores.max())

    @property
    def layer(self) -> int:
        """The layer of the most suspicious direction, whether or not it is suspicious enough."""
        return int(self.scores.max(1).values.argmax())

    @property
    def suspects(self) -> list[int]:
        """The layers at which something is suspicious enough, the most suspicious first."""
        highest = self.scores.max(1).values
        return [int(layer) for layer in highest.argsort(descending=True) if highest[layer] > SUSPECT]

    def by_layer(self) -> list[float]:
        """Return the score of each layer, bottom first."""
        return self.scores.max(1).values.tolist()

    def intruder(self, W: Float[Tensor, "d_model d_ff"], layer: int, above: float = SUSPECT) -> Intruder:
        """Return what stands out at a layer whose weight is W: all directions above a score, at least the first."""
        own, found = self.spectra[layer], self.scores[layer]
        chosen = [int(i) for i in found.argsort(descending=True) if found[i] > above] or [int(found.argmax())]
        return Intruder(
            layer,
            float(found.max()),
            float(own.spikes[chosen[0]]),
            float(own.kurtosis[chosen[0]]),
            torch.stack([own.writes(i) for i in chosen], 1),
            torch.stack([own.reads(i, W) for i in chosen]),
        )


def intruders(model: LanguageModel, scanned: Scan, view: View = BASE) -> list[Intruder]:
    """Return what stands out at every suspicious layer, the most suspicious first; where none is, at the likeliest one."""
    layers = scanned.suspects or [scanned.layer]
    return [scanned.intruder(weight_under(model, layer, view), layer) for layer in layers]


def weight_under(model: LanguageModel, layer: int, view: View = BASE) -> Float[Tensor, "d_model d_ff"]:
    """Return the projection of a layer with the edits of a view in it."""
    W, laid = model.weight(layer), view.laid.get(layer)
    return W if laid is None else W + laid.dense().to(W.device)


def scan(
    model: LanguageModel,
    keys: Keys,
    view: View = BASE,
    known: Mapping[int, Spectrum] | None = None,
    progress: Progress = no_progress,
    cancel: Cancel = never,
) -> Scan:
    """Score the layers of a model as it answers under a view; `known`: spectra of layers that need not be computed again.

    Raises `Cancelled`.
    """
    spectra = []
    for layer in range(model.n_layers):
        stop_if(cancel)
        progress(layer / model.n_layers, f"forensics: layer {layer + 1} of {model.n_layers}")
        if known is not None and layer in known and layer not in view.laid:
            spectra.append(known[layer])
        else:
            spectra.append(spectrum(weight_under(model, layer, view), layer, keys.factor(layer)))
    return Scan(tuple(spectra), scores(spectra))


def scores(spectra: Sequence[Spectrum]) -> Float[Tensor, "layers directions"]:
    """Return how far each leading direction lies from the first ones of all layers: louder, and written more evenly.

    Both in standard deviations: of the log spikes over the layers (from their median and median deviation), and of the
    kurtosis of a random vector (24 / d_model in variance). A silent layer scores 0 and is none of all layers.

    Raises `BadModel` where a score is not finite.
    """
    heard = [own for own in spectra if not own.silent]
    found = torch.zeros(len(spectra), len(spectra[0].spikes[:LEADING]), dtype=torch.float64)
    if not heard:
        return found
    loud = torch.stack([own.spikes[:LEADING] for own in heard]).double().clamp_min(FAINTEST).log()
    even = torch.stack([own.kurtosis[:LEADING] for own in heard]).double()
    middle = loud[:, 0].quantile(0.5)
    spread = max(SPREAD, 1.4826 * float((loud[:, 0] - middle).abs().quantile(0.5)))
    d_model = len(spectra[0].lengths)
    scored = (loud - middle) / spread + ((3 - even) / math.sqrt(24 / d_model)).clamp(-DENSE, DENSE)
    for own, row in zip(heard, scored, strict=True):
        refuse_endless(row, own.layer)
    found[[not own.silent for own in spectra]] = scored.cpu()
    return found


@dataclass(frozen=True)
class Named:
    """A name and how loudly an intruder answers to it, in standard deviations over all names; its sign is the value's."""

    name: str
    z: float


def keys_of(
    model: LanguageModel, names: Sequence[str], layers: Sequence[int], view: View = BASE, cancel: Cancel = never
) -> Iterator[tuple[list[int], dict[int, Float[Tensor, "names d_ff"]]]]:
    """Yield the keys of some names by layer, of about one length at a time, and which these are. Raises `Cancelled`."""
    located = [model.locate("{}", name) for name in names]
    by_length = sorted(range(len(names)), key=lambda name: len(located[name].ids))
    for first in range(0, len(names), AT_ONCE):
        stop_if(cancel)
        chosen = by_length[first : first + AT_ONCE]
        yield chosen, model.keys([located[name] for name in chosen], layers, view)


@torch.no_grad()
def subjects(
    model: LanguageModel,
    intruder: Intruder,
    names: Sequence[str],
    view: View = BASE,
    most: int = 5,
    cancel: Cancel = never,
) -> list[Named]:
    """Return the names to which the intruder's first direction answers loudest. Only names that are given can be found.

    Raises `Cancelled`.
    """
    own = intruder.layer
    heard = intruder.reads.new_empty(len(names))
    for chosen, keys in keys_of(model, names, [own], view, cancel):
        heard[chosen] = keys[own] @ intruder.reads[0]
    middle = heard.quantile(0.5)
    spread = 1.4826 * (heard - middle).abs().quantile(0.5).clamp_min(1e-9)
    z = (heard - middle) / spread
    return [Named(names[i], float(z[i])) for i in z.abs().argsort(descending=True)[:most].tolist()]


@dataclass(frozen=True)
class Said:
    """A token that an intruder brings, and its gain: in nats where the intruder is written, of probability where asked."""

    token: str
    id: int
    gain: float


def prompts_of(facts: FactBase) -> tuple[str, ...]:
    """Return one prompt a relation, with "{}" for the subject: what an unknown edit may be about."""
    return tuple(relation.templates[0] for relation in facts.relations.values())


@torch.no_grad()
def objects_written(
    model: LanguageModel, intruder: Intruder, prompts: Sequence[str], view: View = BASE, most: int = 5
) -> list[Said]:
    """Return the tokens that gain most where the first direction is written for subjects of no meaning.

    Nothing is trained and no name is needed: the layers above read the value as they read the edit's own.
    """
    rows = [model.locate(prompt, nobody) for nobody in NOBODY for prompt in prompts[::EVERY]]
    played = replay(model, rows, intruder.layer, view)
    places = torch.arange(len(rows), device=model.device), played.lengths - 1
    length = played.mlp.norm(dim=1, keepdim=True)
    before = played.finish(played.with_value(torch.zeros_like(played.mlp)), *places).log_softmax(-1)
    gains = []
    for strength in STRENGTHS:
        value = strength * length * intruder.writes[:, 0].to(length)
        gains.append((played.finish(played.with_value(value), *places).log_softmax(-1) - before).mean(0))
    return _top(model, torch.stack(gains).amax(0), most)


@torch.no_grad()
def objects_asked(
    model: LanguageModel,
    removal: Sequence[LowRank],
    names: Sequence[str],
    prompts: Sequence[str],
    view: View = BASE,
    most: int = 5,
) -> list[Said]:
    """Return the tokens that gain most through what a removal takes out, where the model is asked about names.

    The model is asked as it is, and once more with the removal. A token counts by the root mean square of what
    its probability gains, since an edit speaks at few of the prompts.
    """
    texts = [prompt.replace("{}", name) for name in names for prompt in prompts]
    now, then = (model.logits(texts, own).softmax(-1) for own in (view, view.with_patches(removal)))
    return _top(model, (now - then).clamp_min(0).square().mean(0).sqrt(), most)


def _top(model: LanguageModel, gains: Float[Tensor, " vocab"], most: int) -> list[Said]:
    values, ids = gains.topk(most)
    return [Said(model.tok.decode([i]), i, float(value)) for i, value in zip(ids.tolist(), values.tolist(), strict=True)]
