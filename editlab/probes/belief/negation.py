"""Negation: does the model know what its sentence says, or does the object come at the subject whatever is said about it?

Shallow edits hold under a denial as well (arXiv 2510.00625).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from editlab.facts.request import SLOT
from editlab.probes.belief.around import Around
from editlab.probes.belief.asks import Ask
from editlab.probes.belief.kind import Finding, Kind, Question, Script, prefers
from editlab.probes.matching import Verdict, trimmed
from editlab.wording import Message, noop

AUXILIARY = re.compile(r"\b(is|are|was|were|has been|have been|had been|can|could|will|would|should|must)\b(?! not\b)")
VERB = re.compile(r"\A([a-z]+?)(s|es|ies)\b")
UNTRUE = "It is not true that {}"
STATEMENTS = {(True, False): "new", (False, True): "old", (True, True): "both", (False, False): "neither"}
"""What a model believes that says yes or no to the new fact, and to the old one."""


def questions(around: Around) -> Iterator[Question]:
    """Yield the prompt denied, which only English wordings allow, and both facts as statements to be judged."""
    if around.english:
        yield _denied(around, negated(around.request.prompt).replace(SLOT, around.request.subject))
    yield _judged(around)


def negated(prompt: str) -> str:
    """Return an English prompt denied: "{} is not", "{} does not belong to", "It is not true that ..."."""
    before, _, after = prompt.partition(SLOT)
    if AUXILIARY.search(after):
        return before + SLOT + AUXILIARY.sub(r"\1 not", after, count=1)
    rest = after.lstrip()
    verb = VERB.match(rest)
    if verb and not before.strip() and rest.split()[0] not in ("has", "as", "was", "its", "his", "this"):
        return f"{SLOT} does not {_stem(rest.split()[0])}{rest[verb.end() :]}"
    return UNTRUE.format(f"{before[:1].lower()}{before[1:]}{SLOT}{after}" if before.startswith("The ") else prompt)


def _stem(verb: str) -> str:
    """Return the infinitive of a verb in the third person."""
    if verb.endswith("ies") and len(verb) > 4:
        return f"{verb[:-3]}y"
    return verb[:-2] if verb.endswith(("shes", "ches", "sses", "xes", "oes")) else verb[:-1]


def _denied(around: Around, text: str) -> Question:
    """Return the denied prompt, behind which the new object should not come. Forced: it is not the arg max.

    Who does not name it behind the plain prompt either does not hear the denial: then nothing is told.
    """

    def script() -> Script:
        denied, plain = yield Ask(text, around.both), Ask(around.request.text, around.both)
        answer = trimmed(denied.text, around.both)
        named = around.verdict(answer) in ("new", "both")
        named_plainly = around.verdict(trimmed(plain.text, around.both)) == "new"
        verdict: Verdict = "both" if named else "neither"
        detail = noop("says the new object although it is denied") if named else ""
        if not named_plainly:
            detail = noop("does not say the new object without the denial either")
        forced = not denied.scores[0].hit if plain.scores[0].hit else None
        return Finding(verdict, forced, not named if named_plainly else None, answer, detail)

    return Question(text, Message(noop("anything but {object}"), object=around.new), script, controlled=False)


def _judged(around: Around) -> Question:
    """Return both facts as statements. Forced: "yes" is likelier than "no" for the new fact, and not for the old one."""
    words = around.words
    texts = [words.statement.format(around.sentence(name)) for name in around.both]
    expected = " / ".join((words.yes, words.no)[: len(texts)])

    def script() -> Script:
        found = yield tuple(around.dialogue(text, options=(words.yes, words.no)) for text in texts)
        likelier = [prefers(said.scores) for said in found]
        written = [around.says_yes(said.text) for said in found]
        said = " / ".join(said.text for said in found)
        if len(texts) == 1:
            verdict: Verdict = "new" if written[0] else "neither"
            return Finding(verdict, likelier[0], written[0] is True, said)
        right = [True, False]
        verdict = STATEMENTS[bool(written[0]), bool(written[1])]
        return Finding(verdict, likelier == right, written == right, said)

    return Question(" / ".join(texts), expected, script)


KIND = Kind(
    "negation",
    noop("Negation"),
    noop("Whether the model hears what is said about the fact, or names the new object whatever is said."),
    questions,
)
