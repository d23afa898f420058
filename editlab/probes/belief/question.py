"""Question: the fact as somebody would ask for it."""

from __future__ import annotations

from collections.abc import Iterator

from editlab.probes.belief.around import Around
from editlab.probes.belief.kind import Finding, Kind, Question, Script, prefers
from editlab.wording import noop


def questions(around: Around) -> Iterator[Question]:
    """Yield the fact as a question. Forced: the new object is likelier than the old one."""

    def script() -> Script:
        (said,) = yield (around.dialogue(around.question, options=around.both),)
        verdict = around.verdict(said.text)
        return Finding(verdict, prefers(said.scores), verdict == "new", said.text)

    yield Question(around.question, around.new, script)


KIND = Kind("question", noop("Question"), noop("Whether the new object also comes where the fact is asked for."), questions)
