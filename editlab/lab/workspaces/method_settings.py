"""A method's settings as a page asks for them: what each means, what it may be, and what this model's preset has chosen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from editlab import methods
from editlab.errors import BadRequest
from editlab.model import LanguageModel

TITLES = {"rome": "ROME: one rank-one edit", "memit": "MEMIT: spread over several layers"}
POSITIVE = ("steps", "learning_rate", "clamp", "preserved")
"""Settings that nothing can be done with at 0; no number may be below 0."""
MOST = {"steps": 1000, "contexts": 200, "seed": 2**31 - 1}
LARGEST = 1e6
"""Beyond it, a float32 computation only overflows."""


@dataclass(frozen=True)
class Setting:
    """One setting of a method. `default` is a plain JSON value; no bound is "inf", and layers are written as "1, 2"."""

    name: str
    help: str
    kind: Literal["int", "float", "bool", "choice", "text"]
    choices: tuple[str, ...]
    default: Any


@dataclass(frozen=True)
class MethodInfo:
    """A method as a page offers it."""

    name: str
    title: str
    settings: tuple[Setting, ...]


def described(model: LanguageModel, seed: int) -> tuple[MethodInfo, ...]:
    """All methods with what they can be told, for one model."""
    return tuple(
        MethodInfo(name, TITLES.get(name, name.upper()), _settings(method.config, config_for(model, name, {}, seed)))
        for name, method in methods.METHODS.items()
    )


def config_for(model: LanguageModel, method: str, given: Mapping[str, Any], seed: int) -> Any:
    """The configuration of a method with `given` in place of the preset's values; numbers may be given as text.

    Raises `BadRequest` with a sentence for a setting that does not exist or a value that does not fit it.
    """
    kind = methods.get(method).config
    hints = get_type_hints(kind)
    helps = {field.name for field in fields(kind)}
    changes = {name: _read(name, value, hints[name]) if name in helps else value for name, value in given.items()}
    return methods.config_for(kind, method, model, **{"seed": seed, **changes})


def plain(config: Any) -> dict[str, Any]:
    """A configuration as plain JSON values, which `config_for` reads back."""
    return {field.name: _plain(getattr(config, field.name)) for field in fields(config)}


def _settings(kind: type, config: Any) -> tuple[Setting, ...]:
    hints = get_type_hints(kind)
    return tuple(
        Setting(
            field.name,
            field.metadata["help"],
            "choice" if (named := get_origin(hint := hints[field.name]) is Literal) else _KINDS.get(hint, "text"),
            get_args(hint) if named else (),
            ", ".join(map(str, value)) if isinstance(value := getattr(config, field.name), tuple) else _plain(value),
        )
        for field in fields(kind)
    )


_KINDS = {int: "int", float: "float", bool: "bool"}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _read(name: str, value: Any, hint: Any) -> Any:
    """A value as its setting's type. Raises `BadRequest`."""
    if hint is bool:
        if isinstance(value, bool):
            return value
        raise BadRequest(f"{name} is {value!r}. Choose yes or no.")
    if hint in (int, float):
        return _number(name, value, hint)
    if get_origin(hint) is tuple:
        return _numbers(name, value)
    return value


def _number(name: str, value: Any, hint: type) -> int | float:
    least = "a positive number" if name in POSITIVE else "a number, at least 0"
    what = least.replace("number", "whole number") if hint is int else least
    try:
        number = float(value)
        fits = not isinstance(value, bool) and (number > 0 if name in POSITIVE else number >= 0)
        fits = fits and (hint is float or number == int(number))
    except (TypeError, ValueError, OverflowError):
        fits = False
    if not fits:
        raise BadRequest(f"{name} is {value!r}. Write {what}.")
    most = MOST.get(name, LARGEST)
    if number > most and not (name == "plain_below" and math.isinf(number)):
        raise BadRequest(f"{name} is {value!r}; the most is {most:,.0f}. Write a smaller number.")
    return hint(number)


def _numbers(name: str, value: Any) -> tuple[int, ...]:
    parts = value.replace(",", " ").split() if isinstance(value, str) else value
    try:
        return tuple(sorted({int(str(part)) for part in parts}))
    except (TypeError, ValueError):
        raise BadRequest(f"{name} is {value!r}. Write numbers with commas between them, as 1, 2.") from None
