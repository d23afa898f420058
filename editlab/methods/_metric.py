"""Along which directions an edit is written: a metric turns keys into the directions that answer to them and to little else.

`KeyStatistics` is one: C^-1 k is heard by k and spares the keys of text. `Projection` writes only where text has next to
nothing, `White` knows no text, and `Sparing` spares the keys of earlier edits as well, on top of any of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.facts.request import SLOT
from editlab.model import statistics
from editlab.model.statistics import KeyStatistics
from editlab.patches import BARE, Form, Patch, Pathway, View

if TYPE_CHECKING:
    from editlab.model import LanguageModel

MOST_KEPT = 20_000
"""Keys of earlier edits that are kept for a model, over all layers."""


class Metric(Protocol):
    """What turns keys into directions."""

    def whiten(self, keys: Float[Tensor, "n d_ff"]) -> Float[Tensor, "n d_ff"]:
        """Return the direction of each key."""
        ...


class White:
    """The metric of a layer of which no text is known: a key's direction is its own."""

    def whiten(self, keys: Float[Tensor, "n d_ff"]) -> Float[Tensor, "n d_ff"]:
        """Return the keys."""
        return keys.float()


@dataclass(frozen=True, eq=False)
class Projection:
    """P = I - U U^T: takes from a key what it shares with text. `used` `[d_ff, n]`: U, the directions that text uses.

    Fang et al. 2025 (AlphaEdit), arXiv 2410.02355, section 3.
    """

    used: Float[Tensor, "d_ff n"]

    @classmethod
    def of(cls, C: KeyStatistics, energy: float) -> Projection:
        """Return the projection onto C's least directions, which hold together at most this share of its trace.

        The published threshold is one for eigenvalues (.02), so that it depends on how long a model's keys are.
        """
        values, vectors = torch.linalg.eigh(C.second_moment)
        held = values.clamp(min=0).double().cumsum(0)
        free = int((held <= energy * held[-1]).sum())
        return cls(vectors[:, free:].contiguous())

    @property
    def free(self) -> int:
        """The number of directions that are left."""
        return self.used.shape[0] - self.used.shape[1]

    def whiten(self, keys: Float[Tensor, "n d_ff"]) -> Float[Tensor, "n d_ff"]:
        """Return P k for each row."""
        keys = keys.float()
        return keys - (keys @ self.used) @ self.used.T


@dataclass(frozen=True, eq=False)
class Sparing:
    """(M + weight K K^T)^-1 for a metric M^-1: the keys K `[d_ff, n]` of earlier edits count beside those of text."""

    metric: Metric
    keys: Float[Tensor, "d_ff n"]
    weight: float

    @cached_property
    def _inner(self) -> tuple[Tensor, Tensor]:
        """M^-1 K, and the factor of K^T M^-1 K + I / weight, in float64."""
        S = self.metric.whiten(self.keys.T).T.double()
        inner = self.keys.T.double() @ S
        inner.diagonal().add_(1 / self.weight)
        return S, torch.linalg.cholesky((inner + inner.T) / 2)

    def whiten(self, keys: Float[Tensor, "n d_ff"]) -> Float[Tensor, "n d_ff"]:
        """Return (M + weight K K^T)^-1 k for each row (Woodbury)."""
        S, factor = self._inner
        shared = torch.cholesky_solve(S.T @ keys.T.double(), factor)
        return (self.metric.whiten(keys).double() - (S @ shared).T).float()


def metric_of(model: LanguageModel, layer: int, whiten: bool, energy: float | None = None) -> Metric | None:
    """Return the metric of a layer: its key statistics, or with `energy` the projection away from what text uses.

    None where they are not wanted or nobody measured them. Raises `BadRequest` where the projection leaves nothing.
    """
    C = statistics.find(model, layer) if whiten else None
    if C is None or energy is None:
        return C
    key = f"projection {C.path} {C.sha256} {C.tokens} {layer} {energy}"
    if key not in model.memo:
        model.memo[key] = Projection.of(C, energy)
    if model.memo[key].free == 0:
        raise BadRequest(
            f"At layer {layer}, text uses every direction, and none is left to write in. Raise the energy.", "energy"
        )
    return model.memo[key]


def sparing(
    model: LanguageModel,
    metric: Metric | None,
    spared: Sequence[EditRequest],
    layer: int,
    view: View,
    weight: float,
    form: Form = BARE,
) -> Metric | None:
    """Return the metric that spares the keys of these requests as well, where there are any and they count."""
    return Sparing(metric or White(), keys_of(model, spared, layer, view, form), weight) if weight and spared else metric


def to_spare(earlier: Sequence[EditRequest], requests: Sequence[EditRequest]) -> tuple[EditRequest, ...]:
    """Return the earlier requests that new ones can spare: not those at whose key one of the new ones writes.

    What one key retrieves cannot both stay and become another: neither where a prompt is edited again, nor where another
    prompt is the same up to the subject's end.
    """
    written = {_until_subject(request) for request in requests}
    return tuple(request for request in earlier if _until_subject(request) not in written)


def _until_subject(request: EditRequest) -> str:
    """Return the prompt's text up to its subject's end, which is all that is heard there."""
    return request.prompt.partition(SLOT)[0] + request.subject


def keys_of(
    model: LanguageModel, requests: Sequence[EditRequest], layer: int, view: View, form: Form = BARE
) -> Float[Tensor, "d_ff n"]:
    """Return the bare prompts' keys of requests as columns.

    Patches at the layer itself and above cannot change them, so that a chain of edits of one layer asks for each key once.
    """
    below = replace(view, patches=tuple(patch for patch in view.patches if _shapes_keys(patch, layer)))
    kept: dict[tuple[str, ...], Tensor] = model.memo.setdefault("keys of edits", {})
    names = {r: (str(layer), below.digest, form.digest, r.prompt, r.subject) for r in requests}
    new = [request for request, name in names.items() if name not in kept]
    if new:
        rows = [model.locate(request.prompt, request.subject, form=form) for request in new]
        found = model.keys(rows, [layer], below)[layer]
        kept.update({names[request]: key.clone() for request, key in zip(new, found, strict=True)})
    columns = [kept[names[request]] for request in requests]
    while len(kept) > MOST_KEPT:
        kept.pop(next(iter(kept)))
    return torch.stack(columns, 1) if columns else torch.zeros(model.d_ff, 0, device=model.device)


def _shapes_keys(patch: Patch, layer: int) -> bool:
    """Return whether a patch can change the keys of a layer: it lies below it, or before its projection, or in the text."""
    own = getattr(patch, "layer", -1)
    return own < layer or (own == layer and isinstance(patch, Pathway))
