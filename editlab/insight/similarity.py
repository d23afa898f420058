"""How alike the keys of one subject are when it is rephrased (figure 3 of arXiv 2410.09338).

A rephrase, a reordering or a long text before the prompt give the subject another key; an edit is heard as far as that key
is like the one it was written for.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from editlab.insight.site import Site
from editlab.model.tokens import Located
from editlab.work import Cancel, Progress, never, no_progress, stop_if

if TYPE_CHECKING:
    from editlab.probes import Passages, Probe

FORMS = ("success", "rephrase", "shuffle", "long", "locality")
"""Kinds of probe whose keys are compared; `locality` asks about neighbours."""
RANDOM = "random"
RANDOM_KEYS = 200
WINDOW = 256


@dataclass(frozen=True, eq=False)
class Form:
    """One way to say a subject: where the key is read that answers for it."""

    kind: str
    domain: str
    text: str
    subject: str
    at: Located


@dataclass(frozen=True, eq=False)
class Similarity:
    """`frame`: a row a key, with kind, domain, text, subject, `before` and `after` the pathways (NaN without any).

    `share`: how much of the edit the key receives without pathways, which an edit with two keys does not give as similarity.

    `x`, `y`: the first two principal components of the whitened keys of subject and neighbours, in units of the edit key's
    own length; NaN for random keys. `variance`: the share of the variance that each component holds. `whitened`: whether
    there are key statistics.
    """

    frame: pd.DataFrame
    variance: tuple[float, float]
    whitened: bool
    layer: int


def forms(site: Site, probes: Sequence[Probe], kinds: Sequence[str] = FORMS) -> list[Form]:
    """Return the probes of these kinds whose subject stands in their text; others have no key to look at."""
    found = [(p, site.locate(p.text, p.subject)) for p in probes if p.kind in kinds]
    return [Form(p.kind, p.domain, p.text, p.subject, at) for p, at in found if at is not None]


def random_keys(
    site: Site, passages: Passages, seed: int = 0, most: int = RANDOM_KEYS
) -> tuple[Float[Tensor, "n d_ff"], list[str]]:
    """Return keys at random tokens of prose and the words that they end, at most `most`, drawn with `seed`."""
    tok, special = site.model.tok, set(site.model.tokenizer.all_special_ids)
    rows = [tok.encode(text)[:WINDOW] for text in (*passages.outside, *passages.inside)[:4]]
    places = [(row, at) for row, ids in enumerate(rows) for at, i in enumerate(ids) if i not in special]
    chosen = random.Random(seed).sample(places, min(most, len(places)))
    by_row: dict[int, Tensor] = {}
    for chunk, keys in site.model.keys_everywhere(rows, site.layer, site.edited):
        by_row |= dict(zip(chunk, keys.split([len(rows[n]) for n in chunk]), strict=True))
    texts = [tok.decode(rows[row][max(0, at - 7) : at + 1]).strip() for row, at in chosen]
    return torch.stack([by_row[row][at].float() for row, at in chosen]), texts


def similarity(
    site: Site,
    probes: Sequence[Probe],
    passages: Passages,
    seed: int = 0,
    progress: Progress = no_progress,
    cancel: Cancel = never,
) -> Similarity:
    """Compare every form of the subject, its neighbours and random words with the edit's key. Raises `Cancelled`."""
    said = forms(site, probes)
    rows = [form.at for form in said]
    progress(0.0, "keys: the subject in all its forms")
    keys = site.keys(rows)
    stop_if(cancel, "Stopped before the keys were compared.")
    progress(0.5, "keys: random words")
    others, words = random_keys(site, passages, seed)
    before = [*site.similarity(keys).tolist(), *site.similarity(others).tolist()]
    after = [float("nan")] * len(before)
    if site.robust is not None:
        after = [
            *site.similarity(site.keys(rows, site.robust)).tolist(),
            *site.similarity(site.moved(others)).tolist(),
        ]
    progress(0.9, "keys: principal components")
    scale = float(torch.sqrt(site.whitened(site.key[None])[0] @ site.key))
    points, variance = components(keys, site.whitened(keys))
    nowhere = [[float("nan")] * 2] * len(others)
    coordinates = [*(points / scale).tolist(), *nowhere]
    frame = pd.DataFrame(
        {
            "kind": [*(form.kind for form in said), *([RANDOM] * len(others))],
            "domain": [*(form.domain for form in said), *([""] * len(others))],
            "text": [*(form.text for form in said), *words],
            "subject": [*(form.subject for form in said), *([""] * len(others))],
            "before": before,
            "after": after,
            "share": [*site.share(keys).tolist(), *site.share(others).tolist()],
            "x": [x for x, _ in coordinates],
            "y": [y for _, y in coordinates],
        }
    )
    return Similarity(frame, variance, site.statistics is not None, site.layer)


def components(
    keys: Float[Tensor, "n d_ff"], whitened: Float[Tensor, "n d_ff"]
) -> tuple[Float[Tensor, "n 2"], tuple[float, float]]:
    """Return the first two principal components in the metric of `whitened` = C^-1 k, and the share of the variance of each.

    From the n x n products alone, so that C^-1/2 is never needed. The largest coordinate of each component is positive.
    """
    count = len(keys)
    products = (keys.double() @ whitened.double().T).cpu()
    centred = products - products.mean(0) - products.mean(1)[:, None] + products.mean()
    values, vectors = torch.linalg.eigh((centred + centred.T) / 2)
    values, vectors = values.flip(0).clamp(min=0)[:2], vectors.flip(1)[:, :2]
    if count < 2:
        values, vectors = torch.zeros(2).double(), torch.zeros(count, 2).double()
    points = vectors * values.sqrt()
    largest = points.abs().argmax(0)
    points = points * torch.where(points[largest, torch.arange(2)] < 0, -1.0, 1.0)
    total = float(centred.diagonal().sum())
    first, second = (float(value) / total if total > 0 else 0.0 for value in values)
    return points.float(), (first, second)
