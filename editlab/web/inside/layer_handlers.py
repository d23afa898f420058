"""The handlers of the two folds about layers on the Inside tab: causal tracing, and the edit made at each layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import gradio as gr
from pandas import DataFrame

from editlab.errors import BadRequest, Cancelled
from editlab.figures import layers as figures
from editlab.lab import EditRecord, Job, Lab, LayerRow, Workspace, best_layer
from editlab.lab.access.limits import FREE, Cost
from editlab.lab.asking import inside, keys
from editlab.web.core.components import folded
from editlab.web.core.forms import Settings, with_setting
from editlab.web.core.handlers import BATTERY, Handlers, handler
from editlab.web.core.html import pieces
from editlab.web.core.inputs import Name
from editlab.web.core.language import gettext as _
from editlab.web.core.updates import Draw, Update, Updates, buttons, follow
from editlab.web.core.visit import Visit
from editlab.web.inside import layer_words, table, words
from editlab.web.inside.headings import HEADINGS

OF_LAYERS = ("tracing", "sweep")
"""The folds about layers, in their order on the page."""
TRACED = Cost(prompts=1_000)
"""What tracing takes: as much as so many prompts, in batches that run only what can change."""


@dataclass(eq=False)
class Known:
    """What was found about the layers of the edit of this id."""

    edit: str
    tracing: DataFrame | None = None
    sweep: list[LayerRow] | None = None


class LayerHandlers(Handlers):
    """The handlers of both folds. What they found is kept as long as the same edit is selected."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self._known: WeakKeyDictionary[Workspace, Known] = WeakKeyDictionary()

    @handler(cost=FREE)
    def layers_open(self, visit: Visit) -> Updates:
        """Draw what is known of the selected edit's layers when the tab is opened, else what to press."""
        try:
            record = keys.edit(visit.workspace)
        except BadRequest:
            yield {**_clear("tracing"), **_clear("sweep")}
            return
        known = self._find(visit.workspace, record)
        tracing = _clear("tracing", _(layer_words.TO_TRACE)) if known.tracing is None else _tracing(record, known.tracing)
        sweep = _clear("sweep", _(layer_words.TO_SWEEP)) if known.sweep is None else _sweep(record, known.sweep)
        yield {**tracing, **sweep}

    @handler(cost=TRACED)
    def inside_trace(self, visit: Visit) -> Updates:
        """Trace where the unedited model recalls the fact; the heat maps fill in token by token."""
        workspace = visit.workspace
        record = keys.edit(workspace)

        def draw(frame: DataFrame) -> Update:
            return _tracing(record, frame)

        yield from self._follow(workspace, inside.tracing(workspace), "tracing", draw)

    @handler(cost=Cost(prompts=BATTERY))
    def inside_sweep(self, visit: Visit) -> Updates:
        """Make the edit at each layer; the picture fills in layer by layer."""
        workspace = visit.workspace
        record = keys.edit(workspace)
        self.lab.limits.spend(Cost(edits=len(inside.layers_of(workspace))))

        def draw(rows: list[LayerRow]) -> Update:
            return _sweep(record, rows)

        yield from self._follow(workspace, inside.layer_sweep(workspace), "sweep", draw)

    @handler(cost=FREE)
    def inside_use_layer(self, visit: Visit, inside_layer: Name | None, settings: Settings) -> Updates:
        """Fill the chosen layer into the settings of the edit's method."""
        record = keys.edit(visit.workspace)
        rows = self._find(visit.workspace, record).sweep or []
        if inside_layer not in [str(row.layer) for row in rows]:
            raise BadRequest(_(layer_words.NO_SWEEP))
        text = layer_words.chosen(record.method, int(inside_layer or 0))
        yield {"message": pieces.message(text), "settings": with_setting(settings, record.method, "layers", inside_layer)}

    def _follow(self, workspace: Workspace, job: Job[Any], name: str, draw: Draw) -> Updates:
        """Draw a job's results as they come, and keep them; of a sweep that was stopped, the layers that were tried."""
        known = self._find(workspace, keys.edit(workspace))
        yield {**_clear(name, _(words.COMPUTING)), "stop": gr.update(interactive=True)}
        yield from follow(workspace, job, draw)
        try:
            setattr(known, name, job.result())
        except Cancelled:
            if job.partial is not None:
                known.sweep = job.partial if name == "sweep" else known.sweep
                yield draw(job.partial)
            raise
        yield {**draw(getattr(known, name)), "progress": "", **buttons(workspace)}

    def _find(self, workspace: Workspace, record: EditRecord) -> Known:
        known = self._known.get(workspace)
        if known is None or known.edit != record.id:
            known = self._known[workspace] = Known(record.id)
        return known


def _tracing(record: EditRecord, frame: DataFrame) -> Update:
    return _section(
        "tracing",
        layer_words.tracing_title(frame),
        layer_words.tracing(record.request, frame, record.layers),
        figures.tracing(frame, record.layers),
        table.tracing(frame),
    )


def _sweep(record: EditRecord, rows: Sequence[LayerRow]) -> Update:
    frame, best = table.sweep_frame(rows), best_layer(rows)
    figure = None if frame["score"].isna().all() else figures.sweep(frame, record.layers, best and best.layer)
    title, sentence = layer_words.sweep_title(rows), layer_words.sweep(rows, record.layers)
    choices = [(_("layer {layer}").format(layer=row.layer), str(row.layer)) for row in rows if row.skipped is None]
    value = str(best.layer) if best else None
    return {
        **_section("sweep", title, sentence, figure, table.sweep(frame)),
        "inside-layer": gr.update(choices=choices, value=value, visible=True),
        "inside-use-layer": gr.update(interactive=best is not None, visible=True),
    }


def _section(name: str, title: str, sentence: str, figure: Any, rows: str) -> Update:
    return {
        f"inside-{name}-fold": folded(_(HEADINGS[name].title), title),
        f"inside-{name}": pieces.finding(sentence),
        f"inside-{name}-plot": figure,
        f"inside-{name}-table": rows,
    }


def _clear(name: str, hint: str = "") -> Update:
    """Return a fold without results. `hint`: the text in their place."""
    update: Update = {
        f"inside-{name}-fold": folded(_(HEADINGS[name].title)),
        f"inside-{name}": pieces.message(hint, "hint") if hint else "",
        f"inside-{name}-plot": None,
        f"inside-{name}-table": "",
    }
    if name == "sweep":
        update["inside-layer"] = gr.update(choices=[], value=None, visible=False)
        update["inside-use-layer"] = gr.update(interactive=False, visible=False)
    return update
