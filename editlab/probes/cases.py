"""From a request to its case: what the fact base knows about the subject and the relation says what to ask.

An edit must reach the same fact in other words and under other names, and what follows from it; it must leave alone
other subjects and the subject's other facts. Where the relation is unknown, only the edit, the subject's other names
and unrelated subjects in the same sentence are asked.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from editlab.facts import EditCase, EditRequest, Expectation, Fact, FactBase
from editlab.facts.languages import language_of
from editlab.facts.rephrases import rephrasings
from editlab.facts.request import SLOT

MOST = 10
"""Most neighbours and most consequences of a case."""
MOST_PARAPHRASES = 6


def case_for(request: EditRequest, facts: FactBase, seed: int = 0) -> EditCase:
    """Return the case of a request, as far as the fact base can tell; what it asks is drawn with `seed`.

    The case's own request carries the true object where the base knows it and the given request does not. Where the base
    has no other name of the subject, rules make some. A neighbour expects its true object, or None (the base model's own
    answer) where the relation is unknown.
    """
    subject = _canonical(request.subject, facts)
    relation = _relation(request, subject, facts)
    true = request.target_true or (facts.object_of(subject, relation) if relation else None)
    if true and true.casefold() != request.target_new.casefold():
        request = replace(request, target_true=true)
    names = (subject, *facts.aliases.get(subject, ()))
    rephrases = tuple(name for name in names if name != request.subject) or rephrasings(
        request.subject, relation, language_of(request.prompt, request.subject)
    )
    case = EditCase(request, request.text, relation, rephrases)
    rng = random.Random(f"{seed}/{request.text}")
    if relation is None:
        return replace(case, neighbours=_strangers(request, subject, facts, rng))
    around = _Around(facts, request, subject, relation, rng)
    return replace(
        case,
        paraphrases=around.paraphrases(),
        neighbours=around.neighbours(),
        same_subject=around.same_subject(),
        propagation=around.propagation(),
    )


def ended_by(case: EditCase) -> frozenset[tuple[str, str]]:
    """Return the facts that an edit means to end, as (subject, object): its own, and those that change with it.

    The subject stands there under the names that the case knows.
    """
    request = case.request
    names = (request.subject, *case.rephrases)
    own = {item.before for item in case.propagation if item.subject == request.subject}
    ended = {(name, object) for name in names for object in {request.target_true, *own} if object}
    return frozenset(ended | {(item.subject, item.before) for item in case.propagation if item.subject and item.before})


def _canonical(subject: str, facts: FactBase) -> str:
    """Return the name under which the base knows a subject."""
    if subject in facts.by_subject:
        return subject
    return next((name for name, aliases in facts.aliases.items() if subject in aliases), subject)


def _relation(request: EditRequest, subject: str, facts: FactBase) -> str | None:
    """Return the relation that a request is about, or None.

    Wordings can be shared ("{} is located in" asks for a country, a city or a continent), so what the base knows about
    the subject decides between them. An unknown wording is placed by the true object, if just one relation leads there.
    """
    own = facts.by_subject.get(subject, ())
    true = (request.target_true or "").casefold()
    fitting = [fact.relation for fact in own if fact.object.casefold() == true]
    worded = [r.id for r in facts.relations.values() if request.prompt in (*r.templates, *r.held_out)]
    known = {fact.relation for fact in own}
    for candidates in ([r for r in worded if r in fitting], [r for r in worded if r in known], worded):
        if candidates:
            return candidates[0]
    return fitting[0] if len(fitting) == 1 else None


def _strangers(request: EditRequest, subject: str, facts: FactBase, rng: random.Random) -> tuple[Expectation, ...]:
    """Return other subjects in the request's own sentence; of the subject's kind where it is known, in its own language."""
    if language := language_of(request.prompt, subject):
        names = [name for name in language.others(subject) if name not in (request.target_new, request.target_true)]
        return tuple(
            Expectation(request.prompt.replace(SLOT, name), None, name) for name in rng.sample(names, min(MOST, len(names)))
        )
    kin = [other.subject for fact in facts.by_subject.get(subject, ()) for other in facts.by_relation[fact.relation]]
    linked = _linked(subject, facts)
    names = [name for name in dict.fromkeys(kin or facts.by_subject) if name not in linked]
    return tuple(
        Expectation(request.prompt.replace(SLOT, name), None, name) for name in rng.sample(names, min(MOST, len(names)))
    )


def _linked(subject: str, facts: FactBase) -> set[str]:
    """Return the subject and everything that one fact connects with it."""
    return {subject} | {end for f in facts.facts if subject in (f.subject, f.object) for end in (f.subject, f.object)}


@dataclass(frozen=True, eq=False)
class _Around:
    """The surroundings of one request whose relation is known."""

    facts: FactBase
    request: EditRequest
    subject: str
    relation: str
    rng: random.Random

    def paraphrases(self) -> tuple[str, ...]:
        """Return other wordings of the relation, those never trained first."""
        relation = self.facts.relations[self.relation]
        others = [t for t in self.facts.unambiguous(relation.templates) if t != self.request.prompt]
        drawn = self.rng.sample(others, len(others))
        unseen = [t for t in self.facts.unambiguous(relation.held_out) if t != self.request.prompt]
        return tuple(t.replace(SLOT, self.request.subject) for t in (unseen + drawn)[:MOST_PARAPHRASES])

    def neighbours(self) -> tuple[Expectation, ...]:
        """Return other subjects with the same true object; any others where only the subject has it (a capital)."""
        linked = _linked(self.subject, self.facts)
        others = [f for f in self.facts.by_relation.get(self.relation, ()) if f.subject not in linked]
        same = [f for f in others if f.object == self.request.target_true]
        others = [f for f in others if f.object != self.request.target_new]
        return self._asked(self._drawn(same or others))

    def same_subject(self) -> tuple[Expectation, ...]:
        """Return the subject's other facts, but for those that change with the edit."""
        changed = {self.relation, *(relation for relation, _, _ in self._changed)}
        own = [f for f in self.facts.by_subject.get(self.subject, ()) if f.relation not in changed]
        return self._asked(replace(f, subject=self.request.subject) for f in own)

    def propagation(self) -> tuple[Expectation, ...]:
        """Return the consequences: for subjects that have the fact through this one, and for it through the new object."""
        new, true = self.request.target_new, self.request.target_true
        through = [f.subject for f in self.facts.facts if f.object == self.subject and f.subject != self.subject]
        heirs = [
            Fact(name, self.relation, new)
            for name in dict.fromkeys(through)
            if true is not None and self.facts.object_of(name, self.relation) == true
        ]
        before = {(f.subject, f.relation): true for f in heirs}
        own = [Fact(self.request.subject, relation, now) for relation, _, now in self._changed]
        before |= {(self.request.subject, relation): old for relation, old, _ in self._changed}
        asked = [f for f in own + self._drawn(heirs) if self._wordings(f.relation)][:MOST]
        return tuple(
            replace(item, before=before[f.subject, f.relation]) for f, item in zip(asked, self._asked(asked), strict=True)
        )

    @cached_property
    def _changed(self) -> tuple[tuple[str, str, str], ...]:
        """(relation, old, new) of the subject's facts that it has only through its true object.

        The Eiffel Tower is in France because it is in Paris; when it moves to Rome, it is in Italy.
        """
        old_home, new_home = self.request.target_true, self.request.target_new
        found = []
        for fact in self.facts.by_subject.get(old_home or "", ()):
            now = self.facts.object_of(new_home, fact.relation)
            if fact.relation == self.relation or now in (None, fact.object):
                continue
            if self.facts.object_of(self.subject, fact.relation) == fact.object:
                found.append((fact.relation, fact.object, now))
        return tuple(found)

    def _asked(self, facts: Iterable[Fact]) -> tuple[Expectation, ...]:
        """Return facts as prompts, each in a trained wording drawn at random; without those that have none."""
        return tuple(
            Expectation(self.rng.choice(wordings).replace(SLOT, fact.subject), fact.object, fact.subject)
            for fact in facts
            if (wordings := self._wordings(fact.relation))
        )

    def _wordings(self, relation: str) -> Sequence[str]:
        return self.facts.unambiguous(self.facts.relations[relation].templates)

    def _drawn(self, facts: Sequence[Fact]) -> list[Fact]:
        return self.rng.sample(list(facts), min(MOST, len(facts)))
