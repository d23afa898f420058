"""What a pathway may be taught about a case: the in-domain half of its names and passages, and nothing of what is judged.

The neighbours at which the edit is measured are kept out too: other subjects come from the fact base at large.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from editlab.facts import EditCase, FactBase, split
from editlab.methods.rep import Lessons
from editlab.probes.battery import shuffles
from editlab.probes.passages import Passages

if TYPE_CHECKING:
    from editlab.model import LanguageModel

ALIKE, UNLIKE = 100, 150
"""Other subjects that share words with the subject's names, and others drawn at random."""
PASSAGES = 30
PROMPTS = 60
"""Other questions about the subject."""


def lessons(
    model: LanguageModel,
    case: EditCase,
    passages: Passages,
    facts: FactBase,
    seed: int = 0,
    names: Sequence[str] = (),
) -> Lessons:
    """Return the lessons of a case, drawn with `seed`; `names` are taught beside those that the case has.

    Raises `BadRequest` where the subject has no other name or order.
    """
    request = case.request
    rng = random.Random(f"{seed}/{request.text}")
    orders = split(shuffles(model, request.subject, seed))[0]
    names = tuple(dict.fromkeys((*split(case.rephrases)[0], *names, *orders)))
    judged = {item.subject for item in (*case.neighbours, *case.same_subject, *case.propagation)}
    asked = {item.text for item in case.same_subject}
    prompts = [t for r in facts.relations.values() for t in r.templates if t.replace("{}", request.subject) not in asked]
    others = _others(facts, (request.subject, *names), judged | {request.subject, *case.rephrases}, rng)
    return Lessons(
        request.prompt,
        request.subject,
        names,
        tuple(passages.inside[:PASSAGES]),
        tuple(rng.sample(prompts, min(PROMPTS, len(prompts)))),
        others,
    )


def _others(facts: FactBase, names: tuple[str, ...], kept_out: set[str], rng: random.Random) -> tuple[str, ...]:
    """Return other subjects: those that share the most words with these names, then others at random."""
    words = {word.casefold() for name in names for word in name.split()}
    shared = Counter({name: len(words & set(name.casefold().split())) for name in facts.by_subject if name not in kept_out})
    alike = [name for name, count in shared.most_common(ALIKE) if count]
    rest = [name for name in shared if name not in alike]
    return (*alike, *rng.sample(rest, min(UNLIKE, len(rest))))
