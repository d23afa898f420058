"""What a kind of question about belief is: a small program that asks the model, looks at what it said, and asks on.

A question is a generator of steps. Each step is a tuple of asks (`Write`: go on with a text; `Weigh`: how likely are these
objects), for which it is sent what the model said; it returns its finding. So a choice in four orders, a dialogue of four
turns and a thought of 200 tokens have one interface, and `asking.py` runs all of them under all views in the same forwards.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any

from editlab.model.scoring import Score
from editlab.patches import Form
from editlab.probes.belief.around import Around
from editlab.probes.matching import Verdict

ANSWER_TOKENS = 16
"""Tokens of a short answer."""
SENTENCE = 160
"""Characters of what a model says that are shown of one of several answers."""


@dataclass(frozen=True)
class Write:
    """Ask how the model goes on with a text, greedily. `form`: what stands around it, None for what the view has."""

    text: str
    tokens: int = ANSWER_TOKENS
    form: Form | None = None
    stop: tuple[str, ...] = ("\n",)


@dataclass(frozen=True)
class Weigh:
    """Ask how likely each of some objects is behind a text."""

    text: str
    options: tuple[str, ...]
    form: Form | None = None


Said = Any
"""The text that a `Write` got, or the `Score`s of a `Weigh`, in the order of its options."""


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


Script = Generator[tuple[Write | Weigh, ...], list[Said], Finding]


@dataclass(frozen=True)
class Question:
    """A question: its text as people read it, what one answers who believes the new fact, and how it is asked.

    `controlled`: it tells something only where the unedited model gives the old answer, so that it can answer such questions.
    """

    text: str
    expected: str
    script: Callable[[], Script]
    controlled: bool = True


@dataclass(frozen=True)
class Kind:
    """A kind of question. `shows`: what an answer shows, in a sentence; `questions`: those that can be asked of a case."""

    name: str
    title: str
    shows: str
    questions: Callable[[Around], Iterable[Question]]


def prefers(scores: list[Score]) -> bool:
    """Return whether the first option is likelier than each other; where it is alone, whether the model would say it."""
    first, *others = scores
    return first.hit if not others else all(first.log_p > other.log_p for other in others)
