"""What stands before every plain text: the document's start.

A model learned texts behind a separator of documents. Where its tokenizer does not put one there by itself, the first token
of a bare text becomes an attention sink: its key is unlike the key that the same word has within a sentence, and the model
knows less. And a text's first word has no space before it, so it may have other tokens than within a sentence.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

SPACE, LINE = "␣", "↵"
"""How a space and the end of a line are written where people see them."""


@dataclass(frozen=True)
class Start:
    """What is put before a text that has no beginning of its own: `text`, and whether a `space` before its first word."""

    text: str = ""
    space: bool = False

    @classmethod
    def of(cls, text: str) -> Start:
        """Return the start that `str` wrote; `none` is none."""
        plain = "" if text == "none" else text.replace(LINE, "\n")
        return cls(plain.removesuffix(SPACE), plain.endswith(SPACE))

    def __bool__(self) -> bool:
        return bool(self.text) or self.space

    def before(self, text: str) -> str:
        """Return the space that stands before a text: none where it is empty or begins with white space."""
        return " " if self.space and text and not text[0].isspace() else ""

    @property
    def digest(self) -> str:
        """Six letters that tell one start from another."""
        return hashlib.sha256(repr((self.text, self.space)).encode()).hexdigest()[:6]

    def __str__(self) -> str:
        return f"{self.text}{SPACE if self.space else ''}".replace("\n", LINE)


NONE = Start()
"""The text alone, as the tokenizer encodes it."""
