"""A model's name for each view of a workspace: `atlas`, `atlas@team`, `atlas@team+rep`, `atlas@team+mask`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from editlab.answers import ViewName
from editlab.errors import EditLabError
from editlab.lab import Workspace, WorkspaceInfo
from editlab.lab.asking import completing
from editlab.web.api.errors import Refusal
from editlab.web.api.routes import Caller

SUFFIXES: Mapping[ViewName, str] = {
    ViewName.EDITED: "",
    ViewName.REP: "+rep",
    ViewName.MASKED: "+mask",
    ViewName.BASE_MASKED: "+mask-alone",
    ViewName.GUARDED: "+guard",
}
"""What follows a workspace's name."""
MOST_LISTED = 10
"""Names in one message."""


@dataclass(frozen=True)
class Named:
    """What a model's name stands for: a view of a workspace, or the base model, which belongs to none."""

    name: str
    workspace: Workspace | None = None
    view: ViewName = ViewName.BASE


def find(caller: Caller, name: str) -> Named:
    """Return what a name stands for. Raises `Refusal` for a name that the caller does not have."""
    base = caller.lab.loaded.name
    if name == base:
        return Named(name)
    for label, info in _labels(caller):
        for view, suffix in SUFFIXES.items():
            if name == f"{base}@{label}{suffix}":
                return Named(name, caller.enter(info), view)
    known = [base, *(f"{base}@{label}" for label, _ in _labels(caller))]
    listed = ", ".join(known[:MOST_LISTED]) + (f" and {len(known) - MOST_LISTED} more" if len(known) > MOST_LISTED else "")
    text = f"There is no model {name[:100]!r} here, or it is not shared with you. There are: {listed}."
    raise Refusal(404, text, "model_not_found", "model")


def every(caller: Caller) -> Iterator[tuple[str, WorkspaceInfo | None, ViewName]]:
    """Yield the names of all views that the caller may ask, the base model first."""
    base = caller.lab.loaded.name
    yield base, None, ViewName.BASE
    infos = caller.workspaces()
    named = Counter(info.name for info in infos)
    for info in infos:
        label = info.name if named[info.name] == 1 and not _is_view(info.name, named) else info.handle
        try:
            views = completing.views_of(caller.enter(info))
        except EditLabError:  # one that cannot be read hides no other
            continue
        for view in views:
            yield f"{base}@{label}{SUFFIXES[view]}", info, view


def _labels(caller: Caller) -> Iterator[tuple[str, WorkspaceInfo]]:
    """Yield each workspace under its name, the caller's own ones first, and then under its handle.

    A name that reads like a view of another workspace stands for that view.
    """
    infos = caller.workspaces()
    named = {info.name for info in infos}
    yield from ((info.name, info) for info in infos if not _is_view(info.name, named))
    yield from ((info.handle, info) for info in infos)


def _is_view(name: str, named: Collection[str]) -> bool:
    """Return whether a workspace's name is that of a view of another one."""
    return any(suffix and name.endswith(suffix) and name.removesuffix(suffix) in named for suffix in SUFFIXES.values())
