"""Two hops: what follows from the new object, over the fact graph; and the questions of MQuAKE where a case has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from editlab.facts import Expectation, Fact
from editlab.facts.request import SLOT
from editlab.probes.belief.around import Around
from editlab.probes.belief.asks import Ask
from editlab.probes.belief.kind import Finding, Kind, Question, Script, prefers
from editlab.probes.matching import trimmed, verdict_of
from editlab.wording import noop

MOST = 3
"""Most questions over the graph, and most of the case's own."""
CALLED = {
    "P27": "country of citizenship",
    "P159": "place of the headquarters",
    "P740": "place where the members met",
    "P463": "group of the members",
    "P276": "place",
    "P364": "language",
    "P407": "language",
    "P1412": "language",
    "P103": "mother tongue",
}
"""What a relation's object is called behind "the" and before "of", where that is not the relation's name."""


def questions(around: Around) -> Iterator[Question]:
    """Yield facts about the new object, asked of "the capital of Slovenia"; then what the case itself says follows."""
    yield from (_over_graph(around, fact) for fact in second_hops(around))
    expected = [item for item in around.case.propagation if item.expected is not None]
    groups = [list(own) for _, own in groupby(expected, key=lambda item: item.any_of or id(item))]
    yield from (_own(around, own) for own in groups[:MOST])


def second_hops(around: Around) -> list[Fact]:
    """Return facts about the new object that are other ones about the old object, drawn with the seed."""
    relation = around.relation
    if relation is None or not around.english:
        return []
    own = [
        fact
        for fact in around.facts.by_subject.get(around.new, ())
        if fact.relation != relation.id
        and fact.object not in (around.facts.object_of(around.old or "", fact.relation), around.request.subject)
        and _wording(around, fact.relation)
    ]
    return around.draw("hops").sample(own, min(MOST, len(own)))


def _wording(around: Around, relation: str) -> str:
    """Return a wording of a relation that takes a phrase for its subject; "" where it has none."""
    templates = around.facts.unambiguous(around.facts.relations[relation].templates)
    fitting = [text for text in templates if f"{SLOT}'" not in text and "," not in text]
    return min(fitting, key=lambda text: (not text.endswith(" is"), len(text))) if fitting else ""


def _over_graph(around: Around, fact: Fact) -> Question:
    """Return a question of two hops. Where the unedited model does not know the second one, nothing is told."""
    wording, relation = _wording(around, fact.relation), around.relation
    assert relation is not None
    through = f"the {CALLED.get(relation.id, relation.name)} of {around.request.subject}"
    text, alone = (wording.replace(SLOT, name) for name in (through, around.new))
    text = f"{text[:1].upper()}{text[1:]}"
    before = around.facts.object_of(around.old or "", fact.relation)
    objects = tuple(dict.fromkeys(name for name in (fact.object, before) if name))

    def script() -> Script:
        (said,) = yield (Ask(text, objects),)
        answer = trimmed(said.text, objects)
        verdict = verdict_of(answer, around.names(fact.object), around.names(before), around.called)
        return Finding(verdict, prefers(said.scores), verdict == "new", answer)

    return Question(text, fact.object, script, premise=Ask(alone, (fact.object,), tokens=0))


def _own(around: Around, items: Sequence[Expectation]) -> Question:
    """Return what a case says follows; of wordings of one question, one that is answered suffices."""
    first = items[0]
    objects = tuple(dict.fromkeys(name for name in (first.expected, first.before) if name))

    def script() -> Script:
        found = yield tuple(Ask(item.text, objects) for item in items)
        answers = [trimmed(said.text, objects) for said in found]
        new, old = (*around.names(first.expected), *first.aliases), around.names(first.before)
        verdicts = [verdict_of(answer, new, old, around.called) for answer in answers]
        best = next((n for n, verdict in enumerate(verdicts) if verdict == "new"), 0)
        forced = any(prefers(said.scores) for said in found)
        return Finding(verdicts[best], forced, verdicts[best] == "new", answers[best])

    return Question(first.text, first.expected or "", script)


KIND = Kind("hops", noop("Two hops"), noop("Whether the model draws conclusions from the new fact."), questions)
