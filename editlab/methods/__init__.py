"""How a patch is made: a package for each method, and one row for it in `METHODS`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from editlab.errors import BadRequest
from editlab.methods._health import HEALTH, HEARD, TAKEN, UNCONVERGED, health_value, warnings
from editlab.methods._method import GROUPS, Edited, Group, Method, check_requests
from editlab.methods._settings import Setting, as_json, describe
from editlab.methods.memit import Memit
from editlab.methods.rome import Rome

if TYPE_CHECKING:
    from editlab.model import LanguageModel

METHODS: dict[str, Method] = {method.name: method for method in (Rome(), Memit())}
"""All methods, in the order in which people are offered them."""


def get(name: str) -> Method:
    """Return the method of this name. Raises `BadRequest` with the names that exist."""
    if name not in METHODS:
        raise BadRequest(f"There is no method {name!r}. Choose one of: {', '.join(METHODS)}.")
    return METHODS[name]


def config_for(name: str, model: LanguageModel, /, **changes: Any) -> Any:
    """Return a method's settings for a model, some of them changed (`Method.config_for`)."""
    return get(name).config_for(model, **changes)


@dataclass(frozen=True)
class MethodInfo:
    """A method as people are offered it, with its settings for one model."""

    name: str
    title: str
    group: Group
    settings: tuple[Setting, ...]


def offer(model: LanguageModel, seed: int) -> tuple[MethodInfo, ...]:
    """Return all methods with their settings for a model."""
    return tuple(
        MethodInfo(name, method.title, method.group, describe(method.config_for(model, seed=seed)))
        for name, method in METHODS.items()
    )


__all__ = [
    "GROUPS",
    "HEALTH",
    "HEARD",
    "METHODS",
    "TAKEN",
    "UNCONVERGED",
    "Edited",
    "Group",
    "Method",
    "MethodInfo",
    "Setting",
    "as_json",
    "check_requests",
    "config_for",
    "describe",
    "get",
    "health_value",
    "offer",
    "warnings",
]
