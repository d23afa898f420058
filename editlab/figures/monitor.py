"""The figures of the Monitor tab: metrics over the check-ups, and the edits that held at each of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go

from editlab.figures.charts import BAD, FONT_SIZE, GOOD, GRID, NEW, NOTE, OLD, escaped, plain
from editlab.figures.language import gettext as _
from editlab.figures.language import written

HEIGHT, HEAT_HEIGHT, LEGEND = 210, 420, 40
MOST_TICKS, MOST_EDITS, MOST_MARKED = 5, 10, 40
"""Most labels of an axis of check-ups and of edits, and most check-ups that have markers of their own."""
STYLES = ((NEW, "solid"), (OLD, "dot"), (GOOD, "dash"))
"""The colours and dashes of the lines of one curve."""
BAND = "rgba(114, 104, 238, 0.18)"
ROOM, LEAST_TOP = 1.12, 0.01
"""The length of an axis relative to the largest value, and the least value that it has room for: a change that rounds to
nothing shall look like nothing."""
LOST = [[0.0, BAD], [0.5, "rgba(192, 118, 26, 0.75)"], [1.0, "rgba(34, 151, 106, 0.30)"]]
"""Colours from an edit that holds at none of its prompts to one that holds at all."""


def curve(
    frame: pd.DataFrame,
    lines: Mapping[str, str],
    limit: float | None,
    share: bool,
    height: int = HEIGHT,
    band: tuple[str, str] | None = None,
) -> go.Figure:
    """Return metrics over the check-ups. Points of the first metric that are `beyond` its limit have their own marker.

    `frame`: a row a check-up, in order: `edits`, the number of applied edits, `label`, the text on hover, `beyond`, and
    the columns that `lines` names for the legend. `share`: whether they are shares of 1. `band`: the columns between which
    the first line may lie as well. Infinity is drawn at the top.
    """
    figure, places = go.Figure(), list(range(1, len(frame) + 1))
    if band is not None:
        _band(figure, places, *(frame[column] for column in band))
    drawn = [*lines, *(band or ())]
    finite = [value for name in drawn for value in frame[name] if value is not None and math.isfinite(value)]
    bounded = share and limit is not None
    top = 1.0 if bounded else max([*finite, limit or 0.0, LEAST_TOP]) * ROOM
    form = "~%" if share else ".3~g"
    for number, (name, title) in enumerate(lines.items()):
        values = [_drawn(value, top) for value in frame[name]]
        texts = [
            f"{escaped(label)}<br><b>{_format(value, share)}</b>"
            for label, value in zip(frame["label"], frame[name], strict=True)
        ]
        color, dash = STYLES[number]
        style = {"color": color, "width": 2, "dash": dash}
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
            cliponaxis=False,
        )
        if not number:
            _crosses(figure, places, values, texts, frame["beyond"])
    if limit is not None:
        _limit(figure, limit, share)
    low = min([*finite, 0.0])
    figure.update_yaxes(range=[low * ROOM, 1.06 if bounded else top], tickformat=form, nticks=5, gridcolor=GRID)
    figure.update_yaxes(zeroline=True, zerolinecolor=GRID, automargin=True)
    _edits(figure, frame)
    margin = {"t": 30 if len(lines) > 1 else 8, "b": 44, "r": 26 if limit is None else 52}
    taller = height + LEGEND * (len(lines) > 1)
    return plain(figure, taller).update_layout(margin=margin, legend_traceorder="normal")  # a band would turn it around


def _band(figure: go.Figure, places: Sequence[int], low: Sequence[float], high: Sequence[float]) -> None:
    """Draw the area between two lines."""
    for values, fill in ((low, None), (high, "tonexty")):
        area = {"mode": "lines", "line": {"width": 0}, "fill": fill, "fillcolor": BAND}
        figure.add_scatter(x=places, y=values, hoverinfo="skip", showlegend=False, **area)


def _crosses(
    figure: go.Figure, places: Sequence[int], values: Sequence[float | None], texts: Sequence[str], beyond: Sequence[bool]
) -> None:
    """Draw a cross at each point that is beyond the limit."""
    at = [place for place, own in enumerate(beyond) if own]
    if at:
        figure.add_scatter(
            x=[places[place] for place in at],
            y=[values[place] for place in at],
            mode="markers",
            name=_("beyond the limit"),
            text=[texts[place] for place in at],
            hovertemplate="%{text}<br>" + _("beyond the limit") + "<extra></extra>",
            marker={"color": BAD, "symbol": "x", "size": 7 if len(places) <= MOST_MARKED else 5},
            showlegend=False,
        )


def _limit(figure: go.Figure, limit: float, share: bool) -> None:
    """Draw the limit with its value."""
    words = "<br>".join(_("limit {value}").format(value=_format(limit, share)).split(" ", 1))
    figure.add_hline(y=limit, line={"color": NOTE, "width": 2, "dash": "dash"})
    figure.add_annotation(x=1, xref="paper", xanchor="left", y=limit, text=words, align="left", showarrow=False)


def retention(
    frame: pd.DataFrame, names: Sequence[str], places: Sequence[int | None], shares: Sequence[Sequence[float | None]]
) -> go.Figure:
    """Return the share of its prompts at which each edit held at each check-up, a row an edit from top to bottom.

    `frame`: a row a check-up, in order: `edits`, `label`. `names`: of the edits; `places`: theirs in the chain, None where
    an edit is no longer in it. `shares`: a row an edit; None where it was not applied.
    """
    checkup, gone = _("check-up {n}: {label}"), _("no longer in the list ({n}): {edit}")
    checkups = [checkup.format(n=place, label=escaped(label)) for place, label in enumerate(frame["label"], 1)]
    numbers = ["–" if place is None else written(place, ",") for place in places]
    edits = [
        f"{number}. {escaped(name)}" if place else gone.format(n=row, edit=escaped(name))
        for row, (number, place, name) in enumerate(zip(numbers, places, names, strict=True), 1)
    ]
    heat = go.Heatmap(
        x=checkups,
        y=edits,
        z=[[None if share is None else round(share, 3) for share in row] for row in shares],
        hovertemplate="%{y}<br>%{x}<br><b>"
        + _("holds at {share} of its prompts").format(share="%{z:.0%}")
        + "</b><extra></extra>",
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
    figure.update_yaxes(type="category", showgrid=False, autorange="reversed", automargin=True, title=_("edit"))
    figure.update_yaxes(tickvals=[edits[place] for place in ticks], ticktext=[numbers[place] for place in ticks])
    return plain(figure, HEAT_HEIGHT).update_layout(margin={"t": 12})


def _edits(figure: go.Figure, frame: pd.DataFrame) -> None:
    """Draw the axis of check-ups, each labelled with the number of edits that were applied."""
    count = len(frame)
    shown = sorted({round(place * (count - 1) / (MOST_TICKS - 1)) for place in range(MOST_TICKS)}) if count else []
    words = [written(int(frame["edits"].iloc[place]), ",") for place in shown]
    figure.update_xaxes(
        title=_("applied edits"),
        tickvals=[place + 1 for place in shown],
        ticktext=words,
        range=[0.5, count + 0.5],
        gridcolor=GRID,
        zeroline=False,
    )


def _drawn(value: float | None, top: float) -> float | None:
    """Return the height at which a value is drawn: infinity at the top, None where there is no data."""
    if value is None or math.isnan(value):
        return None
    return min(value, top)


def _format(value: float | None, share: bool) -> str:
    if value is None or math.isnan(value):
        return _("no data")
    if math.isinf(value):
        return _("not finite")
    return f"{written(100 * value, '.3g')} %" if share else written(value, ".3g")
