"""Who speaks when a question is asked: every answer of a layer is a discussion among stored memories.

Lemma 4.1 of arXiv 2410.09338. With stored keys as columns of K, a query's key is a mixture K a and its value the same
mixture of stored values. Here only some stored keys have a name: those of known facts. What they do not explain is shown as
a voice of its own, the remainder.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from editlab.facts import Fact, FactBase, subjects
from editlab.insight.site import Site
from editlab.model.tokens import Located
from editlab.wording import noop

MOST = 500
RIDGE = 1e-2
"""As a share of the mean <k, k> of the stored keys."""
SHOWN = 8
EDIT, STORED, OTHERS, REMAINDER = "edit", "stored", "others", "remainder"


@dataclass(frozen=True, eq=False)
class StoredKeys:
    """Facts with their keys `[facts, d_ff]`; `also` counts the facts whose key is the same, for they begin alike."""

    sentences: tuple[str, ...]
    subjects: tuple[str, ...]
    also: tuple[int, ...]
    keys: Float[Tensor, "facts d_ff"]


def stored_keys(
    site: Site, facts: FactBase, relation: str | None = None, near: Sequence[str] = (), seed: int = 0, most: int = MOST
) -> StoredKeys:
    """Return keys of known facts at the subject's last token, each fact said in its relation's first wording.

    About `most` of them from all relations alike, always with the edit's subject and those in `near`; a subject of the
    edit's relation is said in that relation's wording.
    """
    chosen = _chosen(facts, site.request.subject, relation, near, seed, most)
    rows: dict[tuple[int, ...], tuple[str, str, Located]] = {}
    also: dict[tuple[int, ...], int] = {}
    for fact in chosen:
        template = facts.relations[fact.relation].templates[0]
        row = site.model.locate(template, fact.subject, form=site.edited.form)
        heard = row.ids[: row.index + 1]
        also[heard] = also.get(heard, -1) + 1
        rows.setdefault(heard, (template.replace("{}", fact.subject), fact.subject, row))
    keys = site.keys([row for _, _, row in rows.values()])
    sentences, subjects = (tuple(entry[n] for entry in rows.values()) for n in (0, 1))
    return StoredKeys(sentences, subjects, tuple(also[heard] for heard in rows), keys)


def discussion(site: Site, text: str, stored: StoredKeys, names: Sequence[str] = ()) -> pd.DataFrame:
    """Return the voices at a question, loudest first: the edit, `SHOWN` stored facts, the other facts, the remainder.

    Columns: `voice`, `kind`, `loudness` (signed) and `also` (further facts with the same key). The edit's loudness is its
    exact share (u.k) / (u.k_e); the stored facts' are a_i <k_i, k> / <k, k> with a from least squares in the whitened
    metric, and together with the remainder they make 1. The key is read, as the pathways leave it, at the last token of a
    name that the text has (the subject, `names`, or a stored subject), else where the edit is loudest; `frame.attrs["at"]`
    says which words that is, `frame.attrs["whitened"]` whether C is known.
    """
    view = site.edited if site.robust is None else site.robust
    at, said = _asked_about(site, text, (site.request.subject, *names), stored.subjects)
    arriving, asked = site.keys([at])[0], site.keys([at], view)[0]
    a, white = weights(site, arriving, stored.keys)
    total = white @ arriving
    loudness = a * (stored.keys @ white) / total
    order = loudness.abs().argsort(descending=True).tolist()
    top = order[:SHOWN]
    rows = [
        (noop(f"the edit: {site.request.subject} → {site.request.target_new}"), EDIT, float(site.share(asked[None])[0]), 0),
        *((stored.sentences[n], STORED, float(loudness[n]), stored.also[n]) for n in top),
    ]
    if order[SHOWN:]:
        rows.append((noop(f"{len(order[SHOWN:])} other facts together"), OTHERS, float(loudness[order[SHOWN:]].sum()), 0))
    rows.append((noop("all that has no name here"), REMAINDER, float(1 - loudness.sum()), 0))
    frame = pd.DataFrame(rows, columns=["voice", "kind", "loudness", "also"])
    frame.attrs |= {"at": said, "text": text, "whitened": site.statistics is not None, "facts": len(stored.sentences)}
    frame.attrs["before"] = float(site.share(arriving[None])[0]) if site.robust is not None else None
    return frame


def weights(
    site: Site, key: Float[Tensor, "d_ff"], stored: Float[Tensor, "facts d_ff"]
) -> tuple[Float[Tensor, "facts"], Float[Tensor, "d_ff"]]:
    """Return a, the minimum of |k - K a|^2 + ridge |a|^2 in the whitened metric, and C^-1 k."""
    white = site.whitened(key[None])[0]
    products = (stored @ site.whitened(stored).T).double()
    ridge = RIDGE * products.diagonal().mean() * torch.eye(len(stored), device=stored.device, dtype=torch.float64)
    return torch.linalg.solve(products + ridge, (stored @ white).double()).float(), white


def _chosen(facts: FactBase, subject: str, relation: str | None, near: Sequence[str], seed: int, most: int) -> list[Fact]:
    """Return the subject's and its neighbours' facts, those of the edit's relation first; then some of every relation."""
    rng = random.Random(seed)
    always = [fact for name in (subject, *near) for fact in facts.by_subject.get(name, ())]
    chosen = dict.fromkeys(sorted(always, key=lambda fact: fact.relation != relation))
    pools = [rng.sample(own, len(own)) for own in facts.by_relation.values()]
    while len(chosen) < most and any(pools):
        chosen |= dict.fromkeys(pool.pop() for pool in pools if pool)
    return list(chosen)


def _asked_about(site: Site, text: str, own: Sequence[str], others: Sequence[str]) -> tuple[Located, str]:
    """Return where a question names what it is about: the longest of the subject's names, else of other subjects'."""
    for names in (own, others):
        named = sorted((name for name in names if name and subjects.whole(name, text)), key=len, reverse=True)
        if named and (at := site.locate(text, named[0])) is not None:
            return at, named[0]
    return _loudest(site, text)


def _loudest(site: Site, text: str) -> tuple[Located, str]:
    model = site.model
    ids = model.tok.encode(text)
    special = set(model.tokenizer.all_special_ids)
    _, keys = next(iter(model.keys_everywhere([ids], site.layer, site.edited)))
    shares = [-1.0 if i in special else abs(share) for i, share in zip(ids, site.share(keys.float()).tolist(), strict=True)]
    best = max(range(len(ids)), key=shares.__getitem__)
    return Located(tuple(ids), best), model.tok.decode([ids[best]]).strip()
