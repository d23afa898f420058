"""A judge: an instruct model that reads an answer as a person would, and says which fact it states.

Exact match counts a name, whatever is said of it: "The capital of Italy is Rome" has the object, and is no answer about
France. A judge may see that, or may not: how often it agrees with people is measured, not assumed (`tools/judge.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import regex

from editlab.errors import BadRequest
from editlab.model.sampling import Sampling
from editlab.patches import BASE, View
from editlab.probes.matching import Verdict

if TYPE_CHECKING:
    from editlab.model import LanguageModel

Chat = Callable[[Sequence[str]], Sequence[str]]
"""Answers several messages, each in a chat of its own."""
LETTERS: dict[str, Verdict] = {"A": "new", "B": "old", "C": "both", "D": "neither"}
TOKENS = 8
LONGEST = 1_200
"""Characters of an answer that a judge reads."""
PROMPT = """You judge an answer. Say which of two facts it states. Do not use your own knowledge.

Fact A: {new}
Fact B: {old}

Text: {text}
Answer: {said}

A: the answer states fact A.
B: the answer states fact B.
C: it states both, or contradicts itself.
D: it states neither, or speaks of something else.

Reply with one letter: A, B, C or D."""
NO_OLD = "(not known)"
_LETTER = regex.compile(r"(?<!\p{L})([ABCD])(?!\p{L})")


@dataclass(frozen=True)
class Case:
    """An answer to be judged: the text that was asked, what was said, and both facts, each as a sentence or an object."""

    text: str
    said: str
    new: str
    old: str | None = None

    @property
    def prompt(self) -> str:
        """What the judge reads."""
        said = self.said if len(self.said) <= LONGEST else f"{self.said[:LONGEST]} …"
        return PROMPT.format(new=self.new, old=self.old or NO_OLD, text=self.text, said=said or "(nothing)")


def parse(reply: str) -> Verdict | None:
    """Return the verdict of a judge's reply: its first letter that stands alone; None where there is none."""
    found = _LETTER.search(reply.upper() if len(reply.strip()) == 1 else reply)
    return LETTERS[found[1]] if found else None


def verdicts(cases: Sequence[Case], chat: Chat) -> list[Verdict | None]:
    """Return a judge's verdict on each answer; None where it says none."""
    return [parse(reply) for reply in chat([case.prompt for case in cases])]


def chat_of(model: LanguageModel, view: View = BASE, tokens: int = TOKENS, at_once: int = 8) -> Chat:
    """Return a loaded instruct model as a judge, greedily. Raises `BadRequest` where it has no chat template."""
    if model.chat is None:
        raise BadRequest(f"{model.name} has no chat template, so it can be no judge. Name an instruct model.")

    def answer(messages: Sequence[str]) -> list[str]:
        replies: list[str] = []
        for start in range(0, len(messages), at_once):
            some = messages[start : start + at_once]
            views = [view.in_form(model.chat_form([message])) for message in some]
            *_, written = model.generate(list(some), views, tokens, Sampling())
            replies += written
        return replies

    return answer
