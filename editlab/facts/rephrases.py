"""Other ways to name a subject of which no table knows an alias: rules, so that the same subject always gets the same.

They are plain and a little stiff ("Jordan, Michael", "the city Paris"), for what counts is that the tokens differ while
everybody knows who is meant. What a person or a model writes is better and goes first where there is any.
"""

from __future__ import annotations

from collections.abc import Iterator

from editlab.facts.languages import Language

MOST = 10
PERSON = "person"
TITLES = ("Mr.", "Ms.")
ARTICLES = ("the", "a", "an")
SMALL_WORDS = frozenset(
    ("of", "the", "a", "an", "and", "in", "on", "at", "to", "for", "de", "la", "le", "du", "der", "da", "van", "von", "di")
)

_PERSONS = ("P27", "P103", "P1412", "P19", "P20", "P106", "P108", "P937", "P39", "P101", "P140", "P463", "P413", "P1303")
_THINGS = {
    "country": ("P36", "P37", "P38"),
    "place": ("P30", "P17", "P276", "P131"),
    "city": ("P206", "P190"),
    "company": ("P159", "P112", "P452", "P127"),
    "product": ("P178", "P176"),
    "series": ("P449",),
    "band": ("P264", "P740"),
    "book": ("P50", "P407"),
    "work of art": ("P170",),
    "film": ("P57", "P364"),
    "piece": ("P86",),
    "discovery": ("P61",),
    "element": ("P246",),
    "substance": ("P1552",),
    "animal": ("P279", "P2974", "P1034"),
}
NOUNS = {relation: noun for noun, relations in {**_THINGS, PERSON: _PERSONS}.items() for relation in relations}
"""What a relation is asked of, in a word, where it is always the same."""


def rephrasings(subject: str, relation: str | None = None, language: Language | None = None) -> tuple[str, ...]:
    """Return at most 10 other names of a subject; `relation` tells what kind of thing it is, `language` is the prompt's.

    The strongest come first and in turn, so that either half has some of each kind. No name takes a number or date apart.
    """
    noun = NOUNS.get(relation or "")
    names = _names(subject, noun) if language is None else _names_in(language, subject)
    found = dict.fromkeys(" ".join(name.split()) for name in names)
    return tuple(name for name in found if name and name.casefold() != subject.casefold())[:MOST]


def _names(subject: str, noun: str | None) -> Iterator[str]:
    words = _words(subject)
    article = words[0].lower() in ARTICLES and len(words) > 1
    bare = " ".join(words[1:]) if article else subject
    if noun:
        yield f"the {noun} {bare}"
    if len(words := _words(bare)) > 1:
        yield f"{words[-1]}, {' '.join(words[:-1])}"
    if noun == PERSON:
        yield from _of_person(words)
    elif article:
        yield bare
    elif len(words) > 1 or noun is None:
        yield f"the {bare}"
    if noun:
        yield f"{bare}, the {noun}"
    yield from (word for word in (words[-1], words[0]) if len(words) > 1 and _tells(word))
    yield f"the well-known {noun} {bare}" if noun else f"the well-known {bare}"
    yield f"{bare} itself" if noun != PERSON else f"{bare} in person"
    yield f"the {noun} called {bare}" if noun else f"what is called {bare}"


def _names_in(language: Language, subject: str) -> Iterator[str]:
    """Yield the wordings of another language, and the words of the subject in another order where it has some."""
    first, *others = (wording.replace("{}", subject) for wording in language.rephrases)
    yield first
    if len(words := _words(subject)) > 1:
        yield f"{words[-1]}{'،' if language.name == 'Arabic' else ','} {' '.join(words[:-1])}"
    yield from others


def _words(name: str) -> list[str]:
    """Return the words of a name; one with a number in it (17 May 1909, Apollo 11) is a single word."""
    return [name] if any(char.isdecimal() for char in name) else name.split()


def _of_person(words: list[str]) -> Iterator[str]:
    """Yield the name with initials for all but the last part, and with titles."""
    *first, last = words
    if first:
        yield " ".join([*(f"{name[0]}." for name in first), last])
    for title in TITLES:
        yield " ".join([title, *words])


def _tells(word: str) -> bool:
    """Return whether a part of a name alone still points to somebody."""
    return len(word) > 2 and word.casefold() not in SMALL_WORDS
