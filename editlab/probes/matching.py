"""Whether a written answer is an object: exact match with aliases after normalising, and where an answer ends.

The stop rules are those of the script (`facts/script.py`); what is normalised is what no reader would call another answer:
case, composed letters, quotation marks, articles and white space.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

import regex

from editlab.facts.script import ANSWER_END, bare, goes_on, has_ended

RULES = 2
"""Counts the rules by which written answers are judged, so that kept rows which others judged are measured anew."""
Verdict = Literal["new", "old", "both", "neither"]
"""How the model answers: as one who believes the new fact, as before, with both at once, or with neither of them."""
DENIED = regex.compile(r"\b(not|no(?!\s*\Z)|never|nor|neither|without|than)\b|n't\b")
"""Words before an object that deny it. Right before a name, "no" is an article of other languages: "no Brasil"."""
_CLAUSE = regex.compile(r"[,;:—]|\bbut\b|(?<!\b\p{L})[.!?…](?=\s)")
"""Where a denial ends: "not in Europe, but in Antarctica", "No. In Antarctica", and not within "the U.S. state"."""
_LINES = regex.compile(r"\s*\n\s*")
_QUOTES = regex.compile(r"[\"“”„«»‘’`*_]+(?!\p{L})|(?<!\p{L})[\"“”„«»‘’'`*_]+")
_ARTICLE = regex.compile(r"\A(the|a|an)\s+")
_SENTENCE_END = regex.compile(r"(?<=(?<!\b\p{Lu})[.!?…؟۔။។](?=\s))\s+|(?<=[。！？｡।॥])\s*|\s*\n+\s*")


def normalised(text: str) -> str:
    """Return a text without what no reader would call another answer."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _ARTICLE.sub("", " ".join(_QUOTES.sub(" ", folded).replace("’", "'").split()))


def exact(answer: str, names: Iterable[str]) -> bool:
    """Return whether an answer, up to its end, is one of an object's names and nothing else, after normalising."""
    own = normalised(ANSWER_END.split(answer.strip(), maxsplit=1)[0]).rstrip(" .!?")
    return own in {normalised(bare(name)).rstrip(" .") for name in names}


def says(answer: str | None, names: Iterable[str], rivals: Iterable[str] = ()) -> bool:
    """Return whether an answer has one of an object's names as whole words; nothing denies it before it in its clause.

    `rivals`: names of other things. Within a longer one a name is not said: "Papua New Guinea" is not "Guinea".
    """
    text = normalised(_LINES.sub(". ", (answer or "").strip()))
    others = [place for rival in rivals for place in _places(text, rival)]
    return any(
        not DENIED.search(_CLAUSE.split(text[:start])[-1])
        and not any(first <= start and end <= last and end - start < last - first for first, last in others)
        for name in names
        for start, end in _places(text, name)
    )


def _places(text: str, name: str) -> list[tuple[int, int]]:
    """Return where a normalised text has a name as whole words: begin and end of each."""
    name = normalised(bare(name))
    places = [found.span() for found in regex.finditer(regex.escape(name), text)] if name else []
    return [(a, b) for a, b in places if not goes_on(text[:a], name) and not goes_on(name, text[b:])]


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, without the empty ones."""
    return [part for part in _SENTENCE_END.split(text.strip()) if part and part.strip()]


def trimmed(text: str, objects: Collection[str]) -> str:
    """Return a continuation up to where its answer ends. Objects with a stop in them ("Washington, D.C.") stay whole."""
    text = text.strip()
    whole = [o for o in objects if ANSWER_END.search(o) and text.startswith(o)]
    return max(whole, key=len) if whole else ANSWER_END.split(text, maxsplit=1)[0].strip() or text


def ended(text: str, objects: Collection[str]) -> bool:
    """Return whether a continuation that is still being written has ended."""
    return has_ended(text) and not any(o.startswith(text) for o in objects)


def verdict_of(answer: str, new: Sequence[str], old: Sequence[str], subjects: Sequence[str] = ()) -> Verdict:
    """Return which of two objects an answer says, each by any of its names.

    `subjects`: names of what is asked about. Who says "Apple A5" does not say Apple.
    """
    has_new, has_old = says(answer, new, (*old, *subjects)), says(answer, old, (*new, *subjects))
    return "both" if has_new and has_old else "new" if has_new else "old" if has_old else "neither"
