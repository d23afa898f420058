"""One edit of a chain as an export takes it: free of workspace, ledger and page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.model import LanguageModel
from editlab.patches import Dense, LowRank, Patch, Pathway, View
from editlab.wording import join


@dataclass(frozen=True, eq=False, kw_only=True)
class Entry:
    """One edit, or one batch that was solved together, in its place in the chain.

    `id`: its name in the workspace; `config`: all settings it was made with; `patches` and `pathways` as they are applied,
    `rep` the recipe of the latter and `names` what a person added to what they learnt from; `at`: ISO time; `health`:
    figures of when it was made, the mean over a batch.
    """

    requests: tuple[EditRequest, ...]
    method: str
    config: Mapping[str, Any]
    layers: tuple[int, ...]
    patches: tuple[Patch, ...]
    pathways: tuple[Pathway, ...] = ()
    rep: str | None = None
    names: tuple[str, ...] = ()
    author: str = ""
    at: str = ""
    reason: str = ""
    health: Mapping[str, float] = field(default_factory=dict)
    id: str = ""


def edited(entries: Iterable[Entry]) -> View:
    """Return the model under all these edits, without pathways."""
    return View.base().with_patches(patch for entry in entries for patch in entry.patches)


def refuse_beside(entries: Iterable[Entry], what: str) -> None:
    """Raise `BadRequest` where an edit changes no weight, which a format that holds weights alone cannot take."""
    beside = sorted({entry.method for entry in entries for patch in entry.patches if not isinstance(patch, LowRank | Dense)})
    if beside:
        raise BadRequest(
            f"{what} holds changes of weights, and edits by {join(beside)} change none: they are text before a question, or "
            "a memory beside a layer. Switch them off and export the others, or export a script that makes them again."
        )


def requests_of(entries: Sequence[Entry]) -> list[EditRequest]:
    """Return all that was asked, in order."""
    return [request for entry in entries for request in entry.requests]


def base_of(model: LanguageModel) -> str:
    """Return the model's name or folder; of a hub model without its revision, which goes beside it.

    Of a model that was dequantised or merged here, the folder where that is kept, which other tools can load.
    """
    if model.kept is not None:
        return str(model.kept)
    return model.name if model.revision is None else model.name.partition("@")[0]


def precision_of(model: LanguageModel) -> str:
    """Return the precision in which the model computes, and the bits of its weights where those are fewer."""
    dtype = str(model.dtype).removeprefix("torch.")
    return dtype if model.quantization == "none" else f"{model.quantization} ({dtype})"
