"""The figure of the gate: how the scores of an edit's probes depend on the threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from editlab.figures.charts import FONT_SIZE, GRID, INK, NEW, OLD, escaped, plain
from editlab.figures.language import gettext as _

COLUMNS = 2
ROW = 165
"""Pixels of a row of panels."""


@dataclass(frozen=True)
class Panel:
    """A kind of probe: its title, and its scores by (column of the table, domain)."""

    title: str
    series: Sequence[tuple[str, str]]


def sweep(frame: pd.DataFrame, panels: Sequence[Panel], threshold: float, now: Mapping[str, float]) -> go.Figure:
    """Return a panel for each kind of probe: its scores over all thresholds, with those at the current threshold marked.

    `frame`: a row a threshold, with the columns `threshold` and those that the panels name. `now`: the current scores.
    """
    rows = -(-len(panels) // COLUMNS)
    figure = make_subplots(
        rows=max(1, rows),
        cols=COLUMNS,
        shared_yaxes=True,
        horizontal_spacing=0.08,
        vertical_spacing=0.5 / max(1, rows),
        subplot_titles=[_title(panel, now) for panel in panels],
    )
    for number, panel in enumerate(panels):
        row, column = number // COLUMNS + 1, number % COLUMNS + 1
        for name, domain in panel.series:
            color, dash = (OLD, "dash") if domain == "out" else (NEW, "solid")
            shown = domain or "in"
            figure.add_scatter(
                x=frame["threshold"].tolist(),
                y=frame[name].tolist(),
                mode="lines",
                name=_("out-of-domain") if domain == "out" else _("in-domain, or all"),
                legendgroup=shown,
                showlegend=shown not in {trace.legendgroup for trace in figure.data},
                hovertemplate=_("threshold {x}: {y}").format(x="%{x:g}", y="%{y:.0%}") + "<extra></extra>",
                line={"color": color, "width": 2, "dash": dash},
                row=row,
                col=column,
            )
            if name in now:
                figure.add_scatter(
                    x=[threshold],
                    y=[now[name]],
                    mode="markers",
                    showlegend=False,
                    hovertemplate=_("now, {x}: {y}").format(x="%{x:g}", y="%{y:.0%}") + "<extra></extra>",
                    marker={"color": color, "size": 9},
                    row=row,
                    col=column,
                )
        figure.add_vline(x=threshold, line={"color": INK, "width": 1, "dash": "dot"}, row=row, col=column)
    figure.update_xaxes(range=[0, 1], tickvals=[0, 0.5, 1], gridcolor=GRID)
    figure.update_yaxes(range=[-0.04, 1.08], tickvals=[0, 0.5, 1], tickformat=".0%", gridcolor=GRID, automargin=True)
    figure.update_annotations(font_size=FONT_SIZE)
    top = {"l": 8, "r": 8, "t": 64, "b": 28}
    legend = {"y": 1.0 + 0.3 / max(1, rows)}
    return plain(figure, ROW * max(1, rows) + 92).update_layout(margin=top, legend=legend)


def _title(panel: Panel, now: Mapping[str, float]) -> str:
    """Return a panel's title with its current scores."""
    scores = ", ".join(f"{domain} {100 * now[name]:.0f} %".strip() for name, domain in panel.series if name in now)
    return f"{escaped(panel.title)}<br><b>{scores}</b>"
