"""From what a visitor typed to a request, or to a sentence that says what is wrong with it. No model is asked."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.facts.script import Space, bare, with_space
from editlab.lab import METHODS, OFF, RECIPES, MethodInfo, OwnProbe
from editlab.web.core.inputs import LENGTHS, Name
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
    return other_names(names, request)


def other_names(names: Iterable[str], request: EditRequest) -> tuple[str, ...]:
    """Return names of a subject without empty ones and the subject itself, each once. Raises `BadRequest`."""
    names = tuple(dict.fromkeys(stripped for name in names if (stripped := name.strip()) and stripped != request.subject))
    for name in names:
        if not _is_printable(name) or len(name.splitlines()) > 1:
            text = _("The name {name} holds a control or broken character. Remove it.")
            raise BadRequest(text.format(name=repr(name)), "names")
    return names


def check_probe(text: str) -> str:
    """Return an own probe. Raises `BadRequest` where it holds what nobody can read."""
    if not _is_printable(text):
        refused = _("The own probe {probe} holds a control or broken character. Remove it.")
        raise BadRequest(refused.format(probe=repr(text)))
    return text


def with_line(lines: str | None, line: str) -> str:
    """Return a list of own probes with one more, unless it is there already."""
    known = _lines(lines)
    return "\n".join(known if line in known else [*known, line])


Method = Literal[tuple(METHODS)]
Recipe = Literal[(OFF, *RECIPES)]
_CHANGES: TypeAdapter[dict[str, dict[str, bool | str]]] = TypeAdapter(dict[Name, dict[Name, bool | Name]])


def _changes(text: str) -> dict[str, dict[str, bool | str]]:
    """Return the changed settings by method and name. Raises `ValidationError`."""
    return _CHANGES.validate_json(text or "{}", strict=True)


def _are_changes(text: str) -> str:
    """Return a text that holds changed settings. Raises `ValueError`."""
    try:
        _changes(text)
    except ValidationError:
        raise ValueError("these are no settings of methods") from None
    return text


Settings = Annotated[str, Field(max_length=20_000), AfterValidator(_are_changes)]
"""The settings that the visitor changed, of all methods, as JSON: {"rome": {"steps": "40", "whiten": false}}."""


def read_settings(methods: Sequence[MethodInfo], method: str, settings: str) -> dict[str, Any]:
    """Return the settings of `method` that the visitor changed."""
    shown = {own.name: str(own.default) for chosen in methods if chosen.name == method for own in chosen.settings}
    changed = _changes(settings).get(method, {})
    return {name: value for name, value in changed.items() if str(value).strip() != shown.get(name)}


def with_setting(settings: str, method: str, name: str, value: str) -> str:
    """Return the changed settings with one more."""
    changes = _changes(settings)
    return json.dumps(changes | {method: {**changes.get(method, {}), name: value}})


def _lines(text: str | None) -> list[str]:
    lines = [line.strip() for line in _capped(noop("list of own probes"), text).splitlines() if line.strip()]
    if len(lines) > MOST_LINES:
        text = _("There are {n} own probes of a kind; {most} are the most. Remove some.")
        raise BadRequest(text.format(n=len(lines), most=MOST_LINES))
    return list(map(check_probe, lines))


def _is_printable(text: str) -> bool:
    return not any(unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\r\t" for char in text)


def _capped(name: str, value: str | None, field: str | None = None) -> str:
    value = value or ""
    if len(value) > LENGTHS[name]:
        text = _("The {field} has {n} characters; {most} is the most. Shorten it.")
        raise BadRequest(text.format(field=_(name), n=len(value), most=LENGTHS[name]), field)
    return value
