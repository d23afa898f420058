"""The two forms of which all figures are made: strips of points, one row a kind, and bars with their words above them.

The background is transparent and every colour is seen on white and on near black; the page gives the words its own colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from editlab.figures.language import separators, written

FONT_SIZE = 14
FONT = "ui-sans-serif, system-ui, -apple-system, Segoe UI, Helvetica Neue, Arial, sans-serif"
INK = "#7c8596"
"""Words and lines where no page says otherwise."""
GRID = "rgba(124, 133, 150, 0.28)"
NEW, OLD, GOOD, BAD, NOTE = "#7268ee", "#7b8798", "#22976a", "#d4553a", "#c0761a"
"""The edit and what it changed; what was there before; as it should be, or not; a line to hold points against."""
NAMELESS = "rgba(124, 133, 150, 0.45)"
"""What stands for all that nobody named."""
ROW = 60
"""Pixels of a row of points."""
BAR = 54
"""Pixels of a bar with the words above it."""
WIDEST = 40
"""Characters of the words above a bar."""


@dataclass(frozen=True)
class Points:
    """One sort of point: `x` in the rows `y`, said of each on hover by `texts`. Without a `name` it needs no legend."""

    name: str
    x: Sequence[float]
    y: Sequence[str]
    texts: Sequence[str]
    color: str
    symbol: str = "circle"
    lift: float = 0.0
    """Rows above the middle of their own, so that two sorts do not hide each other."""


def strips(rows: Sequence[str], sorts: Sequence[Points], x_title: str, line: float | None = None) -> go.Figure:
    """Return rows of points from top to bottom; a point's place across its row tells nothing and keeps points apart.

    `line`: where a vertical line stands.
    """
    figure = go.Figure()
    place = {name: len(rows) - 1 - number for number, name in enumerate(rows)}
    for sort in sorts:
        spread = [place[name] + sort.lift + 0.05 * ((number * 7) % 5 - 2) - 0.12 for number, name in enumerate(sort.y)]
        figure.add_scatter(
            x=list(sort.x),
            y=spread,
            mode="markers",
            name=sort.name,
            text=list(sort.texts),
            customdata=list(sort.y),
            hovertemplate="%{text}<br>%{x:.2f}<extra></extra>",
            marker={"color": sort.color, "symbol": sort.symbol, "size": 10, "opacity": 0.8},
            showlegend=len(sorts) > 1,
        )
    for number, name in enumerate(rows):
        figure.add_annotation(
            x=0, xref="paper", xanchor="left", y=len(rows) - 1 - number + 0.36, text=name, showarrow=False, align="left"
        )
    if line is not None:
        figure.add_vline(x=line, line={"color": NOTE, "width": 2, "dash": "dash"})
    figure.update_yaxes(visible=False, range=[-0.5, len(rows) - 0.35])
    figure.update_xaxes(title=x_title, zeroline=True, zerolinecolor=GRID, gridcolor=GRID)
    return plain(figure, ROW * len(rows) + 130)


def bars(words: Sequence[str], sizes: Sequence[float], colors: Sequence[str], x_title: str, form: str = ".2f") -> go.Figure:
    """Return bars from top to bottom, each with its number and its words; `WIDEST` letters fit on a telephone."""
    figure = go.Figure()
    places = [len(words) - 1 - number for number in range(len(words))]
    figure.add_bar(
        x=list(sizes),
        y=places,
        orientation="h",
        width=0.34,
        marker={"color": list(colors), "line": {"width": 0}},
        text=list(map(escaped, words)),
        customdata=list(words),
        textposition="none",
        hovertemplate=f"%{{text}}<br>%{{x:{form}}}<extra></extra>",
        showlegend=False,
    )
    for at, text, size in zip(places, words, sizes, strict=True):
        figure.add_annotation(
            x=0, xref="paper", xanchor="left", y=at + 0.38, align="left", showarrow=False,
            text=f"<b>{written(size, form)}</b>  {escaped(text)}",
        )  # fmt: skip
    figure.update_yaxes(visible=False, range=[-0.5, len(words) - 0.25])
    figure.update_xaxes(title=x_title, zeroline=True, zerolinecolor=INK, gridcolor=GRID)
    return plain(figure, BAR * len(words) + 70)


def plain(figure: go.Figure, height: int) -> go.Figure:
    """Return the same figure without a template, on no background, as wide as its place and `height` pixels high."""
    figure.update_layout(
        template=None,
        height=height,
        autosize=True,
        margin={"l": 8, "r": 12, "t": 44, "b": 52},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": FONT_SIZE, "color": INK},
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "font": {"size": FONT_SIZE}},
        hoverlabel={"font": {"size": FONT_SIZE}},
        dragmode=False,
        separators=separators(),
        modebar={"remove": ["select2d", "lasso2d"], "bgcolor": "rgba(0,0,0,0)", "color": INK},
    )
    figure.update_xaxes(fixedrange=True, automargin=True, title_font_size=FONT_SIZE)
    figure.update_yaxes(fixedrange=True, title_font_size=FONT_SIZE)
    return figure


def escaped(text: str) -> str:
    """Return a text that Plotly takes as it stands: it reads tags and would hide them."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
