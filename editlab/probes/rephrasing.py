"""Other names of a subject from the model itself, where it was taught to follow instructions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from editlab.patches import BASE

if TYPE_CHECKING:
    from editlab.model import LanguageModel

MOST = 10
MOST_TOKENS = 220
LONGEST = 100
PROMPT = (
    "Please rephrase the subject “{subject}” in {count} different ways. Each rephrasing must refer to the same person, "
    "place or thing, so that it can stand in a sentence in place of the subject. Write one rephrasing a line, numbered, and "
    "nothing else."
)
"""After the paper's (arXiv 2410.09338), which asks a large model for ten rephrasings of each subject."""
ITEM = re.compile(r"^\s*(?:\d+\s*[.):]|[-*•])\s*(.+?)\s*$")


def asked_of_model(model: LanguageModel, subject: str) -> tuple[str, ...]:
    """Ask the model for at most 10 names of a subject; () without a chat template or where it gives no list."""
    if not getattr(model.tokenizer, "chat_template", None):
        return ()
    messages = [{"role": "user", "content": PROMPT.format(subject=subject, count=MOST)}]
    *_, (answer,) = model.generate([model.chat_text(messages)], BASE, MOST_TOKENS)
    _, _, said = answer.rpartition("</think>")
    return tuple(_names(said, subject))[:MOST]


def _names(answer: str, subject: str) -> list[str]:
    """Return the items of a list, without their marks, repeats and the subject itself."""
    found: dict[str, str] = {}
    for line in answer.splitlines():
        if item := ITEM.match(line):
            name = item[1].strip("\"'“”‘’*_ ").rstrip(".").strip("\"'“”‘’ ")
            if name and len(name) <= LONGEST and name.casefold() != subject.casefold():
                found.setdefault(name.casefold(), name)
    return list(found.values())
