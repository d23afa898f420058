"""Reverse: from the new object back to the subject (the reversal curse, arXiv 2309.12288)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from editlab.probes.belief.around import Around
from editlab.probes.belief.choice import FEWEST, likeliest, listed, orders
from editlab.probes.belief.kind import Finding, Kind, Question, Script
from editlab.probes.belief.phrases import BLANK
from editlab.probes.matching import Verdict, says
from editlab.wording import Message, noop


def questions(around: Around) -> Iterator[Question]:
    """Yield the new fact with a blank for its subject, among subjects of which the new object is not true.

    Most relations have many subjects for an object, so that only a choice has one answer; it is given in two orders, the
    subject in the first and in the third place. Forced: the subject is likeliest over both. The same is asked of the old
    object, which tells whether the model can go back at all.
    """
    subject = around.request.subject
    options = (subject, *around.subjects)
    if len(options) < FEWEST:
        return
    asked, before = (_in_orders(around, name, options) for name in (around.new, around.old))

    def script() -> Script:
        said = yield tuple(around.dialogue(text, options=options) for text in (*asked, *before))
        found, old = said[: len(asked)], said[len(asked) :]
        right, was = likeliest(options, found) == subject, bool(old) and likeliest(options, old) == subject
        named = [says(one.text, [subject], around.subjects) for one in found]
        detail = Message(noop("written in {n} of {all} orders"), n=sum(named), all=len(named))
        verdict: Verdict = "new" if right else "old" if was else "neither"
        return Finding(verdict, right, sum(named) > len(named) / 2, " / ".join(one.text for one in found), detail)

    yield Question(asked[0], subject, script)


def _in_orders(around: Around, object_: str | None, options: Sequence[str]) -> list[str]:
    """Return an object's question with the options in two orders; none without an object."""
    if object_ is None:
        return []
    blank = around.words.blank.format(around.sentence(object_, BLANK))
    return [f"{blank}\n{listed(around.words.options, order)}" for order in orders(options)[::2]]


KIND = Kind(
    "reverse", noop("Reverse"), noop("Whether the way back is there as well: from the new object to the subject."), questions
)
