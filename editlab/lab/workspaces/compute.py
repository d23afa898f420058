"""How an edit of a workspace is computed: a method asked for its patches, their tensors kept, and the edit described."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from secrets import token_hex
from typing import Any, NamedTuple

from torch import is_tensor

from editlab import methods
from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.lab.ledger.chain import Solves
from editlab.lab.ledger.events import Edit
from editlab.lab.workspaces import edit_files
from editlab.model import LanguageModel
from editlab.patches import View
from editlab.work import Cancel, Progress


class Below(NamedTuple):
    """What an edit is computed on top of: the view, and the requests whose edits lie in it."""

    view: View
    requests: Sequence[EditRequest]


def computed(
    model: LanguageModel,
    requests: tuple[EditRequest, ...],
    method: str,
    settings: Any,
    below: Below,
    source: Mapping[str, Any] | None,
    keep: Callable[[Solves], tuple[str, ...]],
    progress: Progress,
    cancel: Cancel,
) -> Edit:
    """Compute one edit, or one batch of a file (`source`); `keep` writes its tensors and gives their addresses.

    Raises `BadRequest` where they are no numbers.
    """
    how = methods.get(method)
    spared = {"earlier": below.requests} if how.joint else {}
    edited = how.edit(model, requests, below.view, settings, progress, cancel, **spared)
    if not all(value.isfinite().all() for patch in edited for value in vars(patch).values() if is_tensor(value)):
        raise BadRequest("The edit came out infinite and was not kept. Choose settings nearer to the usual ones.")
    solves, health = edit_files.joined(edited.solves), edit_files.mean(edited.health)
    if source is not None:
        patches = [*(patch for solve in solves for patch in solve), model.form(settings.form)]
        health["said"] = edit_files.said(model, requests, below.view.with_patches(patches))
    return Edit(
        id=token_hex(4),
        request=requests[0],
        more=requests[1:],
        source=source,
        method=method,
        config=methods.as_json(settings),
        layers=edited.layers,
        seconds=edited.seconds,
        health=health,
        contexts=edited.contexts,
        solves=keep(solves),
    )


def requests_of(edits: Iterable[Edit]) -> list[EditRequest]:
    """All that edits ask for, in order."""
    return [request for edit in edits for request in edit.requests]


class Part:
    """The progress of one edit of several, or of one batch."""

    def __init__(self, progress: Progress, place: int, count: int, what: str = "edit") -> None:
        self._progress, self._place, self._count, self._what = progress, place, count, what

    def __call__(self, fraction: float, text: str) -> None:
        """How much of it is done, and what is being done now."""
        which = f"{self._what} {self._place + 1} of {self._count}, " if self._count > 1 else ""
        text = text.partition(":")[0] if self._what == "batch" else text
        self._progress((self._place + fraction) / self._count, f"{which}{text}")
