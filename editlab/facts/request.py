"""What a person asks to have changed, and how the change will be judged.

Whatever a page, a terminal or a file brings in becomes an `EditRequest` before any model sees it. One that exists is
valid, so methods and probes never ask again whether the subject stands in the prompt.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

from editlab.errors import BadRequest, Proposal
from editlab.facts import script, subjects
from editlab.facts.languages import sentence_end
from editlab.wording import noop

SLOT = "{}"
CASE_ALONE = noop("The new object differs from the true one in upper and lower case alone.")

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
        new = script.bare(self.target_new)
        if self.target_true is not None and new == script.bare(self.target_true):
            raise BadRequest(f"The new object {new!r} is the true object already. Write another one.", "target_new")
        for field in TARGETS:
            if (value := getattr(self, field)) is not None:
                object.__setattr__(self, field, script.settled(self.text, value))

    @classmethod
    def from_text(cls, text: str, subject: str, target_new: str, target_true: str | None = None) -> EditRequest:
        """Return a request whose prompt names the subject, as people and most data sets write it.

        A text with a "{}" is the prompt already. Raises `BadRequest` where the subject does not occur exactly once as whole
        words; where something like it does, the error proposes that.
        """
        subject = _clean_name(subject, "subject")
        if SLOT in text or not text.strip():
            return cls(text, subject, target_new, target_true)
        places = subjects.whole(subject, text)
        if len(places) != 1:
            raise _not_once(text, subject, len(places))
        return cls(with_slot(text, places[0]), subject, target_new, target_true)

    @property
    def text(self) -> str:
        """The prompt with the subject in its place."""
        return self.prompt.replace(SLOT, self.subject)

    @property
    def note(self) -> str:
        """What is unusual about the request, in a sentence; "" where nothing is."""
        new, true = script.bare(self.target_new), script.bare(self.target_true or "")
        return CASE_ALONE if new.casefold() == true.casefold() else ""

    @property
    def sentence(self) -> str:
        """The new fact as a sentence, as it is told."""
        return script.joined(self.text, self.target_new) + sentence_end(self.prompt, self.subject)

    def as_dict(self) -> dict[str, str | None]:
        """Return the four fields, as JSON and scripts carry them."""
        return asdict(self)


@dataclass(frozen=True)
class Expectation:
    """A prompt and what should follow it; None stands for whatever the model said before the edit.

    `subject`: the words of `text` that it asks about; `before`: what followed as long as the fact was not edited. Empty
    and None where a file does not say. `aliases`: other names of what is expected, as good as it. Of prompts with the same
    `any_of`, one that is answered so suffices.
    """

    text: str
    expected: str | None = None
    subject: str = ""
    before: str | None = None
    aliases: tuple[str, ...] = ()
    any_of: str = ""


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
    group: str = ""
    """What the cases share whose edits belong together: they are solved in one batch."""


def split(items: Sequence[Item]) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """Return the in-domain and the out-of-domain half: the first half, rounded up, and the rest."""
    half = (len(items) + 1) // 2
    return tuple(items[:half]), tuple(items[half:])


def with_slot(text: str, span: tuple[int, int]) -> str:
    """Return a text with "{}" in place of a stretch of it."""
    return f"{text[: span[0]]}{SLOT}{text[span[1] :]}"


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
    places = subjects.whole(subject, prompt)
    if len(places) != 1:
        return _not_once(prompt, subject, len(places))
    proposal = with_slot(prompt, places[0])
    return BadRequest(f"The prompt has no {{}}. Write it where the subject stands: {proposal!r}.", "prompt")


def _not_once(text: str, subject: str, occurrences: int) -> BadRequest:
    """Return why a subject has no one place in a text, with what could be meant instead."""
    if occurrences:
        times = noop("twice") if occurrences == 2 else noop(f"{occurrences} times")
        return BadRequest(
            f"The subject {subject!r} occurs {times} in the prompt. Write {{}} in the place that is meant.", "prompt"
        )
    if span := subjects.alike(subject, text):
        said = noop(f"The subject {subject!r} is written {text[slice(*span)]!r} in the prompt.")
    elif subjects.inside(subject, text):
        span = subjects.nearest(subject, text)
        said = noop(f"The subject {subject!r} occurs in the prompt only inside of a longer word or number.")
    else:
        span = subjects.nearest(subject, text)
        said = noop(f"The subject {subject!r} does not occur in the prompt.")
    if span is None:
        return BadRequest(f"{said} Write {{}} where it stands.", "prompt")
    name, prompt = subjects.spelled(subject, text[slice(*span)]), with_slot(text, span)
    proposal = Proposal(prompt, name)
    return BadRequest(f"{said} Write {{}} where it stands, perhaps for {name!r}: {prompt!r}.", "prompt", proposal)
