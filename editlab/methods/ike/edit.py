"""In-context knowledge editing (IKE): demonstrations of how a new fact is to be taken, then the fact, before every question.

Zheng et al. 2023, arXiv 2305.12740. A demonstration is a new fact about something else and a question behind it: the fact
itself (copy), the fact in other words (update), or another fact, which stays (retain).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache
from itertools import cycle
from typing import TYPE_CHECKING, NamedTuple

from editlab.facts import EditRequest, Fact, FactBase
from editlab.facts.request import SLOT
from editlab.facts.retrieval import Bm25
from editlab.facts.script import joined
from editlab.methods._telling import Telling, our_facts
from editlab.methods.ike.config import IkeConfig
from editlab.patches import Preamble
from editlab.wording import noop

if TYPE_CHECKING:
    from editlab.model import LanguageModel

KINDS = ("copy", "retain", "update", "retain", "update", "retain", "update", "retain")
"""The kinds of demonstrations in the published ratio of 1 : 3 : 4."""
ROOM = 4
"""Demonstrations fill at most this part of the model's context: one in so many tokens."""


class Ike(Telling):
    """In-context editing (docs/methods.md 8.2)."""

    name = "ike"
    title = noop("IKE: demonstrations and the fact before every question")
    about = noop(
        "Examples of what a new fact changes and what it leaves alone, then the fact, before every question (Zheng et "
        "al. 2023). No weight changes; every question becomes longer."
    )
    config = IkeConfig
    work = noop("demonstrations: choosing facts that are alike")

    def patch(self, model: LanguageModel, request: EditRequest, config: IkeConfig) -> Preamble:
        """Return the demonstrations that are most like the fact, and the fact behind them."""
        shown = demonstrations(request, config.demonstrations, config.seed)
        return Preamble(_new_fact(request), "".join(_fitting(model, shown)), "Prompt:")


def demonstrations(request: EditRequest, count: int, seed: int = 0) -> list[str]:
    """Return demonstrations made of our own facts that are most like a request, the most alike last; objects are drawn."""
    known = _known()
    scores = known.index.scores(request.sentence)
    best = sorted(scores, key=lambda number: (-scores[number], number))
    chosen = [known.facts[number] for number in best if known.facts[number].subject != request.subject][:count]
    rng = random.Random(f"{seed}/{request.text}")
    shown = [_demonstration(known.base, fact, kind, rng) for fact, kind in zip(chosen, cycle(KINDS), strict=False)]
    return shown[::-1]


class _Known(NamedTuple):
    """Our own facts, and those that a demonstration can be about, as an index of sentences."""

    base: FactBase
    facts: tuple[Fact, ...]
    index: Bm25


@lru_cache(1)
def _known() -> _Known:
    facts = our_facts()
    objects = {relation: {fact.object for fact in own} for relation, own in facts.by_relation.items()}
    fit = tuple(f for f in facts.facts if len(objects[f.relation]) > 1 and facts.relations[f.relation].templates)
    return _Known(facts, fit, Bm25([_said(facts.relations[f.relation].templates[0], f.subject, f.object) for f in fit]))


def _demonstration(facts: FactBase, fact: Fact, kind: str, rng: random.Random) -> str:
    """Return a new fact about the subject of a fact, and a question with its answer."""
    templates, alike = facts.relations[fact.relation].templates, facts.by_relation[fact.relation]
    new = rng.choice(sorted({other.object for other in alike} - {fact.object}))
    prompt, reworded = (rng.sample(templates, 2) if len(templates) > 1 else (*templates, *templates))[:2]
    others = [other for other in alike if other.subject != fact.subject] if kind == "retain" else []
    if others:
        other = rng.choice(others)
        answered = _said(reworded, other.subject, other.object)
    else:
        answered = _said(reworded if kind == "update" else prompt, fact.subject, new)
    return f"New Fact: {_said(prompt, fact.subject, new)}\nPrompt: {answered}\n\n"


def _said(template: str, subject: str, object: str) -> str:
    return joined(template.replace(SLOT, subject), object)


def _new_fact(request: EditRequest) -> str:
    return f"New Fact: {joined(request.text, request.target_new)}\n"


def _fitting(model: LanguageModel, shown: Sequence[str]) -> Sequence[str]:
    """Return the last demonstrations, as many as have room before a question."""
    room = model.tok.context // ROOM
    for first in range(len(shown) - 1, -1, -1):
        room -= len(model.tok.chips(shown[first]))
        if room < 0:
            return shown[first + 1 :]
    return shown
