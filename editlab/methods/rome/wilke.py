"""WilKE: the layer is chosen for each fact.

Where an update has to be large to be heard, the layer does not fit the fact, and the model suffers most. So every candidate
layer is edited, and the smallest |dW| / |W| is kept. Hu et al. 2024, arXiv 2402.10987.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from editlab.facts import EditRequest
from editlab.methods._method import Edited, Stopwatch
from editlab.methods.rome.config import WilkeConfig
from editlab.methods.rome.edit import Rome
from editlab.model import statistics
from editlab.patches import BASE, View
from editlab.wording import noop
from editlab.work import Cancel, Progress, never, no_progress

if TYPE_CHECKING:
    from editlab.model import LanguageModel

SCANNED = 0.5
"""The share of the layers, from the bottom, that are tried where nobody names them: GPT-2 XL's 24 of 48."""


class Wilke(Rome):
    """R-ROME at the layer where it changes the weight least, for each request its own."""

    name = "wilke"
    title = noop("WilKE: ROME at the layer that fits the fact")
    about = noop(
        "Edits the fact at every candidate layer and keeps the layer where the weight changes least (Hu et al. 2024). Takes "
        "as long as an edit at each of them."
    )
    config = WilkeConfig
    like = "rome"
    scans = True

    def config_for(self, model: LanguageModel, /, **changes: Any) -> Any:
        """Return the settings for a model; the layers to try are those of its own preset, else the lower half."""
        if "layers" not in changes and "layers" not in model.preset.get(self.name, {}):
            changes["layers"] = tuple(range(max(1, math.ceil(SCANNED * (model.n_layers - 1)))))
        return super().config_for(model, **changes)

    def edit(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        view: View = BASE,
        config: WilkeConfig | None = None,
        progress: Progress = no_progress,
        cancel: Cancel = never,
        earlier: Sequence[EditRequest] = (),
    ) -> Edited:
        """Return one rank-one patch a request, at the layer where |dW| / |W| is least. Costs an edit for each layer tried.

        Keys are whitened where every layer has statistics, or no two layers could be compared.
        """
        watch = Stopwatch()
        config = self.settle(config, model)
        measured = statistics.measured_layers(model)
        config = replace(config, whiten=config.whiten and all(layer in measured for layer in config.layers))
        tried = []
        for place, layer in enumerate(config.layers):

            def report(share: float, text: str, place: int = place, layer: int = layer) -> None:
                progress((place + share) / len(config.layers), f"layer {layer}: {text}")

            alone = replace(config, layers=(layer,))
            tried.append(super().edit(model, requests, view, alone, report, cancel, earlier))
        best = [min(tried, key=lambda one, i=i: one.health[i]["relative_norm"]) for i in range(len(requests))]
        seconds = watch.seconds
        return Edited(
            self.name,
            tuple(requests),
            tuple(sorted({layer for one in best for layer in one.layers})),
            tuple(one.solves[i] for i, one in enumerate(best)),
            tuple(one.health[i] | {"seconds": seconds / len(requests)} for i, one in enumerate(best)),
            tried[0].contexts,
            seconds,
        )
