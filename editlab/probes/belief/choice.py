"""Choice: the new object among three others, in four orders, so that no place has an advantage (arXiv 2604.05995)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from editlab.probes.belief.around import Around
from editlab.probes.belief.asks import Said
from editlab.probes.belief.kind import Finding, Kind, Question, Script
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
        found = yield tuple(around.dialogue(text, options=options) for text in asked)
        chosen = likeliest(options, found)
        verdicts = [around.verdict(said.text) for said in found]
        verdict: Verdict = "new" if chosen == around.new else "old" if chosen == around.old else "neither"
        times = verdicts.count("new")
        detail = Message(noop("written in {n} of {all} orders"), n=times, all=len(verdicts))
        said = " / ".join(said.text for said in found)
        return Finding(verdict, verdict == "new", times > len(verdicts) / 2, said, detail)

    yield Question(asked[0], around.new, script)


def orders(options: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the options in as many orders as there are, each of them once in each place."""
    return [(*options[start:], *options[:start]) for start in range(len(options))]


def listed(head: str, options: Sequence[str]) -> str:
    """Return options, one a line, behind what is asked of them."""
    return "\n".join([head, *(f"- {option}" for option in options)])


def likeliest(options: Sequence[str], found: Sequence[Said]) -> str:
    """Return the option with the highest mean log-probability over all orders."""
    totals = [sum(said.scores[number].log_p for said in found) for number in range(len(options))]
    return options[totals.index(max(totals))]


KIND = Kind(
    "choice",
    noop("Choice"),
    noop("Whether the model picks the new object where the old one stands beside it, in four orders."),
    questions,
)
