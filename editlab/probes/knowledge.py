"""What a model knows: the facts whose object it says, greedily, behind a trained wording of their relation."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from editlab.facts import EditRequest, Fact, FactBase
from editlab.patches import BASE

if TYPE_CHECKING:
    from editlab.model import LanguageModel

SAID_TOKENS = 8
"""Tokens of what a model says where it does not say the object."""


@dataclass(frozen=True)
class Knowledge:
    """Whether a model says the true object of a request, with which probability; `says`: what it says in its place."""

    known: bool
    p: float
    says: str = ""


def knowledge(model: LanguageModel, requests: Sequence[EditRequest], says: bool = False) -> list[Knowledge]:
    """Return what the unedited model knows of requests that have a true object. `says`: also what it says otherwise."""
    found = model.score([request.text for request in requests], [request.target_true or "" for request in requests])
    unknown = dict.fromkeys(request.text for request, score in zip(requests, found, strict=True) if not score.hit)
    said: dict[str, str] = {}
    if says and unknown:
        *_, texts = model.generate(list(unknown), BASE, SAID_TOKENS)
        said = dict(zip(unknown, texts, strict=True))
    pairs = zip(requests, found, strict=True)
    return [Knowledge(score.hit, score.p, "" if score.hit else said.get(request.text, "")) for request, score in pairs]


def wordings(facts: FactBase, fact: Fact, most: int = 1) -> list[EditRequest]:
    """Return a fact in trained wordings, at most so many that begin with the subject and as many that do not.

    The new object is another one of the relation, the same in all of them; none where there is no other.
    """
    others = dict.fromkeys(other.object for other in facts.by_relation[fact.relation] if other.object != fact.object)
    if not others:
        return []
    new = random.Random(f"{fact.subject}/{fact.relation}").choice(list(others))
    clear = facts.unambiguous(facts.relations[fact.relation].templates)
    first = [template for template in clear if template.startswith("{}")]
    later = [template for template in clear if template not in first]
    return [EditRequest(prompt, fact.subject, new, fact.object) for prompt in (*later[:most], *first[:most])]


def in_turn(facts: FactBase, most: int) -> Iterator[Fact]:
    """Yield facts of all relations in turn, at most so many of each, as they are listed: the well-known ones come first."""
    for row in zip_longest(*(group[:most] for group in facts.by_relation.values())):
        yield from (fact for fact in row if fact is not None)
