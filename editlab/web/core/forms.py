"""What a visitor typed becomes a request, or a sentence that says what is wrong with it. No model is asked."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_origin, get_type_hints

from pydantic import Field, create_model

from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.lab import METHODS, MOST_BATCH, OFF, RECIPES, MethodInfo, OwnProbe, Setting
from editlab.web.core.inputs import LENGTHS, Inputs

MOST = LENGTHS
MOST_LINES = 20
"""Most own probes of a kind."""
SWITCHED = ("off", "on")
"""What a switch can be."""
FIELDS = {"subject": "subject", "prompt": "prompt", "target_new": "new object", "target_true": "old object"}
"""The parts of a request, and what a person calls their fields."""


def read_request(subject: str | None, prompt: str | None, target_new: str | None, target_true: str | None) -> EditRequest:
    """The request that four fields state; an empty old object means that nobody said. Raises `BadRequest`."""
    given = zip(FIELDS, (subject, prompt, target_new, target_true), strict=True)
    subject, prompt, target_new, target_true = (_capped(FIELDS[field], value, field) for field, value in given)
    return EditRequest.from_text(prompt.strip(), subject, target_new, target_true.strip() or None)


def place_of(field: str) -> str:
    """The name on the page of a part of a request."""
    return field.replace("_", "-")


def read_question(text: str | None) -> str:
    """A text to be continued, without white space around it. Raises `BadRequest`."""
    text = _capped("question", text).strip()
    if not text:
        raise BadRequest("There is nothing to ask. Write the beginning of a sentence.")
    if not _whole(text):
        raise BadRequest("The question holds a control or broken character. Remove it.")
    return text


def read_line(text: str | None) -> str:
    """A question on one line. Raises `BadRequest`."""
    return " ".join(read_question(text).split())


def read_reason(text: str | None) -> str:
    """Why somebody makes an edit, on one line; empty where nobody says. Raises `BadRequest`."""
    reason = " ".join(_capped("reason", text).split())
    if not _whole(reason):
        raise BadRequest("The reason holds a control or broken character. Remove it.")
    return reason


def read_own(rephrases: str | None, neighbours: str | None, request: EditRequest) -> tuple[OwnProbe, ...]:
    """A visitor's own probes, one a line. Raises `BadRequest`."""
    return tuple(
        OwnProbe(kind, line, request.subject if request.subject in line else "")
        for kind, text in (("rephrase", rephrases), ("locality", neighbours))
        for line in _lines(text)
    )


def read_names(rephrases: str | None, request: EditRequest) -> tuple[str, ...]:
    """Other names of the subject: those own rephrases that are the request's prompt with something else in its place."""
    head, _, tail = request.prompt.strip().partition("{}")
    lines = [line for line in _lines(rephrases) if line.startswith(head) and line.endswith(tail)]
    names = (line[len(head) : len(line) - len(tail)].strip() for line in lines if len(line) > len(head) + len(tail))
    return tuple(dict.fromkeys(name for name in names if name and name != request.subject))


def read_recipe(rep: Any) -> str | None:
    """How REP shall be learnt; None where it is off. Raises `BadRequest`."""
    if rep in (None, "", OFF):
        return None
    if rep not in RECIPES:
        raise BadRequest("There is no such kind of REP. Choose one of those at “REP”.")
    return rep


def read_threshold(value: Any) -> float:
    """What a gate must exceed. Raises `BadRequest`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise BadRequest("The threshold is a number from 0 to 1. Move the slider, or write such a number.")
    return float(value)


def read_batch(value: Any) -> int:
    """How many edits are made together. Raises `BadRequest`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_BATCH:
        raise BadRequest(f"The number of edits a batch is a whole number from 1 to {MOST_BATCH:,}. Write one.")
    return value


def read_switch(value: Any) -> bool:
    """Whether a switch of the page is on. Raises `BadRequest`."""
    if value not in SWITCHED:
        raise BadRequest("A switch is on or off. Reload the page and press it again.")
    return value == SWITCHED[1]


def with_line(lines: str | None, line: str) -> str:
    """A list of own probes with one more, unless it holds it already."""
    known = _lines(lines)
    return "\n".join(known if line in known else [*known, line])


def read_config(methods: Sequence[MethodInfo], method: str, values: Sequence[Any]) -> dict[str, Any]:
    """The settings of `method` that a visitor changed. `values`: of all methods' settings, in their order."""
    return {
        setting.name: value
        for (name, setting), value in zip(settings_of(methods), values, strict=True)
        if name == method and value is not None and str(value).strip() != str(setting.default)
    }


def _settings_fields() -> dict[str, Any]:
    """Return a field for each setting of each method: a boolean, a choice, or a text that the lab reads as its kind."""
    fields = {}
    for method, own in METHODS.items():
        for name, hint in get_type_hints(own.config).items():
            kind = hint if hint is bool or get_origin(hint) is Literal else Annotated[str, Field(max_length=100)]
            fields[f"{method}_{name}"] = Annotated[kind, Field(alias=f"{method}-{name}")], ...
    return fields


MethodSettings = create_model("MethodSettings", __base__=Inputs, **_settings_fields())
"""The settings of all methods, as the Edit tab has them: `rome_steps` is the component `rome-steps`."""


def read_settings(methods: Sequence[MethodInfo], method: str, settings: Inputs) -> dict[str, Any]:
    """Return the settings of `method` that the visitor changed."""
    return read_config(methods, method, [getattr(settings, f"{name}_{own.name}") for name, own in settings_of(methods)])


def settings_of(methods: Sequence[MethodInfo]) -> list[tuple[str, Setting]]:
    """Every (method, setting), in the order in which the page has them."""
    return [(method.name, setting) for method in methods for setting in method.settings]


def _lines(text: str | None) -> list[str]:
    lines = [line.strip() for line in _capped("list of own probes", text).splitlines() if line.strip()]
    if len(lines) > MOST_LINES:
        raise BadRequest(f"There are {len(lines)} own probes of a kind; {MOST_LINES} are the most. Remove some.")
    for line in lines:
        if not _whole(line):
            raise BadRequest(f"The own probe {line!r} holds a control or broken character. Remove it.")
    return lines


def _whole(text: str) -> bool:
    return not any(unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\r\t" for char in text)


def _capped(name: str, value: str | None, field: str | None = None) -> str:
    value = value or ""
    if len(value) > MOST[name]:
        raise BadRequest(f"The {name} has {len(value)} characters; {MOST[name]} is the most. Shorten it.", field)
    return value


def read_form(value: Any) -> str:
    """How questions are put. Raises `BadRequest` for what no choice says."""
    if value not in ("plain", "chat"):
        raise BadRequest("Questions are put as plain text or as a chat. Choose one of the two.")
    return value


def read_pressed(event: Any, name: str, most: int | None = 200) -> str:
    """A field of a button that was pressed inside a part of the page. Raises `BadRequest` for one no button has."""
    value = (event._data or {}).get(name)
    if not isinstance(value, str) or (most is not None and len(value) > most):
        raise BadRequest("This button is not on the page any more. Reload the page.")
    return value
