"""Recall: the edit's own prompt, as papers ask it."""

from __future__ import annotations

from collections.abc import Iterator

from editlab.probes.belief.around import Around
from editlab.probes.belief.asks import Ask
from editlab.probes.belief.kind import Finding, Kind, Question, Script
from editlab.probes.matching import trimmed
from editlab.wording import noop


def questions(around: Around) -> Iterator[Question]:
    """Yield the edit's prompt. Forced: every token of the new object is the arg max."""

    def script() -> Script:
        text = around.request.text
        (said,) = yield (Ask(text, around.both),)
        answer = trimmed(said.text, around.both)
        verdict = around.verdict(answer)
        return Finding(verdict, said.scores[0].hit, verdict == "new", answer)

    yield Question(around.request.text, around.new, script)


KIND = Kind("recall", noop("Recall"), noop("Whether the new object comes at the prompt that was edited."), questions)
