"""The pictures that a step can look at: each as a job, and its figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from editlab import figures
from editlab.facts.script import bare
from editlab.lab.asking import inside, keys
from editlab.lab.job import Job
from editlab.lab.workspaces.workspace import Workspace

Picture = tuple[Callable[[Workspace], Job[Any]], Callable[[Workspace, Any], Any]]
APART = 0.012
"""Width of a letter of a name beside a point, as a share of the picture's."""
ROW_NAME = 0.14
"""Width of a row's own name above its points, as a share of the picture's."""
NAMED = ("another name", "other subjects")
"""Rows of the similarity whose points get names."""


def _at_question(table: Callable[..., Job[Any]]) -> Callable[[Workspace], Job[Any]]:
    return lambda workspace: table(workspace, inside.question(workspace))


def _similarity(workspace: Workspace, result: Any) -> Any:
    return _with_names(figures.similarity(result.frame))


def _contributions(workspace: Workspace, frame: Any) -> Any:
    """Draw the views that the stage shows, with the edited layers."""
    figure = figures.inside.contributions(frame[frame["view"].isin([*workspace.question_views])])
    for layer in workspace.records[-1].layers:
        figure.add_vline(layer, line={"color": figures.NOTE, "width": 3, "dash": "dash"})
        figure.add_annotation(
            x=layer, y=1.0, yref="paper", yanchor="top", xanchor="left", xshift=8, text="edited layer", showarrow=False
        )
    new = bare(workspace.records[-1].requests[0].target_new)
    return figure.update_xaxes(title=f"layer (upwards: what it adds to the logit of “{new}”)")


PICTURES: Mapping[str, Picture] = {
    "similarity": (keys.similarity, _similarity),
    "values": (keys.values, lambda workspace, frame: figures.values(frame)),
    "bounds": (keys.bounds, lambda workspace, frame: figures.bounds(frame)),
    "contributions": (_at_question(inside.contributions), _contributions),
    "mask structure": (inside.mask_structure, lambda workspace, frame: figures.inside.mask_structure(frame)),
}
"""By the name that a step gives."""


def _with_names(figure: Any) -> Any:
    """Write the subjects beside their points, above or below where there is room, for nobody hovers on a stage."""
    points = figure.data[0]
    least, width = min(0.0, *points.x), max(1.0, *points.x) - min(0.0, *points.x)
    room, left = APART * width, least + ROW_NAME * width
    ends: dict[tuple[str, str], float] = {}
    names, places = [""] * len(points.x), ["top center"] * len(points.x)
    for number in sorted(range(len(points.x)), key=lambda one: points.x[one]):
        row, at = points.customdata[number], points.x[number]
        half = room * len(points.text[number]) / 2
        under = ("bottom center",) if at - half < left else ("top center", "bottom center")
        place = next((one for one in under if ends.get((row, one), -1.0) < at - half), None)
        if row in NAMED and place is not None:
            names[number], places[number] = points.text[number], place
            ends[row, place] = at + half
    points.update(mode="markers+text", hovertext=points.text, text=names, textposition=places)
    points.hovertemplate = points.hovertemplate.replace("%{text}", "%{hovertext}")
    return figure
