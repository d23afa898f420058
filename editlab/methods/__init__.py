"""How a patch is made: a package for each method, and one row for it in `METHODS`."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from editlab.errors import BadRequest
from editlab.methods._health import HEALTH, health_value, warnings
from editlab.methods._method import GROUPS, Edited, Group, Method, check_requests
from editlab.methods._settings import Setting, as_json, describe
from editlab.methods.alphaedit import AlphaEdit
from editlab.methods.emmet import Emmet
from editlab.methods.finetune import FtL, FtM, LocftBf
from editlab.methods.grace import Grace
from editlab.methods.ike import Ike
from editlab.methods.kn import Kn
from editlab.methods.memit import Memit
from editlab.methods.note import Retrieved
from editlab.methods.pmet import Pmet
from editlab.methods.rome import PRome, Rome, RRome, Wilke
from editlab.methods.told import Told
from editlab.methods.ultraedit import Ultraedit

if TYPE_CHECKING:
    from editlab.model import LanguageModel

PLUGINS = "editlab.methods"
"""The entry points by which installed packages bring methods: each names a class."""

log = logging.getLogger(__name__)


def installed(known: Collection[str]) -> Iterator[Method]:
    """Yield the methods that installed packages bring. One that cannot be used is left out, and the log says why."""
    names = set(known)
    for point in entry_points(group=PLUGINS):
        try:
            method = point.load()()
            if not isinstance(method, Method):
                raise TypeError(f"{point.value} is no Method")
            if method.name in names:
                raise ValueError(f"there is a method {method.name!r} already")
        except Exception as error:  # a stranger's code may raise anything
            log.warning("A method was left out: the entry point %s = %s failed (%s)", point.name, point.value, error)
            continue
        names.add(method.name)
        yield method


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        *(Rome(), Memit(), RRome(), PRome(), Wilke(), Emmet(), Pmet(), AlphaEdit()),
        *(Ultraedit(), Kn()),
        *(FtL(), FtM(), LocftBf()),
        Grace(),
        *(Told(), Ike(), Retrieved()),
    )
}
"""All methods, in the order in which people are offered them; those of installed packages last."""
METHODS.update({method.name: method for method in installed(METHODS)})


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
    about: str
    group: Group
    settings: tuple[Setting, ...]


def offer(model: LanguageModel, seed: int) -> tuple[MethodInfo, ...]:
    """Return all methods with their settings for a model."""
    return tuple(
        MethodInfo(name, method.title, about(method), method.group, describe(method.config_for(model, seed=seed)))
        for name, method in METHODS.items()
    )


def about(method: Method) -> str:
    """Return what a method does in a sentence or two: what it says for people, else how its docstring begins."""
    said, _, _ = (inspect.getdoc(type(method)) or method.title).partition("\n\n")
    return method.about or " ".join(said.split())


__all__ = [
    "GROUPS",
    "HEALTH",
    "METHODS",
    "Edited",
    "Group",
    "Method",
    "MethodInfo",
    "Setting",
    "about",
    "as_json",
    "check_requests",
    "config_for",
    "describe",
    "get",
    "health_value",
    "offer",
    "warnings",
]
