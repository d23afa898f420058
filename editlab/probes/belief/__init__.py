"""Does the model believe an edit? Questions that no single prompt can answer, each kind a small module with one interface.

A kind makes questions of a case (`Kind.questions`); a question is a script of asks that ends with a verdict and the text
that shows it (`kind.py`); `ask` runs them under views. To add a kind, write its module and name it here.
"""

from editlab.probes.belief import (
    choice,
    distractor,
    hops,
    insistence,
    letter,
    negation,
    question,
    recall,
    reverse,
    thought,
)
from editlab.probes.belief.around import Around
from editlab.probes.belief.asking import Asked, ask, ask_together, questions
from editlab.probes.belief.asks import Ask, Said
from editlab.probes.belief.kind import Finding, Kind, Question
from editlab.probes.belief.tally import WAYS, belief, tally

KINDS: dict[str, Kind] = {
    module.KIND.name: module.KIND
    for module in (recall, question, negation, choice, reverse, hops, letter, insistence, thought, distractor)
}
"""Every kind of question by its name, in the order in which they are asked."""

__all__ = [
    "KINDS",
    "WAYS",
    "Around",
    "Ask",
    "Asked",
    "Finding",
    "Kind",
    "Question",
    "Said",
    "ask",
    "ask_together",
    "belief",
    "questions",
    "tally",
]
