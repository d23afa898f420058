"""Choice: the new object among three others, in four orders, so that no place has an advantage (arXiv 2604.05995)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from editlab.model.scoring import Score
from editlab.probes.belief.around import Around
from editlab.probes.belief.kind import Finding, Kind, Question, Script, Weigh, Write
from editlab.probes.matching import Verdict
from editlab.wording import Message, noop

FEWEST = 3
"""Fewer options are no choice."""


def questions(around: Around) -> Iterator[Question]:
    """Yield the fact as a choice between the new object, the old one and two others of the relation."""
    options = (*around.both, *around.objects)
    if len(options) < FEWEST:
        return
    asked = [f"{around.question}\n{listed(around.words.options, order)}" for order in orders(options)]

    def script() -> Script:
        texts = [around.dialogue(text) for text in asked]
        found = yield tuple(ask for text, form in texts for ask in (Weigh(text, options, form), Write(text, form=form)))
        chosen = likeliest(options, found[::2])
        verdicts = [around.verdict(text) for text in found[1::2]]
        verdict: Verdict = "new" if chosen == around.new else "old" if chosen == around.old else "neither"
        times = verdicts.count("new")
        detail = Message(noop("written in {n} of {all} orders"), n=times, all=len(verdicts))
        said = " / ".join(text.strip() for text in found[1::2])
        return Finding(verdict, verdict == "new", times > len(verdicts) / 2, said, detail)

    yield Question(asked[0], around.new, script)


def orders(options: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the options in as many orders as there are, each of them once in each place."""
    return [(*options[start:], *options[:start]) for start in range(len(options))]


def listed(head: str, options: Sequence[str]) -> str:
    """Return options, one a line, behind what is asked of them."""
    return "\n".join([head, *(f"- {option}" for option in options)])


def likeliest(options: Sequence[str], scores: Sequence[Sequence[Score]]) -> str:
    """Return the option with the highest mean log-probability over all orders."""
    totals = [sum(own[number].log_p for own in scores) for number in range(len(options))]
    return options[totals.index(max(totals))]


KIND = Kind(
    "choice",
    noop("Choice"),
    noop("Whether the model picks the new object where the old one stands beside it, in four orders."),
    questions,
)
