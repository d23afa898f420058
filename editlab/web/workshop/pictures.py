"""A picture, large enough for a stage."""

from __future__ import annotations

from typing import Any

FONT_SIZE = 30
NAME_SIZE = 24
LINE_WIDTH = 4.5


def enlarged(figure: Any) -> Any:
    """Return a copy of a figure in letters and lines that a room can see, as high as its place."""
    figure = type(figure)(figure)
    figure.update_layout(height=None, font_size=FONT_SIZE, legend_font_size=FONT_SIZE, hoverlabel_font_size=FONT_SIZE)
    figure.update_layout(margin={"l": 16, "r": 24, "t": 64, "b": 96})
    figure.update_xaxes(title_font_size=FONT_SIZE)
    figure.update_yaxes(title_font_size=FONT_SIZE)
    figure.update_traces(marker_size=18, selector={"type": "scatter", "mode": "markers"})
    figure.update_traces(marker_size=18, textfont_size=NAME_SIZE, selector={"type": "scatter", "mode": "markers+text"})
    figure.update_traces(line_width=LINE_WIDTH, selector=lambda trace: trace.type == "scatter" and "lines" in trace.mode)
    figure.update_annotations(font_size=FONT_SIZE)
    return figure
