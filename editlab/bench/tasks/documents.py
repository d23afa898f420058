"""The documents of the tasks: a text, four ways to go on, and which of them is right."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from editlab.facts import FactBase
from editlab.settings import bundled_presets

Document = Mapping[str, Any]

CHOICES, FACTS, SEED = 4, 200, 0
SENTENCE = re.compile(r"(?<=[.!?])\s+")
LEAST, MOST = 40, 200
"""Characters of a sentence that is asked for."""


def facts(**given: Any) -> Any:
    """Return the facts as the harness reads them."""
    return _dataset(of_facts())


def prose(**given: Any) -> Any:
    """Return the prose as the harness reads it."""
    return _dataset(of_prose())


def of_facts() -> list[Document]:
    """Return facts as documents: the true object, and three objects of the same relation that are true of others."""
    base, rng = FactBase.load(bundled_presets() / "facts"), random.Random(SEED)
    objects: dict[str, set[str]] = {}
    for fact in base.facts:
        objects.setdefault(fact.relation, set()).add(fact.object)
    asked = [fact for fact in base.facts if len(objects[fact.relation]) >= CHOICES]
    found = []
    for fact in rng.sample(asked, min(FACTS, len(asked))):
        others = rng.sample(sorted(objects[fact.relation] - {fact.object}), CHOICES - 1)
        text = base.relations[fact.relation].templates[0].replace("{}", fact.subject)
        found.append(_document(rng, text, fact.object, others))
    return found


def of_prose() -> list[Document]:
    """Return prose as documents: two sentences, the next one, and three from elsewhere in the same text."""
    rng, found = random.Random(SEED), []
    for path in sorted((bundled_presets() / "texts").glob("*.txt")):
        sentences = SENTENCE.split(" ".join(path.read_text(encoding="utf-8").split()))
        fit = [place for place in range(2, len(sentences)) if LEAST <= len(sentences[place]) <= MOST]
        for place in rng.sample(fit, min(25, len(fit))):
            others = rng.sample([sentences[other] for other in fit if abs(other - place) > 2], CHOICES - 1)
            found.append(_document(rng, " ".join(sentences[place - 2 : place]), sentences[place], others))
    return found


def _dataset(documents: Sequence[Document]) -> Any:
    from datasets import Dataset  # of the harness

    return {"test": Dataset.from_list(list(documents))}


def _document(rng: random.Random, text: str, right: str, others: Sequence[str]) -> Document:
    choices = [right, *others]
    rng.shuffle(choices)
    return {"text": text, "choices": choices, "right": choices.index(right)}
