"""What all forms share: the types of their fields, and how prompts with answers become expectations."""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError

from editlab.errors import BadRequest, Proposal
from editlab.facts.request import SLOT, EditCase, EditRequest, Expectation
from editlab.wording import noop


class Writer:
    """Makes the requests of a file; `taken` counts those that an error proposed, where `proposals` are taken."""

    def __init__(self, proposals: bool = False) -> None:
        self.proposals, self.taken = proposals, 0

    def __call__(self, text: str, subject: str | None, target_new: str, target_true: str | None = None) -> EditRequest:
        """Return a request, whose prompt is a text that names the subject. Raises `BadRequest`."""
        try:
            if subject is None:
                raise BadRequest(
                    "It names no subject, at whose last token ROME and MEMIT write. Add 'subject'. The whole prompt can be "
                    "the subject: then the edit is for this very sentence, and hardly holds in other words.",
                    "subject",
                    Proposal(SLOT, text.strip()),
                )
            return EditRequest.from_text(text, subject, target_new, target_true)
        except BadRequest as error:
            if error.proposal is None or not self.proposals:
                raise
            self.taken += 1
            return EditRequest(error.proposal.prompt, error.proposal.subject, target_new, target_true)


class Form(BaseModel):
    """A published form of edits: the fields that its records have, and the cases that they mean.

    `title`: its name, as people know it; `keys`: the fields by which a record is known to have it. Fields that it does not
    name are left aside.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)
    title: ClassVar[str]
    keys: ClassVar[tuple[str, ...]]

    @classmethod
    def fits(cls, record: dict[str, Any]) -> bool:
        """Return whether a record has this form, as far as its keys tell."""
        return all(key in record for key in cls.keys)

    def cases(self, id: str, write: Writer) -> list[EditCase]:
        """Return the cases of the record, under its id: one, where a form does not say otherwise. Raises as `case`."""
        return [self.case(id, write)]

    def case(self, id: str, write: Writer) -> EditCase:
        """Return the one case. Raises `BadRequest` where no method could carry it out."""
        raise NotImplementedError


def _text(value: object) -> str:
    if not isinstance(value, str):
        shown = json.dumps(value, default=str, ensure_ascii=False)[:40]
        raise PydanticCustomError(
            "text", noop("holds {shown} where text is expected. Write it in quotes."), {"shown": shown}
        )
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        place = {"place": error.start}
        raise PydanticCustomError(
            "text", noop("holds half a character at position {place}. Write it anew."), place
        ) from error
    return value


def _optional(value: object) -> str | None:
    return None if value is None or not _text(value).strip() else _text(value)


def _texts(value: object) -> list[str]:
    items = [] if value is None else value if isinstance(value, list) else [value]
    return [text for item in items if (text := _text(item)).strip()]


def _answers(value: object) -> list[str]:
    if not isinstance(value, list):
        return _texts(value)
    return [text for item in value for text in _answers(item)]


Text = Annotated[str, BeforeValidator(_text)]
"""A text. A number is one too: files are read so that it stays as it was written."""
Optional = Annotated[str | None, BeforeValidator(_optional)]
"""A text that may be missing, null or blank."""
Texts = Annotated[tuple[str, ...], BeforeValidator(_texts)]
"""A text, a list of texts, or null. Blank ones ask nothing and are left out: REP's paraphrases hold a few."""
Answers = Annotated[tuple[str, ...], BeforeValidator(_answers)]
"""The wordings of an answer, as a text, a list or a list of lists, without blank ones; empty where none is known."""


def first(answers: tuple[str, ...] | list[str]) -> str | None:
    """Return the answer itself, None where none is known."""
    return answers[0] if answers else None


def checked(value: object, key: str) -> Any:
    """Return the wordings in a field of no one type. Raises `BadRequest`."""
    try:
        return _answers(value)
    except PydanticCustomError as error:
        raise BadRequest(f"'{key}' {error}", _field(key)) from error


def _field(key: str) -> str:
    """Return the field in which a group stands."""
    return key.partition(" ")[0]


def expectations(prompts: object, answers: object, key: str, aliases: bool = False) -> tuple[Expectation, ...]:
    """Return prompts with their answers: one answer for all of them, or as many answers as prompts; None: no answer.

    `aliases`: whether the other wordings of an answer count as well. Raises `BadRequest`.
    """
    if not isinstance(prompts, list):
        prompts, answers = ([], []) if prompts is None else ([prompts], [answers])
    elif not isinstance(answers, list):
        answers = [answers] * len(prompts)
    if len(prompts) != len(answers):
        raise BadRequest(
            f"'{key}' has {len(prompts)} prompts but {len(answers)} answers. Give each prompt its answer.", _field(key)
        )
    found = []
    for prompt, answer in zip(prompts, answers, strict=True):
        wordings = [text.strip() for text in checked(answer, key)]
        for text in checked(prompt, key):
            found.append(Expectation(text, first(wordings), aliases=tuple(wordings[1:]) if aliases else ()))
    return tuple(found)


def pairs(items: object, prompt: str, answer: str, key: str, aliases: bool = False) -> tuple[Expectation, ...]:
    """Return the expectations of an object with prompt and answer, or of a list of them. Raises `BadRequest`."""
    items = [items] if isinstance(items, dict) else items or []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise BadRequest(f"'{key}' is no list of objects with '{prompt}' and '{answer}'. Write it as one.", _field(key))
    found = (expectations(item.get(prompt), item.get(answer), key, aliases) for item in items)
    return tuple(expectation for one in found for expectation in one)
