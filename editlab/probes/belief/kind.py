"""What a kind of question about belief is: a small program that asks the model, looks at what it said, and asks on.

A question is a generator of steps. Each step is a tuple of asks (how does this text go on, and how likely are these objects
behind it?), for which it is sent what the model said; at last it returns its finding. So a choice in four orders, a dialogue
of four turns and a thought of 200 tokens have one interface, and `asking.py` runs all of them under all views together.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass

from editlab.model.scoring import Score
from editlab.probes.belief.around import Around
from editlab.probes.belief.asks import Ask, Said
from editlab.probes.matching import Verdict

SENTENCE = 160
"""Characters of what a model says that are shown of one of several answers."""


@dataclass(frozen=True)
class Finding:
    """What one question found.

    `forced`: whether the likelihoods, teacher-forced, are those of one who believes the new fact; `generated`: whether the
    written answer is. None where that cannot be told. `said`: the text that shows it; `detail`: what else is to be known, in
    a few words.
    """

    verdict: Verdict
    forced: bool | None
    generated: bool | None
    said: str
    detail: str = ""


Script = Generator[tuple[Ask, ...], list[Said], Finding]


@dataclass(frozen=True)
class Question:
    """A question: its text as people read it, what one answers who believes the new fact, and how it is asked.

    `controlled`: it tells something only where the unedited model gives the old answer, and so can answer its like.
    `premise`: what the unedited model has to say of itself, its first option, or the question tells nothing of any view.
    """

    text: str
    expected: str
    script: Callable[[], Script]
    controlled: bool = True
    premise: Ask | None = None


@dataclass(frozen=True)
class Kind:
    """A kind of question. `shows`: what an answer shows, in a sentence; `questions`: those that can be asked of a case."""

    name: str
    title: str
    shows: str
    questions: Callable[[Around], Iterable[Question]]


def prefers(scores: Sequence[Score]) -> bool:
    """Return whether the first option is likelier than each other; where it is alone, whether the model would say it."""
    first, *others = scores
    return first.hit if not others else all(first.log_p > other.log_p for other in others)
