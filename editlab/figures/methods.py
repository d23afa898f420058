"""The figure of the Compare tab: how well each method does at everything that is asked about one fact."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from editlab.figures.charts import escaped, plain

ROW = 40
"""Pixels of a method's row."""
SCALE = ((0.0, "rgba(212, 85, 58, 0.5)"), (0.5, "rgba(124, 133, 150, 0.08)"), (1.0, "rgba(34, 151, 106, 0.5)"))
"""From none as it should be to all; the page's own words are read on each, in the light and in the dark."""


def methods(frame: pd.DataFrame, columns: Sequence[tuple[str, str]], cost: str) -> go.Figure:
    """Return a grid of rates: a row a method, the first at the top and in bold, and a column for each of `columns`.

    `columns`: (column of the frame, title); a rate that is not known is left out. `frame` also has "method" and "time", the
    text of the last column, whose title is `cost`.
    """
    names = [escaped(name) for name in frame["method"]]
    rates = [[None if pd.isna(rate) else float(rate) for rate in frame[column]] for column, _ in columns]
    values = [*rates, [0.5] * len(frame)]
    texts = [*([_percent(rate) for rate in column] for column in rates), [escaped(text) for text in frame["time"]]]
    titles = [title.replace(" ", "<br>") for _, title in columns] + [cost]
    figure = go.Figure()
    figure.add_heatmap(
        z=list(zip(*values, strict=True)),
        x=list(range(len(titles))),
        y=list(range(len(names))),
        text=list(zip(*texts, strict=True)),
        texttemplate="%{text}",
        colorscale=[list(stop) for stop in SCALE],
        zmin=0,
        zmax=1,
        xgap=3,
        ygap=3,
        showscale=False,
        hoverinfo="skip",
    )
    ticks = [f"<b>{name}</b>" if number == 0 else name for number, name in enumerate(names)]
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=ticks, autorange="reversed", automargin=True)
    figure.update_xaxes(tickvals=list(range(len(titles))), ticktext=titles, side="top")
    for update in (figure.update_xaxes, figure.update_yaxes):
        update(ticks="", showgrid=False, zeroline=False)
    return plain(figure, ROW * len(names) + 90).update_layout(margin={"t": 62, "b": 12})


def _percent(rate: float | None) -> str:
    return "–" if rate is None else f"{100 * rate:.0f} %"
