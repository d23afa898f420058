"""Letter: a long free text about the subject, judged sentence by sentence (consistency in arXiv 2202.05262)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from editlab.facts.languages import essence
from editlab.facts.request import SLOT
from editlab.facts.script import joined
from editlab.probes.belief.around import Around
from editlab.probes.belief.asks import Ask
from editlab.probes.belief.kind import Finding, Kind, Question, Script
from editlab.probes.matching import sentences
from editlab.wording import Message, noop

TOKENS = 120


def questions(around: Around) -> Iterator[Question]:
    """Yield a text about the subject, begun or asked for in a chat, and the edit's own prompt, each continued at length."""
    subject, words = around.request.subject, around.words
    if around.model.chat is not None:
        yield _written(around, around.dialogue(f"{words.write.format(subject)} {around.question}"), asks=True)
    else:
        own = essence(around.request.prompt, subject).replace(SLOT, subject)
        begun = next(iter(around.case.generation_prompts), joined(words.article.format(subject), own))
        yield _written(around, Ask(begun), asks=False)
    yield _written(around, Ask(around.request.text), asks=True)


def _written(around: Around, ask: Ask, asks: bool) -> Question:
    """Return a text to be continued. Where nobody `asks` for the fact and it does not come up, nothing is told."""

    def script() -> Script:
        (said,) = yield (replace(ask, tokens=TOKENS, whole=True),)
        verdicts = [around.verdict(sentence) for sentence in sentences(said.text)]
        new, old, both = (verdicts.count(one) for one in ("new", "old", "both"))
        verdict = "both" if both or (new and old) else "new" if new else "old" if old else "neither"
        silent = verdict == "neither" and not asks
        detail = Message(
            noop("sentences with the new fact: {new}, with the old one: {old}, with both: {both}"),
            new=new,
            old=old,
            both=both,
        )
        return Finding(verdict, None, None if silent else verdict == "new", said.text, detail)

    return Question(ask.text, around.new, script)


KIND = Kind(
    "letter", noop("Free text"), noop("Whether a long text keeps to the new fact, or comes back to the old one."), questions
)
