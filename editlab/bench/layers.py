"""The layer sweep: the same request edited at each layer alone, and which layer is the best one for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from editlab.answers import ViewName
from editlab.bench.editing import CASE_FAULTS, Edit, Setup, at_each, edits_of, in_calls
from editlab.errors import EditLabError
from editlab.facts import EditCase
from editlab.patches import BASE, Form, View
from editlab.probes import Ground, ask, tallies
from editlab.work import Cancel, Progress, never, no_progress, stop_if

RATES = ("paraphrase", "locality", "same_subject")
"""What is asked beside the edit's own prompt."""
PROBED = ("success", *RATES)
NEAR = 0.02
"""Scores that differ by less are alike: of such layers the one with the smallest change is the best."""


@dataclass(frozen=True)
class LayerRow:
    """One case edited at one layer, on the unedited model.

    `rates`: the shares of paraphrases that say the new object, of other subjects' and of the subject's other answers that
    stay; only what was asked. `norm`: |dW| / |W|. `whitened`: whether key statistics were there. `skipped`: why it has none.
    """

    layer: int
    success: bool = False
    p_new: float = 0.0
    rates: dict[str, float] | None = None
    norm: float | None = None
    whitened: bool | None = None
    seconds: float = 0.0
    skipped: str | None = None

    @property
    def score(self) -> float:
        """p(new), times the mean of the rates: 0 where the edit does not take, 1 where it also reaches and spares all."""
        rates = list((self.rates or {}).values())
        return self.p_new * (sum(rates) / len(rates) if rates else 1.0)

    def as_dict(self) -> dict[str, Any]:
        """Return the row with its score."""
        return {**vars(self), "score": self.score}


def best(rows: Sequence[LayerRow]) -> LayerRow | None:
    """Return the layer where the edit takes with the highest score; of those within .02 the one with the smallest change."""
    taken = [row for row in rows if row.success]
    most = max((row.score for row in taken), default=0.0)
    near = [row for row in taken if row.score >= most - NEAR]
    return min(near, key=lambda row: (row.norm is None, row.norm or 0.0, row.layer), default=None)


def sweep(
    ground: Ground,
    cases: Sequence[EditCase],
    setup: Setup,
    layers: Sequence[int],
    progress: Progress = no_progress,
    cancel: Cancel = never,
) -> Iterator[list[LayerRow]]:
    """Yield for each layer a row a case: edited there alone, and asked its prompt, its paraphrases and what should stay.

    Raises `BadRequest` for a method that has no layers, and `Cancelled`.
    """
    setups = at_each(setup, layers)
    for number, (layer, own) in enumerate(zip(layers, setups, strict=True)):
        stop_if(cancel, "Stopped before every layer was tried. Those that were are shown.")
        progress(number / len(layers), f"layers: {setup.method} at layer {layer}, {number + 1} of {len(layers)}")
        yield _at(ground, cases, own, layer, cancel)


def _at(ground: Ground, cases: Sequence[EditCase], setup: Setup, layer: int, cancel: Cancel) -> list[LayerRow]:
    rows: list[LayerRow] = []
    form = ground.model.form(setup.config(ground.model).form)
    for call in in_calls([[case] for case in cases], setup):
        stop_if(cancel, "Stopped before every layer was tried. Those that were are shown.")
        try:
            edits = edits_of(ground.model, setup, setup.config(ground.model), call)
        except EditLabError as error:  # key statistics that a method needs and this layer lacks
            edits = [[str(error)] for _ in call]
        for (case,), (edit,) in zip(call, edits, strict=True):
            rows.append(LayerRow(layer, skipped=edit) if isinstance(edit, str) else _row(ground, case, edit, layer, form))
    return rows


def _row(ground: Ground, case: EditCase, edit: Edit, layer: int, form: Form) -> LayerRow:
    probes = [probe for probe in ground.battery(case) if probe.kind in PROBED]
    try:
        views = {ViewName.BASE: BASE.in_form(form), ViewName.EDITED: View(tuple(edit.patches)).in_form(form)}
        frame = ask(ground.model, case.request, probes, views, answers=False)
    except CASE_FAULTS as error:
        return LayerRow(layer, skipped=str(error))
    own = frame[frame["kind"] == "success"].iloc[0]
    found = tallies(frame, ViewName.EDITED)
    whitened = edit.health.get("whitened")
    return LayerRow(
        layer,
        bool(own["edited.hit"]),
        float(own["edited.p_new"]),
        {name: found[name][0] / found[name][1] for name in RATES if name in found},
        edit.health.get("relative_norm"),
        None if whitened is None else whitened == 1,
        edit.seconds,
    )
