"""PMET: MEMIT whose value is searched for beside a change of attention, and is written alone.

What attention adds is changed together with what the MLP puts out until the model says the new object; only the MLP's part
is written, so that it need not do what attention's would have. Each layer gets a larger part than in MEMIT: what is missing
over the square root of the layers left. Li et al. 2024, arXiv 2308.08742.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from editlab.facts import EditRequest
from editlab.methods._anchor import solve_values
from editlab.methods._delta import Schedule, Value
from editlab.methods.memit.config import SpreadConfig
from editlab.methods.memit.edit import Goal, Memit
from editlab.model.tokens import Located
from editlab.patches import Form, View
from editlab.wording import noop
from editlab.work import Cancel, Progress

if TYPE_CHECKING:
    from editlab.model import LanguageModel


class Pmet(Memit):
    """Precise model editing in a transformer."""

    name = "pmet"
    title = noop("PMET: MEMIT beside attention")
    about = noop(
        "MEMIT whose value is searched for beside a change of attention, and is written alone (Li et al. 2024): the MLPs "
        "need not do what attention would."
    )
    like = "memit"

    def values(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        contexts: Sequence[str],
        config: SpreadConfig,
        view: View,
        progress: Progress,
        cancel: Cancel,
        form: Form,
    ) -> list[Value]:
        """Return each request's value of the top layer's MLP, found beside a change of its attention."""
        top, schedule = config.layers[-1], Schedule.of(config)
        return solve_values(model, requests, top, "parts", contexts, schedule, view, config.anchor, progress, cancel, form)

    def goal(self, model: LanguageModel, rows: Sequence[Located], top: int, values: Sequence[Value], view: View) -> Goal:
        """Return what the top layer's MLP has to put out."""
        target = torch.stack([value.init + value.delta for value in values])
        return PutOut(model, rows, top, target, target)

    def portion(self, left: int) -> float:
        """Return how much of what is missing a layer gets, of the layers that are left."""
        return left**-0.5


@dataclass(frozen=True, eq=False)
class PutOut(Goal):
    """What the top layer's MLP has to put out; every layer is given a part of it as it is."""

    def missing(self, view: View) -> Float[Tensor, "n d_model"]:
        """Return what is still missing under a view."""
        return self.wanted - self.model.outputs(self.rows, self.top, view)

    def at(self, layer: int, missing: Float[Tensor, "n d_model"], view: View) -> Float[Tensor, "n d_model"]:
        """Return the part itself."""
        return missing
