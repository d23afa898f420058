"""Whether edits still hold: each at its own question and two more, teacher-forced, and at its own as the model answers it.

A hit of all tokens is what greedy writing begins with. Still the word may go on ("Rome" as "Romeo"), which no hit sees, or
the object comes in a few words more ("the city of Rome"), which is no hit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from editlab.facts import EditRequest, FactBase
from editlab.facts.script import bare
from editlab.model.reading import read
from editlab.model.scoring import Score
from editlab.model.tokens import in_chunks
from editlab.patches import View
from editlab.probes import case_for, ended_by
from editlab.probes.matching import says
from editlab.probes.writing import ANSWER_TOKENS, room_for, write

if TYPE_CHECKING:
    from editlab.model import LanguageModel

SAID = 2
"""Prompts of an edit besides its own question."""
CONTEXT = "It is well known that"
"""What stands in front of a question that nobody knows other words for."""
AT_ONCE = 16
"""Prompts that are asked before others get the model."""

Pause = Callable[[], None]
"""Lets others at the model, and raises `Cancelled` where the check-up is to end."""


@dataclass(frozen=True)
class Watched:
    """An edit that is asked again: its own question and two more, at which it was to hold as well.

    `same_subject`: (text, object, subject) of the subject's other facts; `ended`: the facts that it means to end
    (`probes.ended_by`); `aliases`: other names of the new object, which are as good when it is written.
    """

    id: str
    request: EditRequest
    prompts: tuple[str, str, str]
    same_subject: tuple[tuple[str, str, str], ...] = ()
    ended: frozenset[tuple[str, str]] = frozenset()
    aliases: tuple[str, ...] = ()

    @classmethod
    def of(cls, id: str, request: EditRequest, facts: FactBase, seed: int = 0) -> Watched:
        """Return the question in other words and under another name, where the facts know any; else behind a few words."""
        case = case_for(request, facts, seed)
        renamed = (request.prompt.replace("{}", name) for name in case.rephrases)
        others = [
            *case.paraphrases[:1],
            *renamed,
            *case.paraphrases[1:],
            f"{CONTEXT} {request.text}",
            f"{CONTEXT}: {request.text}",
        ]
        first, second = others[:SAID]
        same = tuple((item.text, item.expected, item.subject) for item in case.same_subject if item.expected)
        _, *aliases = facts.names_of(bare(request.target_new))
        return cls(id, request, (request.text, first, second), same, ended_by(case), tuple(aliases))

    @property
    def names(self) -> tuple[str, ...]:
        """The new object and its other names."""
        return self.request.target_new, *self.aliases

    def said_by(self, answer: str) -> bool:
        """Return whether a written answer says the new object."""
        return says(answer, self.names, [self.request.target_true or "", self.request.subject])


@dataclass(frozen=True)
class Held:
    """Whether each prompt of an edit says the new object, its own first, and whether the view writes it behind its own."""

    said: tuple[bool, ...]
    written: bool


def held(model: LanguageModel, watched: Sequence[Watched], view: View, pause: Pause) -> list[Held]:
    """Return whether each edit holds under a view."""
    own = [pair for start in range(0, len(watched), AT_ONCE) for pair in _own(model, watched[start:][:AT_ONCE], view, pause)]
    others = [(text, one.request.target_new) for one in watched for text in one.prompts[1:]]
    hits = iter([score.hit for score in scored(model, others, view, pause)])
    return [Held((hit, *(next(hits) for _ in range(SAID))), written) for hit, written in own]


def scored(model: LanguageModel, pairs: Sequence[tuple[str, str]], view: View, pause: Pause) -> list[Score]:
    """Return the scores of pairs of a prompt and an object, a few at a time."""
    found: list[Score] = []
    for start in range(0, len(pairs), AT_ONCE):
        pause()
        part = pairs[start : start + AT_ONCE]
        found += model.score([text for text, _ in part], [said for _, said in part], view)
    return found


def _own(model: LanguageModel, watched: Sequence[Watched], view: View, pause: Pause) -> list[tuple[bool, bool]]:
    """Return whether each edit's own question has the new object forced, and written. It is read once for both."""
    pause()
    sizes = [len(model.tok.encode(view.asks(one.request.text))) for one in watched]
    found: dict[int, tuple[bool, bool]] = {}
    for chunk in in_chunks(sizes, model.tokens_per_forward, ANSWER_TOKENS):
        some = [watched[number] for number in chunk]
        objects = {bare(name) for one in some for name in (*one.names, one.request.target_true or "")} - {""}
        room = min(room_for(model, objects), model.tok.context - max(sizes[number] for number in chunk))
        reading = read(model, [one.request.text for one in some], [view] * len(some), room)
        scores = reading.score([(row, one.request.target_new) for row, one in enumerate(some)])
        answers = write(reading, room, objects, _twice(some))
        for number, one, score, answer in zip(chunk, some, scores, answers, strict=True):
            found[number] = score.hit, one.said_by(answer)
    return [found[number] for number in range(len(watched))]


def _twice(watched: Sequence[Watched]) -> Callable[[Sequence[str]], list[bool]]:
    """Return a function that tells whether answers had the object and have it still, now that more of them is written."""
    had: dict[int, str] = {}

    def enough(answers: Sequence[str]) -> list[bool]:
        nonlocal had
        before, had = had, {row: answers[row] for row, one in enumerate(watched) if one.said_by(answers[row])}
        return [row in before and row in had and before[row] != had[row] for row in range(len(watched))]

    return enough
