"""Which of many short texts belong to a question, told from letters alone: BM25, and whether a name is heard in a text.

BM25 is Robertson and Zaragoza 2009 (Foundations and Trends in Information Retrieval 3), with an idf that is never negative.
A name is heard where a stretch of text at most twice as long as itself has most of its pairs of letters. So words in another
order, pieces of words in another order and small changes of spelling are heard; names of something else are not.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import regex

from editlab.facts.script import UNSPACED

K1, B = 1.5, 0.75
"""BM25's usual constants: how soon a repeated word stops counting, and how much a long text is held against itself."""
ROOM = 20
"""Characters that a stretch in which a name is heard may at most be longer than the name."""
SHORT = 4
"""Letters up to which a name is heard whole or not at all: all but one of its few pairs stand in "the author", for Thor."""
_ARTICLE = regex.compile(r"\A(the|an?)\s+(?=\S)", regex.IGNORECASE)
"""It stands in nearly every text, and would be half of "The Band"."""
_NUMBER = regex.compile(r"\d+")
_COUNTED = regex.compile(r"(?<=\S\s+)(?!L\b)(?:XL|L?X{0,3})(?:IX|IV|V?I{0,3})(?<=[LXVI])\b(?!\.)")
"""A Roman number behind a name, up to 89, as kings and sequels have: no initial (L.), rank or size."""
_NUMERAL = regex.compile(r"(?<![LXVI])[LXVI]+(?![LXVI])|\b[lxvi]+\b")
"""What may be such a number in a text, whose words may have lost their order and their spaces."""
_WORD = regex.compile(rf"{UNSPACED}|[\p{{L}}\p{{M}}\p{{N}}]+", regex.V0)


def words(text: str) -> list[str]:
    """Return the words of a text without case and accents; a letter each of scripts that put no space between words."""
    return [word for word, _ in _placed(text)]


class Bm25:
    """Texts that can be asked which of them fits a question."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._counts = [Counter(words(text)) for text in texts]
        lengths = [count.total() for count in self._counts]
        mean = sum(lengths) / max(1, len(lengths))
        self._norms = [K1 * (1 - B + B * length / max(mean, 1e-9)) for length in lengths]
        self._having: dict[str, list[int]] = {}
        for number, count in enumerate(self._counts):
            for word in count:
                self._having.setdefault(word, []).append(number)

    def scores(self, question: str) -> dict[int, float]:
        """Return the score of every text that shares a word with a question, by its number."""
        found: dict[int, float] = {}
        for word in dict.fromkeys(words(question)):
            having = self._having.get(word, ())
            idf = math.log(1 + (len(self._counts) - len(having) + 0.5) / (len(having) + 0.5))
            for number in having:
                often = self._counts[number][word]
                found[number] = found.get(number, 0.0) + idf * often * (K1 + 1) / (often + self._norms[number])
        return found


@dataclass(frozen=True)
class _Name:
    """A name of the thing number `owner`: how many characters long it is, its pairs of letters, and its numbers."""

    owner: int
    length: int
    pairs: Counter[str]
    numbers: frozenset[str]

    def share(self, placed: Sequence[tuple[str, int]], numbers: frozenset[str]) -> float:
        """Return the share of the pairs that a stretch of a text has; `placed`: all of its pairs, `numbers`: its numbers.

        A short name, of which a word or two may have most pairs, is heard whole or not at all; another number is another
        thing.
        """
        if not self.numbers <= numbers:
            return 0.0
        share = _most_in_a_stretch(placed, self.pairs, self.length + min(ROOM, self.length)) / self.pairs.total()
        return share if self.length > SHORT or share == 1 else 0.0


class Names:
    """The names of several things, each of which may have more than one; it tells which of them a text names.

    A name that holds another one of the same thing is not listened for: what it has beside that one ("the country of Ghana")
    may be said of anything.
    """

    def __init__(self, names: Sequence[Sequence[str]]) -> None:
        self._names = [
            _Name(owner, len(name), Counter(pair for pair, _ in _pairs(name)), _numbers_of(name))
            for owner, own in enumerate(names)
            for name in _shortest([_ARTICLE.sub("", one) for one in own])
        ]
        self._having: dict[str, list[int]] = {}
        for number, name in enumerate(self._names):
            for pair in name.pairs:
                self._having.setdefault(pair, []).append(number)

    def heard(self, text: str) -> dict[int, float]:
        """Return for each thing that may be named how much of its best name is heard in a text, 0 to 1."""
        placed, numbers = list(_pairs(text)), _numbers_in(text)
        found: dict[int, float] = {}
        for place in sorted({number for pair, _ in placed for number in self._having.get(pair, ())}):
            name = self._names[place]
            found[name.owner] = max(found.get(name.owner, 0.0), name.share(placed, numbers))
        return found


def heard(text: str, name: str) -> float:
    """Return how much of a name is heard in a text, 0 to 1."""
    return Names([[name]]).heard(text).get(0, 0.0)


def _numbers_of(name: str) -> frozenset[str]:
    """Return the numbers that a name has."""
    return frozenset([*_NUMBER.findall(name), *_COUNTED.findall(name)])


def _numbers_in(text: str) -> frozenset[str]:
    """Return all that may be a name's number in a text."""
    return frozenset([*_NUMBER.findall(text), *(one.upper() for one in _NUMERAL.findall(text))])


def _shortest(names: Sequence[str]) -> Iterator[str]:
    """Yield the names of one thing in which no other one of them stands as whole words."""
    framed = {name: f" {' '.join(words(name))} " for name in names}
    for name, own in framed.items():
        if not any(len(other) < len(own) and other.strip() and other in own for other in framed.values()):
            yield name


def _most_in_a_stretch(placed: Sequence[tuple[str, int]], pairs: Mapping[str, int], size: int) -> int:
    """Return how many of a name's pairs, each as often as the name has it, lie within `size` characters of a text."""
    inside: Counter[str] = Counter()
    window: list[tuple[str, int]] = []
    first = best = count = 0
    for pair, at in placed:
        if pair not in pairs:
            continue
        window.append((pair, at))
        inside[pair] += 1
        count += inside[pair] <= pairs[pair]
        while at - window[first][1] > size:
            gone = window[first][0]
            count -= inside[gone] <= pairs[gone]
            inside[gone] -= 1
            first += 1
        best = max(best, count)
    return best


def _placed(text: str) -> Iterator[tuple[str, int]]:
    folded = unicodedata.normalize("NFKD", text).casefold()
    plain = "".join(char for char in folded if not unicodedata.combining(char))
    return ((found.group(), found.start()) for found in _WORD.finditer(plain))


def _pairs(text: str) -> Iterator[tuple[str, int]]:
    """Yield the pairs of neighbouring letters of each word, its ends among them, and where they stand."""
    for word, at in _placed(text):
        framed = f" {word} "
        for number in range(len(framed) - 1):
            yield framed[number : number + 2], at + number
