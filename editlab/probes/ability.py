"""Ability: questions with four options, asked by how likely a view finds each, of which an edit should change none.

Facts have objects of one relation as options, prose has the sentence that follows and three from elsewhere in the same text.
`editlab/bench/tasks` gives the same questions to lm-evaluation-harness.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from editlab.facts import FactBase
from editlab.model.reading import read
from editlab.model.tokens import in_chunks
from editlab.patches import BASE, View
from editlab.settings import bundled_presets

if TYPE_CHECKING:
    from editlab.model import LanguageModel

OPTIONS, FACTS, PLACES, SEED = 4, 200, 25, 0
"""Options of a question, facts that are asked, places of a text, and what they are drawn with."""
SENTENCE = re.compile(r"(?<=[.!?])\s+")
LEAST, MOST = 40, 200
"""Characters of a sentence that is asked for."""
FEW = 32
"""Questions of a check-up."""
AT_ONCE = 16
"""Questions that are asked before others get the model."""


@dataclass(frozen=True)
class Choice:
    """A text, the ways to go on with it, and which of them is right."""

    text: str
    options: tuple[str, ...]
    right: int


class Picked(NamedTuple):
    """Which option a view finds likeliest, and likeliest per letter: the harness's `acc` and `acc_norm`; -1 for none."""

    likeliest: int
    per_letter: int


@lru_cache(maxsize=1)
def facts() -> tuple[Choice, ...]:
    """Return the questions about EditLab's own facts: the true object, and three that are true of other subjects."""
    base, rng = FactBase.load(bundled_presets() / "facts"), random.Random(SEED)
    objects: dict[str, set[str]] = {}
    for fact in base.facts:
        objects.setdefault(fact.relation, set()).add(fact.object)
    asked = [fact for fact in base.facts if len(objects[fact.relation]) >= OPTIONS]
    found = []
    for fact in rng.sample(asked, min(FACTS, len(asked))):
        others = rng.sample(sorted(objects[fact.relation] - {fact.object}), OPTIONS - 1)
        text = base.relations[fact.relation].templates[0].replace("{}", fact.subject)
        found.append(_choice(rng, text, fact.object, others))
    return tuple(found)


@lru_cache(maxsize=1)
def prose() -> tuple[Choice, ...]:
    """Return the questions about EditLab's own texts: two sentences, the next one, and three from elsewhere."""
    rng, found = random.Random(SEED), []
    for path in sorted((bundled_presets() / "texts").glob("*.txt")):
        sentences = SENTENCE.split(" ".join(path.read_text(encoding="utf-8").split()))
        fit = [place for place in range(2, len(sentences)) if LEAST <= len(sentences[place]) <= MOST]
        for place in rng.sample(fit, min(PLACES, len(fit))):
            others = rng.sample([sentences[other] for other in fit if abs(other - place) > 2], OPTIONS - 1)
            found.append(_choice(rng, " ".join(sentences[place - 2 : place]), sentences[place], others))
    return tuple(found)


TASKS: dict[str, Callable[[], tuple[Choice, ...]]] = {"editlab_facts": facts, "editlab_prose": prose}
"""EditLab's own tasks, by the names that the harness knows them by."""


def few() -> tuple[Choice, ...]:
    """Return the questions that each check-up asks, everywhere the same: facts, since prose takes ten times as long."""
    return facts()[:FEW]


def without(choices: Iterable[Choice], subjects: Iterable[str]) -> list[Choice]:
    """Return the questions whose text names none of some subjects: what an edit is about may change."""
    names = frozenset(subjects)
    return [choice for choice in choices if not any(name in choice.text for name in names)]


def pick(
    model: LanguageModel, choices: Sequence[Choice], view: View = BASE, rest: Callable[[], None] = lambda: None
) -> list[Picked]:
    """Return what a view picks of each question. Each text is read once, all its options are scored from there.

    `rest()` is called before each few questions. Raises `TooLong` where the context does not hold a text.
    """
    found: dict[int, Picked] = {}
    order = sorted(range(len(choices)), key=lambda number: max(map(len, choices[number].options)))  # little is padded
    for start in range(0, len(choices), AT_ONCE):
        rest()
        some = order[start : start + AT_ONCE]
        found |= zip(some, _picked(model, [choices[number] for number in some], view), strict=True)
    return [found[number] for number in range(len(choices))]


def _picked(model: LanguageModel, choices: Sequence[Choice], view: View) -> list[Picked]:
    sizes = [len(model.tok.encode(view.asks(f"{one.text} {max(one.options, key=len)}"))) for one in choices]
    found: dict[int, Picked] = {}
    for chunk in in_chunks(sizes, model.tokens_per_forward):
        reading = read(model, [choices[number].text for number in chunk], [view] * len(chunk))
        # the shortest options of all texts are scored together, then the next
        asked = [(row, option) for row, number in enumerate(chunk) for option in sorted(choices[number].options, key=len)]
        scores = reading.score([(row, f" {option}") for row, option in asked])  # behind a space, as the harness has it
        log_p = dict(zip(asked, (score.log_p for score in scores), strict=True))
        for row, number in enumerate(chunk):
            whole = [log_p[row, option] for option in choices[number].options]
            per_letter = [own / len(option) for own, option in zip(whole, choices[number].options, strict=True)]
            found[number] = Picked(_largest(whole), _largest(per_letter))
    return [found[number] for number in range(len(choices))]


def _largest(values: Sequence[float]) -> int:
    """Return the place of the largest value; -1, which no right option has, where one of them is no number."""
    return -1 if any(map(math.isnan, values)) else values.index(max(values))


def _choice(rng: random.Random, text: str, right: str, others: Sequence[str]) -> Choice:
    options = [right, *others]
    rng.shuffle(options)
    return Choice(text, tuple(options), options.index(right))
