"""The figures of the Monitor tab: how a number went from check-up to check-up, and which edits held at each of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go

from editlab.figures.charts import BAD, FONT_SIZE, GRID, NEW, NOTE, OLD, escaped, plain

HEIGHT, HEAT_HEIGHT = 210, 420
MOST_TICKS, MOST_EDITS, MOST_MARKED = 5, 10, 40
"""Numbers under an axis and beside one, and check-ups up to which each has a marker of its own."""
ROOM = 1.12
"""How far an axis goes beyond the largest number."""
LOST = [[0.0, BAD], [0.5, "rgba(192, 118, 26, 0.75)"], [1.0, "rgba(34, 151, 106, 0.30)"]]
"""From an edit that nothing is left of to one that holds at all its questions."""


def curve(frame: pd.DataFrame, lines: Mapping[str, str], limit: float | None, share: bool) -> go.Figure:
    """Return metrics over the check-ups; points of the first one `beyond` its limit have their own colour and marker.

    `frame`: a row a check-up, in order: `edits` that were applied, `told`, what hover says of it, `beyond`, and the
    columns that `lines` names for the legend. `share`: whether they are shares of 1. What is no number stands at the top.
    """
    figure, places = go.Figure(), list(range(1, len(frame) + 1))
    finite = [value for name in lines for value in frame[name] if value is not None and math.isfinite(value)]
    bounded = share and limit is not None
    top = 1.0 if bounded else max([*finite, limit or 0.0, 1e-9]) * ROOM
    form = ".0%" if share else ".3~g"
    for number, (name, title) in enumerate(lines.items()):
        values = [_drawn(value, top) for value in frame[name]]
        texts = [
            f"{escaped(told)}<br><b>{_said(value, share)}</b>"
            for told, value in zip(frame["told"], frame[name], strict=True)
        ]
        style = {"color": OLD if number else NEW, "width": 2, "dash": "dot" if number else "solid"}
        figure.add_scatter(
            x=places,
            y=values,
            mode="lines+markers" if len(frame) <= MOST_MARKED else "lines",
            name=escaped(title),
            text=texts,
            hovertemplate="%{text}<extra></extra>",
            line=style,
            marker={"size": 5, "color": style["color"]},
            showlegend=len(lines) > 1,
        )
        if not number and frame["beyond"].any():
            at = [place for place, beyond in enumerate(frame["beyond"]) if beyond]
            figure.add_scatter(
                x=[places[place] for place in at],
                y=[values[place] for place in at],
                mode="markers",
                name="beyond the limit",
                text=[texts[place] for place in at],
                hovertemplate="%{text}<br>beyond the limit<extra></extra>",
                marker={"color": BAD, "symbol": "x", "size": 7 if len(frame) <= MOST_MARKED else 5},
                showlegend=False,
            )
    if limit is not None:
        words = f"limit {_said(limit, share)}"
        figure.add_hline(y=limit, line={"color": NOTE, "width": 2, "dash": "dash"})
        side = "top" if share else "bottom"  # where the curve is not, early in a chain
        figure.add_annotation(x=0, xref="paper", xanchor="left", y=limit, yanchor=side, text=words, showarrow=False)
    low = min([*finite, 0.0])
    figure.update_yaxes(range=[low * ROOM, 1.06 if bounded else top], tickformat=form, nticks=5, gridcolor=GRID)
    figure.update_yaxes(zeroline=True, zerolinecolor=GRID, automargin=True)
    _edits(figure, frame)
    return plain(figure, HEIGHT).update_layout(margin={"t": 30 if len(lines) > 1 else 8, "b": 44, "r": 26})


def retention(frame: pd.DataFrame, names: Sequence[str], shares: Sequence[Sequence[float | None]]) -> go.Figure:
    """Return the share of its questions at which each edit held at each check-up, the oldest edit at the top.

    `frame`: a row a check-up, in order: `edits`, `told`. `shares`: a row an edit, in the order of its `names`; None where it
    was not applied.
    """
    checkups = [f"check-up {place}: {escaped(told)}" for place, told in enumerate(frame["told"], 1)]
    edits = [f"{place}. {escaped(name)}" for place, name in enumerate(names, 1)]
    heat = go.Heatmap(
        x=checkups,
        y=edits,
        z=[[None if share is None else round(share, 3) for share in row] for row in shares],
        hovertemplate="%{y}<br>%{x}<br><b>holds at %{z:.0%} of its questions</b><extra></extra>",
        hoverongaps=False,
        colorscale=LOST,
        zmin=0.0,
        zmax=1.0,
        colorbar={"thickness": 12, "outlinewidth": 0, "tickformat": ".0%", "tickfont": {"size": FONT_SIZE}, "xpad": 6},
    )
    figure, step = go.Figure(heat), max(1, -(-len(edits) // MOST_EDITS))
    _edits(figure, frame)
    shown = [place - 1 for place in figure.layout.xaxis.tickvals]
    figure.update_xaxes(type="category", showgrid=False, tickvals=[checkups[place] for place in shown], range=None)
    ticks = list(range(0, len(edits), step))
    figure.update_yaxes(type="category", showgrid=False, autorange="reversed", automargin=True, title="edit")
    figure.update_yaxes(tickvals=[edits[place] for place in ticks], ticktext=[f"{place + 1:,}" for place in ticks])
    return plain(figure, HEAT_HEIGHT).update_layout(margin={"t": 12})


def _edits(figure: go.Figure, frame: pd.DataFrame) -> None:
    """Draw the axis of check-ups, each named by how many edits were applied."""
    count = len(frame)
    shown = sorted({round(place * (count - 1) / (MOST_TICKS - 1)) for place in range(MOST_TICKS)}) if count else []
    words = [f"{int(frame['edits'].iloc[place]):,}" for place in shown]
    figure.update_xaxes(
        title="edits over the model",
        tickvals=[place + 1 for place in shown],
        ticktext=words,
        range=[0.5, count + 0.5],
        gridcolor=GRID,
        zeroline=False,
    )


def _drawn(value: float | None, top: float) -> float | None:
    """Return where a number stands; infinity at the top, what was not asked nowhere."""
    if value is None or math.isnan(value):
        return None
    return min(value, top)


def _said(value: float | None, share: bool) -> str:
    if value is None or math.isnan(value):
        return "not asked"
    if math.isinf(value):
        return "no number any more"
    return f"{100 * value:.3g} %" if share else f"{value:.3g}"
