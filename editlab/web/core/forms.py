"""From what a visitor typed to a request, or to a sentence that says what is wrong with it. No model is asked."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_origin

from pydantic import Field, create_model

from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.facts.script import Space, bare, with_space
from editlab.lab import METHODS, OFF, RECIPES, MethodInfo, OwnProbe, Setting
from editlab.web.core.inputs import LENGTHS, Inputs
from editlab.web.core.language import gettext as _
from editlab.web.core.language import noop

MOST_LINES = 20
"""Most own probes of a kind."""
FIELDS = {
    "subject": noop("subject"),
    "prompt": noop("prompt"),
    "target_new": noop("new object"),
    "target_true": noop("true object"),
}
"""The parts of a request, and the names of their fields."""


def read_request(
    subject: str | None, prompt: str | None, target_new: str | None, target_true: str | None, space: Space = "script"
) -> EditRequest:
    """Return the request of four fields; an empty true object means that it is not known. Raises `BadRequest`.

    `space`: whether a space stands in front of the objects.
    """
    given = zip(FIELDS, (subject, prompt, target_new, target_true), strict=True)
    subject, prompt, target_new, target_true = (_capped(FIELDS[field], value, field) for field, value in given)
    new, true = (with_space(target, space) if bare(target) else "" for target in (target_new, target_true))
    return EditRequest.from_text(prompt.strip(), subject, new, true or None)


def place_of(field: str) -> str:
    """Return the component of a part of a request."""
    return field.replace("_", "-")


def read_question(text: str | None) -> str:
    """Return a text to be continued, without white space around it. Raises `BadRequest`."""
    text = _capped(noop("question"), text).strip()
    if not text:
        raise BadRequest(_("There is nothing to ask. Write the beginning of a sentence."))
    if not _is_printable(text):
        raise BadRequest(_("The question holds a control or broken character. Remove it."))
    return text


def read_line(text: str | None) -> str:
    """Return a question on one line. Raises `BadRequest`."""
    return " ".join(read_question(text).split())


def read_reason(text: str | None) -> str:
    """Return the reason for an edit on one line; empty where none is given. Raises `BadRequest`."""
    reason = " ".join(_capped(noop("reason"), text).split())
    if not _is_printable(reason):
        raise BadRequest(_("The reason holds a control or broken character. Remove it."))
    return reason


def read_own(rephrases: str | None, neighbours: str | None, request: EditRequest) -> tuple[OwnProbe, ...]:
    """Return a visitor's own probes, one per line. Raises `BadRequest`."""
    return tuple(
        OwnProbe(kind, line, request.subject if request.subject in line else "")
        for kind, text in (("rephrase", rephrases), ("locality", neighbours))
        for line in _lines(text)
    )


def read_names(rephrases: str | None, request: EditRequest) -> tuple[str, ...]:
    """Return other names of the subject: from own rephrases that are the prompt with something else in its place."""
    head, tail = request.prompt.strip().partition("{}")[::2]
    lines = [line for line in _lines(rephrases) if line.startswith(head) and line.endswith(tail)]
    names = (line[len(head) : len(line) - len(tail)].strip() for line in lines if len(line) > len(head) + len(tail))
    return tuple(dict.fromkeys(name for name in names if name and name != request.subject))


def with_line(lines: str | None, line: str) -> str:
    """Return a list of own probes with one more, unless it is there already."""
    known = _lines(lines)
    return "\n".join(known if line in known else [*known, line])


def _setting_type(hint: Any) -> Any:
    """Return what the page sends for a setting: a boolean, a choice, or a text that the lab reads as its kind."""
    return hint if hint is bool or get_origin(hint) is Literal else Annotated[str, Field(max_length=100)]


Method = Literal[tuple(METHODS)]
Recipe = Literal[(OFF, *RECIPES)]
SETTING_TYPES = {
    f"{method}-{name}": _setting_type(field.annotation)
    for method, own in METHODS.items()
    for name, field in own.config.__pydantic_fields__.items()
}
"""The types of all methods' settings by their component: "rome-steps"."""
MethodSettings = create_model(
    "MethodSettings",
    __base__=Inputs,
    **{name.replace("-", "_"): (Annotated[kind, Field(alias=name)], ...) for name, kind in SETTING_TYPES.items()},
)
"""The settings of all methods, as the Edit tab has them: `rome_steps` is the component `rome-steps`."""


def read_settings(methods: Sequence[MethodInfo], method: str, settings: Inputs) -> dict[str, Any]:
    """Return the settings of `method` that the visitor changed."""
    values = {own: getattr(settings, f"{name}_{own.name}") for name, own in settings_of(methods) if name == method}
    return {own.name: value for own, value in values.items() if value is not None and str(value).strip() != str(own.default)}


def settings_of(methods: Sequence[MethodInfo]) -> list[tuple[str, Setting]]:
    """Return every (method, setting), in the order in which the page has them."""
    return [(method.name, setting) for method in methods for setting in method.settings]


def _lines(text: str | None) -> list[str]:
    lines = [line.strip() for line in _capped(noop("list of own probes"), text).splitlines() if line.strip()]
    if len(lines) > MOST_LINES:
        text = _("There are {n} own probes of a kind; {most} are the most. Remove some.")
        raise BadRequest(text.format(n=len(lines), most=MOST_LINES))
    for line in lines:
        if not _is_printable(line):
            text = _("The own probe {probe} holds a control or broken character. Remove it.")
            raise BadRequest(text.format(probe=repr(line)))
    return lines


def _is_printable(text: str) -> bool:
    return not any(unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\r\t" for char in text)


def _capped(name: str, value: str | None, field: str | None = None) -> str:
    value = value or ""
    if len(value) > LENGTHS[name]:
        text = _("The {field} has {n} characters; {most} is the most. Shorten it.")
        raise BadRequest(text.format(field=_(name), n=len(value), most=LENGTHS[name]), field)
    return value
