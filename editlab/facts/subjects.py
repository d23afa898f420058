"""Where a subject stands in a prompt: as whole words, inside of a longer word, spelled otherwise, or nearly so.

Only whole words, letter by letter, are taken. Everything else is a proposal that a person accepts or not.
"""

from __future__ import annotations

import difflib
import html
import re
import unicodedata
from bisect import bisect_left
from itertools import islice

import regex

from editlab.facts import script

Span = tuple[int, int]

MOST = 100
"""Places in a text that are looked at."""
LONGEST = 2_000
"""Characters of a prompt up to which a near match is looked for."""
ALIKE = 0.7
"""How alike, from 0 to 1, a stretch of the prompt has to be to the subject."""

_SIGN = regex.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,31});|\X")
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+(?:['’.\-‐&/][\p{L}\p{M}\p{N}]+)*")
_GRAPHEME = regex.compile(r"\X")
_SAME = str.maketrans(dict.fromkeys("’‘ʼ`´", "'") | dict.fromkeys("“”„«»", '"') | dict.fromkeys("‐‑–—−", "-"))


def whole(subject: str, text: str) -> list[Span]:
    """Return where a subject stands in a text as whole words, of the first `MOST` places at which it does at all."""
    return [span for span in _occurrences(subject, text) if _is_whole(text, span)]


def inside(subject: str, text: str) -> bool:
    """Return whether a subject stands in a text at all, be it inside of a longer word or number."""
    return subject in text


def alike(subject: str, text: str) -> Span | None:
    """Return where a subject stands once, but for what a near match leaves aside.

    That is: upper and lower case, kinds of quotes, dashes and spaces, composed letters, and HTML's `&amp;`.
    """
    if len(text) > LONGEST:
        return None
    folded, starts = _folded(text)
    name, _ = _folded(subject.strip())
    found = []
    for start, stop in whole(name, folded):
        if start in starts and (stop in starts or stop == len(folded)):
            first, last = bisect_left(starts, start), bisect_left(starts, stop)
            spans = _spans(text)
            found.append((spans[first][0], spans[last - 1][1]))
    return found[0] if len(found) == 1 else None


def nearest(subject: str, text: str) -> Span | None:
    """Return the words of a text that are most like a subject; None where nothing is like it."""
    if not subject or len(text) > LONGEST or len(subject) > LONGEST // 4:
        return None
    unit = _GRAPHEME if script.unspaced(subject) else _WORD
    units = [match.span() for match in unit.finditer(text)]
    size = max(1, len(unit.findall(subject)))
    spans: dict[str, Span] = {}
    for first in range(len(units)):
        for last in range(first + max(1, size - 2) - 1, min(first + size + 2, len(units))):
            span = units[first][0], units[last][1]
            spans.setdefault(_fold(text[slice(*span)]), span)
    close = difflib.get_close_matches(_fold(subject), spans, n=1, cutoff=ALIKE)
    return spans[close[0]] if close else None


def spelled(subject: str, found: str) -> str:
    """Return how to spell a subject that a text spells otherwise: as the text does, unless nobody sees the difference."""
    plain = unicodedata.normalize("NFKC", html.unescape(found))
    return plain if plain == unicodedata.normalize("NFKC", subject) else found


def _occurrences(subject: str, text: str) -> list[Span]:
    found = re.finditer(re.escape(subject), text) if subject else ()
    return [match.span() for match in islice(found, MOST)]


def _is_whole(text: str, span: Span) -> bool:
    return not any(_goes_on(text, place) for place in span)


def _goes_on(text: str, place: int) -> bool:
    """Return whether a word or a number goes on across a place in a text."""
    before, after = text[max(0, place - script.NEAR) : place], text[place : place + script.NEAR]
    return script.goes_on(before, after) or script.number_at(before + after, len(before))


def _fold(sign: str) -> str:
    """Return a text without what a near match leaves aside."""
    plain = unicodedata.normalize("NFKC", html.unescape(sign)).casefold().translate(_SAME)
    return "".join(" " if char.isspace() else char for char in plain if unicodedata.category(char) != "Cf")


def _spans(text: str) -> list[Span]:
    return [match.span() for match in _SIGN.finditer(text)]


def _folded(text: str) -> tuple[str, list[int]]:
    """Return a folded text, and where in it each sign of the text begins."""
    pieces = [_fold(text[start:stop]) for start, stop in _spans(text)]
    starts, length = [], 0
    for piece in pieces:
        starts.append(length)
        length += len(piece)
    return "".join(pieces), starts
