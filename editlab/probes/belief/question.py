"""Question: the fact as somebody would ask for it."""

from __future__ import annotations

from collections.abc import Iterator

from editlab.probes.belief.around import Around
from editlab.probes.belief.kind import Finding, Kind, Question, Script, Weigh, Write, prefers
from editlab.wording import noop


def questions(around: Around) -> Iterator[Question]:
    """Yield the fact as a question. Forced: the new object is likelier than the old one."""

    def script() -> Script:
        text, form = around.dialogue(around.question)
        said, scores = yield Write(text, form=form), Weigh(text, around.both, form)
        verdict = around.verdict(said)
        return Finding(verdict, prefers(scores), verdict == "new", said.strip())

    yield Question(around.question, around.new, script)


KIND = Kind("question", noop("Question"), noop("Whether the new object also comes where the fact is asked for."), questions)
