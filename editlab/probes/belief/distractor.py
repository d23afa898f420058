"""Distractor: the old object stands in the text before the question."""

from __future__ import annotations

from collections.abc import Iterator

from editlab.probes.belief.around import Around
from editlab.probes.belief.asks import Ask
from editlab.probes.belief.kind import Finding, Kind, Question, Script
from editlab.probes.matching import trimmed
from editlab.wording import noop


def questions(around: Around) -> Iterator[Question]:
    """Yield the edit's prompt behind the old fact, and behind the same said truly of another subject.

    Forced: every token of the new object is the arg max. Without an old fact there is none.
    """
    if around.old is None:
        return
    yield _behind(around, around.sentence(around.old))
    others = [item for item in around.case.neighbours if item.expected == around.old]
    if others:
        item = around.draw("distractor").choice(others)
        yield _behind(around, f"{item.text.rstrip()} {around.old}.")


def _behind(around: Around, before: str) -> Question:
    text = f"{before.strip()} {around.request.text}"

    def script() -> Script:
        (said,) = yield (Ask(text, around.both),)
        answer = trimmed(said.text, around.both)
        verdict = around.verdict(answer)
        return Finding(verdict, said.scores[0].hit, verdict == "new", answer)

    return Question(text, around.new, script)


KIND = Kind(
    "distractor",
    noop("Distractor"),
    noop("Whether the new object still comes where the old one stands in the text before."),
    questions,
)
