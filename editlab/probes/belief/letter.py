"""Letter: a long free text about the subject, judged sentence by sentence (consistency in arXiv 2202.05262)."""

from __future__ import annotations

from collections.abc import Iterator

from editlab.facts.languages import essence
from editlab.facts.request import SLOT
from editlab.facts.script import joined
from editlab.patches import Form
from editlab.probes.belief.around import Around
from editlab.probes.belief.kind import Finding, Kind, Question, Script, Write
from editlab.probes.matching import sentences
from editlab.wording import Message, noop

TOKENS = 120


def questions(around: Around) -> Iterator[Question]:
    """Yield the beginning of a text about the subject, and the edit's own prompt, on which a long text follows."""
    subject, words = around.request.subject, around.words
    if around.chat:
        yield _written(around, *around.dialogue(f"{words.write.format(subject)} {around.question}"), asks=True)
        return
    own = essence(around.request.prompt, subject).replace(SLOT, subject)
    begun = next(iter(around.case.generation_prompts), joined(words.article.format(subject), own))
    yield _written(around, begun, None, asks=False)
    yield _written(around, around.request.text, None, asks=True)


def _written(around: Around, text: str, form: Form | None, asks: bool) -> Question:
    """Return a text to be continued. Where nobody `asks` for the fact and it does not come up, nothing is told."""

    def script() -> Script:
        (said,) = yield (Write(text, TOKENS, form, stop=()),)
        verdicts = [around.verdict(sentence) for sentence in sentences(said)]
        new, old, both = (verdicts.count(one) for one in ("new", "old", "both"))
        verdict = "both" if both or (new and old) else "new" if new else "old" if old else "neither"
        silent = verdict == "neither" and not asks
        detail = Message(
            noop("sentences with the new fact: {new}, with the old one: {old}, with both: {both}"),
            new=new,
            old=old,
            both=both,
        )
        return Finding(verdict, None, None if silent else verdict == "new", said.strip(), detail)

    return Question(text, around.new, script)


KIND = Kind(
    "letter", noop("Free text"), noop("Whether a long text keeps to the new fact, or comes back to the old one."), questions
)
