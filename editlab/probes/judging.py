"""A judge: an instruct model that reads an answer as a person would, and says which fact it states.

Exact match counts a name, whatever is said of it: "The capital of Italy is Rome" has the object, and is no answer about
France. A judge may see that, or may not: how often it agrees with people is measured, not assumed (`tools/judge.py`).

It is asked about one fact at a time, yes or no. Asked to choose one of four letters, a small model takes the first one,
whatever the order of the facts (docs/results/belief.md; Zheng et al. 2023, arXiv 2306.05685, of larger ones).
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
TOKENS = 4
LONGEST = 1_200
"""Characters of an answer that a judge reads."""
QUESTION = """Question: {text}
Answer: {said}

Statement: {statement}

Does the answer say that the statement is true? Reply with one word: Yes or No."""
VERDICTS: dict[tuple[bool, bool], Verdict] = {
    (True, False): "new",
    (False, True): "old",
    (True, True): "both",
    (False, False): "neither",
}
"""By whether the new fact is stated, and whether the old one is."""
_WORD = regex.compile(r"\p{L}+")


@dataclass(frozen=True)
class Case:
    """An answer to be judged: the text that was asked, what was said, and both facts as sentences; `old`: None if none."""

    text: str
    said: str
    new: str
    old: str | None = None

    @property
    def questions(self) -> tuple[str, ...]:
        """What the judge reads: a question about the new fact, and one about the old fact where there is one."""
        said = self.said if len(self.said) <= LONGEST else f"{self.said[:LONGEST]} …"
        facts = [self.new] if self.old is None else [self.new, self.old]
        return tuple(QUESTION.format(text=self.text, said=said or "(nothing)", statement=fact) for fact in facts)


def parse(reply: str) -> bool | None:
    """Return whether a reply says yes, by its first word; None where it says neither yes nor no."""
    found = _WORD.search(reply)
    return None if found is None else {"yes": True, "no": False}.get(found[0].casefold())


def verdicts(cases: Sequence[Case], chat: Chat) -> list[Verdict | None]:
    """Return a judge's verdict on each answer; None where a reply says neither yes nor no."""
    replies = iter(chat([question for case in cases for question in case.questions]))
    found: list[Verdict | None] = []
    for case in cases:
        said = [parse(next(replies)) for _ in case.questions]
        new, old = said[0], said[1] if len(said) > 1 else False
        found.append(None if new is None or old is None else VERDICTS[new, old])
    return found


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
