"""The computation of a workspace's edit: a method's patches, whose tensors are written, and the edit that describes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from secrets import token_hex
from typing import Any, NamedTuple

from torch import is_tensor

from editlab import methods
from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.lab.context import Context
from editlab.lab.ledger.chain import Solves
from editlab.lab.ledger.events import Edit
from editlab.lab.workspaces import edit_files
from editlab.model import LanguageModel, statistics
from editlab.patches import View
from editlab.work import Cancel, Progress


class Earlier(NamedTuple):
    """The edits on top of which an edit is computed: their view and their requests."""

    view: View
    requests: Sequence[EditRequest]


def compute_edit(
    model: LanguageModel,
    requests: tuple[EditRequest, ...],
    method: str,
    settings: Any,
    earlier: Earlier,
    source: Mapping[str, Any] | None,
    keep: Callable[[Solves], tuple[str, ...]],
    progress: Progress,
    cancel: Cancel,
) -> Edit:
    """Compute one edit, or one batch of a file (`source`). `keep` writes its tensors and returns their addresses.

    Raises `BadRequest` where the patches are not finite.
    """
    chosen = methods.get(method)
    preserved = {"earlier": earlier.requests} if chosen.spares else {}
    edited = chosen.edit(model, requests, earlier.view, settings, progress, cancel, **preserved)
    if not all(value.isfinite().all() for patch in edited for value in vars(patch).values() if is_tensor(value)):
        raise BadRequest("The edit has infinite values and was not applied. Choose settings closer to the preset's.")
    solves, health = edit_files.join_solves(edited.solves), edit_files.mean_health(edited.health)
    missed: tuple[int, ...] = ()
    if source is not None:
        patches = [*(patch for solve in solves for patch in solve), model.form(settings.form)]
        hits = edit_files.hits(model, requests, earlier.view.with_patches(patches))
        health["said"] = sum(hits) / len(hits)
        missed = tuple(place for place, hit in enumerate(hits) if not hit)
    return Edit(
        id=new_id(),
        request=requests[0],
        more=requests[1:],
        source=source,
        missed=missed,
        method=method,
        config=methods.as_json(settings),
        layers=edited.layers,
        seconds=edited.seconds,
        health=health,
        contexts=edited.contexts,
        solves=keep(solves),
    )


def compute_alike(
    context: Context,
    requests: tuple[EditRequest, ...],
    method: str,
    settings: Any,
    earlier: Earlier,
    keep: Callable[[Solves], tuple[str, ...]],
    holds: Callable[[Edit], bool],
    progress: Progress,
    cancel: Cancel,
) -> Edit:
    """Return an edit that somebody has made alike, under equal edits, and whose files it `holds`; else compute it."""
    model = context.model
    measured = [statistics.describe(model, layer) for layer in methods.get(method).layers_measured(settings)]
    given = repr((methods.as_json(settings), measured))
    key = "edit", model.fingerprint, requests, method, given, earlier.view.digest, tuple(earlier.requests)

    def compute_it() -> Edit:
        return compute_edit(model, requests, method, settings, earlier, None, keep, progress, cancel)

    return replace(context.shared.once(key, compute_it, holds), id=new_id())


def new_id() -> str:
    """Return an id for a new edit."""
    return token_hex(4)


def requests_of(edits: Iterable[Edit]) -> list[EditRequest]:
    """Return the requests of edits, in order."""
    return [request for edit in edits for request in edit.requests]


class Part:
    """The progress of one edit, or one batch, of several."""

    def __init__(self, progress: Progress, place: int, count: int, noun: str = "edit") -> None:
        self._progress, self._place, self._count, self._noun = progress, place, count, noun

    def __call__(self, fraction: float, text: str) -> None:
        """Report the share that is done, and what is being done now."""
        which = f"{self._noun} {self._place + 1} of {self._count}, " if self._count > 1 else ""
        text = text.partition(":")[0] if self._noun == "batch" else text
        self._progress((self._place + fraction) / self._count, f"{which}{text}")
