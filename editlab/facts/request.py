"""What a person asks to have changed, and how the change will be judged.

Whatever a page, a terminal or a file brings in becomes an `EditRequest` before any model sees it. One that exists is
valid, so methods and probes never ask again whether the subject stands in the prompt.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

from editlab.errors import BadRequest
from editlab.facts import script
from editlab.wording import noop

SLOT = "{}"

Item = TypeVar("Item")


TARGETS = ("target_new", "target_true")
NAMES = {"subject": noop("subject"), "target_new": noop("new object"), "target_true": noop("true object")}
"""What a person calls the fields that hold a name."""


@dataclass(frozen=True)
class EditRequest:
    """One fact to be written: after `prompt`, with `subject` in its "{}", the model should say `target_new`.

    White space around the subject and the targets is dropped; the prompt stays as it is. A target that begins with a space,
    or with `script.WORD_JOINER`, keeps that where the script of the prompt would not decide so. Raises `BadRequest`.
    """

    prompt: str
    subject: str
    target_new: str
    target_true: str | None = None

    def __post_init__(self) -> None:
        for field in NAMES:
            value = getattr(self, field)
            if value is not None or field != "target_true":
                cleaned = _clean_name(value, field)
                if field in TARGETS:
                    cleaned = script.with_space(script.bare(cleaned), script.space_of(value))
                object.__setattr__(self, field, cleaned)
        _check_prompt(self.prompt, self.subject)
        new, true = script.bare(self.target_new), script.bare(self.target_true or "")
        if new.casefold() == true.casefold():
            raise BadRequest(f"The new object {new!r} is the true object already. Write another one.", "target_new")
        for field in TARGETS:
            if (value := getattr(self, field)) is not None:
                object.__setattr__(self, field, script.settled(self.text, value))

    @classmethod
    def from_text(cls, text: str, subject: str, target_new: str, target_true: str | None = None) -> EditRequest:
        """Return a request whose prompt names the subject, as people and most data sets write it.

        A text with a "{}" is the prompt already. Raises `BadRequest` where the subject does not occur exactly once.
        """
        subject = _clean_name(subject, "subject")
        if SLOT in text or not text.strip():
            return cls(text, subject, target_new, target_true)
        places = _places(subject, text)
        if not places:
            raise _subject_missing(subject)
        if len(places) > 1:
            raise _subject_repeated(subject, len(places))
        start, stop = places[0], places[0] + len(subject)
        return cls(f"{text[:start]}{SLOT}{text[stop:]}", subject, target_new, target_true)

    @property
    def text(self) -> str:
        """The prompt with the subject in its place."""
        return self.prompt.replace(SLOT, self.subject)

    def as_dict(self) -> dict[str, str | None]:
        """Return the four fields, as JSON and scripts carry them."""
        return asdict(self)


@dataclass(frozen=True)
class Expectation:
    """A prompt and what should follow it; None stands for whatever the model said before the edit.

    `subject`: the words of `text` that it asks about; `before`: what followed as long as the fact was not edited. Empty
    and None where a file does not say.
    """

    text: str
    expected: str | None = None
    subject: str = ""
    before: str | None = None


@dataclass(frozen=True)
class EditCase:
    """A request together with the prompts that tell whether its edit reached what it should and nothing else."""

    request: EditRequest
    id: str
    relation: str | None = None
    rephrases: tuple[str, ...] = ()
    """Other names of the subject."""
    paraphrases: tuple[str, ...] = ()
    """Full prompts that ask for the same fact; the new object is expected."""
    neighbours: tuple[Expectation, ...] = ()
    """Other subjects, which the edit must leave alone."""
    same_subject: tuple[Expectation, ...] = ()
    """Other facts about the subject, which the edit must leave alone."""
    propagation: tuple[Expectation, ...] = ()
    """What follows from the new fact."""
    attribute_prompts: tuple[str, ...] = ()
    """Prompts about subjects of which the new object is true."""
    generation_prompts: tuple[str, ...] = ()
    """Beginnings of free text about the subject."""


def split(items: Sequence[Item]) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """Return the in-domain and the out-of-domain half: the first half, rounded up, and the rest."""
    half = (len(items) + 1) // 2
    return tuple(items[:half]), tuple(items[half:])


def _places(subject: str, text: str) -> list[int]:
    """Return where a subject stands in a text; a number that is part of a longer one is not the subject."""
    found = (match.start() for match in re.finditer(re.escape(subject), text))
    return [at for at in found if not any(script.number_at(text, place) for place in (at, at + len(subject)))]


def _clean_name(value: str, field: str) -> str:
    value, name = value.strip(), NAMES[field]
    if all(char.isspace() or unicodedata.category(char) == "Cf" for char in value):
        raise BadRequest(f"The {name} is empty. Write it.", field)
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in value):
        raise BadRequest(f"The {name} holds a line break or control character: {value!r}. Write it on one line.", field)
    if SLOT in value:
        raise BadRequest(
            f"The {name} holds {{}}: {value!r}. Write {{}} in the prompt alone, where the subject stands.", field
        )
    return value


def _check_prompt(prompt: str, subject: str) -> None:
    if not prompt.strip():
        raise BadRequest(
            "The prompt is empty. Write a sentence up to the object, with {} where the subject stands.", "prompt"
        )
    if any(unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\r\t" for char in prompt):
        raise BadRequest(f"The prompt {prompt!r} holds a control or broken character. Remove it.", "prompt")
    if prompt.count(SLOT) > 1:
        raise BadRequest(f"The prompt has {prompt.count(SLOT)} {{}}. Leave the one where the subject stands.", "prompt")
    if SLOT not in prompt:
        raise _slot_missing(prompt, subject)


def _slot_missing(prompt: str, subject: str) -> BadRequest:
    occurrences = prompt.count(subject)
    if occurrences == 0:
        return _subject_missing(subject)
    if occurrences > 1:
        return _subject_repeated(subject, occurrences)
    return BadRequest(
        f"The prompt has no {{}}. Write it where the subject stands: {prompt.replace(subject, SLOT)!r}.", "prompt"
    )


def _subject_missing(subject: str) -> BadRequest:
    return BadRequest(f"The subject {subject!r} does not occur in the prompt. Write {{}} where it stands.", "prompt")


def _subject_repeated(subject: str, occurrences: int) -> BadRequest:
    times = noop("twice") if occurrences == 2 else noop(f"{occurrences} times")
    return BadRequest(
        f"The subject {subject!r} occurs {times} in the prompt. Write {{}} in the place that is meant.", "prompt"
    )
