"""Where writing puts spaces, ends words and ends answers: the one place that knows, for every script.

Everything is told from the characters that meet, so the same texts always get the same answer. A person can decide
otherwise: an object that begins with a space has one in front of it, one that begins with `WORD_JOINER` has none.
"""

from __future__ import annotations

from typing import Literal

import regex

WORD_JOINER = "\N{WORD JOINER}"
"""What an object begins with that follows the prompt without a space, whatever the script says."""
Space = Literal["script", "yes", "no"]
"""Whether a space stands in front of an object: as its script has it, always, or never."""
MARKS: dict[str, Space] = {" ": "yes", WORD_JOINER: "no"}
"""What a chosen space is stored as: the character with which the object begins."""
NEAR = 64
"""Characters before and behind a place that are looked at."""

_SCRIPTS = ("Han", "Bopomofo", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar")
_WIDE = r"\u3000-\u303F\uFF01-\uFF0F\uFF1A-\uFF20\uFF3B-\uFF40\uFF5B-\uFF65"
UNSPACED = "[" + "".join(rf"\p{{scx={name}}}" for name in _SCRIPTS) + _WIDE + "]"
"""Characters of the scripts that write no space between words, with their punctuation."""
_UNSPACED_END = regex.compile(rf"{UNSPACED}\P{{L}}*\Z")

NO_SPACE = tuple(
    (regex.compile(f"(?:{before})\\Z"), regex.compile(after))
    for before, after in (
        # what ends the prompt          what begins the object      example
        (r"\s|\A", ""),  # "in " + "Rome"
        (rf"{UNSPACED}\P{{L}}*", ""),  # 首都是 + 北京, 享年83 + 岁: the last letter is of such a script
        (r"\A\P{L}*", UNSPACED),  # "1949:" + 中国: no letter stands before
        (r"[\p{Ps}@#\\_¿¡]", ""),  # "(" + "born"
        (r"(?:\A|[\s\p{Ps}:=—])[\p{Pi}\p{Pf}\"']+", ""),  # 'is "' + "Live free": a quote that opens
        (r"\b(?:\p{L}{1,2}|\p{L}*(?:ll|qu))['’]", r"\p{L}"),  # "de l'" + "Italie"
        (r"(?<!\d\s?)\p{Sc}", ""),  # "costs $" + "5", but "5 €" + "more"
        (r"/|(?<=\S)[-‐‑]", ""),  # "Anglo-" + "Saxon"
        (r"[-−]", r"\d"),  # "is -" + "40"
        (r"\d[.:–]?", r"\d"),  # "born in 19" + "45", "3." + "14"
        (r"\d,", r"\d{3}(?!\d)"),  # "1," + "234"
        ("", r"[\p{Pe}\p{Pf},;:!?%…،؛؟।]|\.(?![\p{L}\p{N}])"),  # "50" + "%"
    )
)
"""Where no space stands: what the text before ends with, and what the text behind begins with."""

_AGGLUTINATES = rf"{UNSPACED[:-1]}\p{{Hangul}}]"
"""Characters behind which a word may end at once: scripts without spaces, and Korean, whose particles follow unspaced."""
_GOES_ON = tuple(
    (regex.compile(f"(?:{before})\\Z"), regex.compile(after))
    for before, after in (
        (r"[\p{L}\p{M}]", r"[\p{M}\u200c\u200d]"),  # a vowel sign belongs to the letter before it
        (r"\d", r"[.,:]?\d"),  # "3" + ".14", "1" + ",234"
        (r"[\p{Katakana}ー]", r"[\p{Katakana}ー]"),  # ローマ + ン
        (rf"(?!{_AGGLUTINATES})[\p{{L}}\p{{N}}]\p{{M}}*", rf"(?!{_AGGLUTINATES})[\p{{L}}\p{{N}}]"),  # "Rom" + "ania"
    )
)

_COMMA = r"[,،](?!(?<=\d.)\d)(?!(?<=\p{L}\.? \d{1,2}.) \d{4}\b)"  # not in 1,234 nor in May 17, 1909
_POINT = r"(?<!\b\p{Lu})\.(?!(?<=\d.)\d)(?!(?<=\b\d{1,2}.) \p{L}+ \d{4}\b)"  # not in J. Bach, 3.14, 17. Mai 1909
_OTHERS = ";\n，、；。｡！？؛؟۔।॥၊။។៕"
ANSWER_END = regex.compile(rf"[{_OTHERS}]|{_COMMA}|{_POINT}")
"""Where an answer ends. Numbers and dates stay whole, and so does a name with an initial."""
CLAUSE_END = regex.compile(rf"[{_OTHERS}：]|{_COMMA}|:(?!(?<=\d.)\d)|{_POINT}(?:\s|$)")
"""Where a clause ends: at a colon too, and at a point that white space follows."""
LONGEST_DATE = 16
"""Characters behind a stop that may tell that it stands inside a date."""


def spaced(before: str, after: str) -> bool:
    """Return whether writing puts a space between two texts that follow each other."""
    before, after = before[-NEAR:], after[:NEAR]
    return not any(end.search(before) and start.match(after) for end, start in NO_SPACE)


def unspaced(name: str) -> bool:
    """Return whether a name ends in a script that writes no space between words."""
    return _UNSPACED_END.search(name[-NEAR:]) is not None


def joined(prompt: str, target: str) -> str:
    """Return prompt and target as one text, with a space between them where the script or a person wants one.

    A prompt that ends in white space never gets a second one.
    """
    name, chosen = bare(target), space_of(target)
    space = spaced(prompt, name) if chosen == "script" else chosen == "yes" and not prompt[-1:].isspace()
    return f"{prompt}{' ' if space else ''}{name}"


def bare(target: str) -> str:
    """Return an object as it reads, without white space around it and without the mark of a chosen space."""
    return target.strip().removeprefix(WORD_JOINER).strip()


def space_of(target: str) -> Space:
    """Return what was chosen for the space in front of an object."""
    return MARKS.get(target[:1], "script")


def with_space(target: str, space: Space) -> str:
    """Return an object with a choice for the space in front of it; "script" leaves it as it was written."""
    mark = next((mark for mark, choice in MARKS.items() if choice == space), "")
    return f"{mark}{bare(target)}" if mark else target


def settled(prompt: str, target: str) -> str:
    """Return an object that keeps a chosen space only where the prompt's script would decide otherwise."""
    name = bare(target)
    return name if joined(prompt, target) == joined(prompt, name) else with_space(name, space_of(target))


def goes_on(text: str, rest: str) -> bool:
    """Return whether `rest` goes on with the word or number in which `text` ends."""
    return any(end.search(text[-NEAR:]) and start.match(rest[:NEAR]) for end, start in _GOES_ON)


def begins_with(text: str, name: str) -> bool:
    """Return whether a text begins with a name that ends where a word or number ends."""
    text, name = text.lstrip(), bare(name)
    return text.startswith(name) and not goes_on(name, text[len(name) :])


def has_ended(text: str) -> bool:
    """Return whether an answer that is still being written has ended; a stop behind a digit may be part of a date."""
    stop = ANSWER_END.search(text, 1)
    return stop is not None and not (text[stop.start() - 1].isdecimal() and len(text) - stop.end() < LONGEST_DATE)


def number_at(text: str, place: int) -> bool:
    """Return whether a number goes on across a place in a text: 19|09, 3.|14, 1|,234."""
    before, after = text[:place], text[place:]
    return bool(regex.search(r"\d\Z", before) and regex.match(r"[.,:]?\d", after)) or bool(
        regex.search(r"\d[.,:]\Z", before) and regex.match(r"\d", after)
    )
