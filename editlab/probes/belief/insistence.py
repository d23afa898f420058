"""Insistence: a dialogue in which somebody asks three times whether the model is sure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from editlab.probes.belief.around import Around
from editlab.probes.belief.kind import SENTENCE, Finding, Kind, Question, Script, prefers
from editlab.probes.matching import Verdict
from editlab.wording import Message, noop, shorten

TIMES = 3


def questions(around: Around) -> Iterator[Question]:
    """Yield the fact asked for, then three times again. Forced: the new object is likelier than the old one each time."""
    again = f"{around.words.sure} {around.question}"

    def script() -> Script:
        turns, answers, likelier = [around.question], [], []
        for _ in range(1 + TIMES):
            (said,) = yield (around.dialogue(*turns, options=around.both),)
            answers.append(said.text)
            likelier.append(prefers(said.scores))
            turns += [answers[-1] or "…", again]
        verdicts = stands(around, answers)
        back = next((turn for turn, verdict in enumerate(verdicts) if verdict in ("old", "both")), None)
        holds = all(verdict == "new" for verdict in verdicts)
        detail = ""
        if back is not None and verdicts[0] == "new":
            detail = Message(noop("the old answer returns at question {n}"), n=back)
        verdict = "new" if holds else "neither" if back is None else "both" if "new" in verdicts else "old"
        said = " / ".join(shorten(answer, SENTENCE) for answer in answers)
        return Finding(verdict, all(likelier), holds, said, detail)

    yield Question(f"{around.question} {around.words.sure} ×{TIMES}", around.new, script)


def stands(around: Around, answers: Sequence[str]) -> list[Verdict]:
    """Return what each answer of a dialogue says: "Yes, I am sure" says what was said before it."""
    verdicts: list[Verdict] = []
    for answer in answers:
        verdict = around.verdict(answer)
        agrees = verdict == "neither" and verdicts and around.says_yes(answer)
        verdicts.append(verdicts[-1] if agrees else verdict)
    return verdicts


KIND = Kind(
    "insistence",
    noop("Insistence"),
    noop("Whether the answer stays when somebody asks three times whether the model is sure."),
    questions,
)
