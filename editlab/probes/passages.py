"""Long contexts: stretches of prose to stand in front of a prompt, all equally long for the model that reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from editlab.errors import BadFile
from editlab.facts import source_of

if TYPE_CHECKING:
    from editlab.model import LanguageModel


@dataclass(frozen=True)
class Passages:
    """Prose of equally many tokens a piece: `inside` may be shown to an adaptor in training, `outside` never is."""

    inside: tuple[str, ...]
    outside: tuple[str, ...]


def passages(model: LanguageModel, texts: Path, tokens: int = 300) -> Passages:
    """Return passages of `tokens` tokens each, from word to word, none overlapping another.

    `texts` is a folder of chapters (`*.txt`; the last one by name is outside) or one text file (its second half is).
    Raises `BadFile` where there is no text or not enough of it on either side.
    """
    inside, outside = _sides(texts)
    found = Passages(*(tuple(p for text in side for p in _cut(model, text, tokens)) for side in (inside, outside)))
    if not found.inside or not found.outside:
        raise BadFile(f"{texts} is too short for passages of {tokens} tokens. Give a text of several pages.")
    return found


def _sides(path: Path) -> tuple[list[str], list[str]]:
    files = sorted(path.glob("*.txt")) if path.is_dir() else [path]
    if not files:
        raise BadFile(f"{path} holds no *.txt. Put at least one chapter there.")
    chapters = [_words(file) for file in files]
    if len(chapters) == 1:
        middle = len(chapters[0]) // 2
        chapters = [chapters[0][:middle], chapters[0][middle:]]
    *inside, outside = (" ".join(words) for words in chapters)
    return inside, [outside]


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").split()
    except OSError as error:
        raise BadFile(f"{file} cannot be read: {error.strerror}.{source_of(file)}") from error
    except UnicodeDecodeError as error:
        raise BadFile(f"{file} is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from error


def _cut(model: LanguageModel, text: str, tokens: int) -> Iterator[str]:
    """Yield stretches that begin and end with whole words, so that they keep the tokens that they had in the text."""
    spans = _spans(model, text)
    begins = [start == 0 or text[start] == " " or text[start - 1] == " " for start, _ in spans] + [True]
    at = 0
    while at + tokens <= len(spans):
        stop = at + tokens
        piece = text[spans[at][0] : spans[stop - 1][1]].strip()
        if begins[at] and begins[stop] and len(_spans(model, piece)) == tokens:
            yield piece
            at = stop
        else:
            at += 1


def _spans(model: LanguageModel, text: str) -> list[tuple[int, int]]:
    encoding = model.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    return encoding["offset_mapping"]
