"""The pictures that a step can look at: each as a job, and its figure, large enough for a stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from editlab import figures
from editlab.lab import Job, Workspace
from editlab.lab.asking import inside, keys

Picture = tuple[Callable[[Workspace], Job[Any]], Callable[[Any], Any]]
FONT_SIZE = 30


def _at_question(table: Callable[..., Job[Any]]) -> Callable[[Workspace], Job[Any]]:
    return lambda workspace: table(workspace, inside.question(workspace))


PICTURES: Mapping[str, Picture] = {
    "similarity": (keys.similarity, lambda result: figures.similarity(result.frame)),
    "values": (keys.values, figures.values),
    "bounds": (keys.bounds, figures.bounds),
    "contributions": (_at_question(inside.contributions), figures.inside.contributions),
    "mask structure": (inside.mask_structure, figures.inside.mask_structure),
}
"""By the name that a step gives."""


def enlarged(figure: Any) -> Any:
    """Return a figure in letters that a room can read, as high as its place."""
    figure.update_layout(height=None, font_size=FONT_SIZE, legend_font_size=FONT_SIZE, hoverlabel_font_size=FONT_SIZE)
    figure.update_layout(margin={"l": 16, "r": 24, "t": 64, "b": 96})
    figure.update_xaxes(title_font_size=FONT_SIZE)
    figure.update_yaxes(title_font_size=FONT_SIZE)
    figure.update_traces(marker_size=18, selector={"type": "scatter", "mode": "markers"})
    figure.update_annotations(font_size=FONT_SIZE)
    return figure
