"""The tables under the pictures of the Inside tab: a column a view, so that differences are seen side by side."""

from __future__ import annotations

from collections.abc import Sequence

from pandas import DataFrame

from editlab.facts import EditRequest
from editlab.insight.loudness import Loudness
from editlab.web.core import tables
from editlab.web.core.render import view_title
from editlab.web.inside.words import objects

MOST_OF_A_KIND = 50
"""Dimensions of a mask's axis that are listed."""


def lens(request: EditRequest, frame: DataFrame, back: int) -> str:
    """A row a layer at one token: how likely the objects are, and what the layer itself would say."""
    own = frame[frame["back"] == back]
    wide = DataFrame({"layer": own["layer"].unique()})
    heads = {"layer": "Behind layer"}
    for view in own["view"].unique():
        rows = own[own["view"] == view].reset_index(drop=True)
        for which, name in objects(request).items():
            wide[f"{view} {which}"] = rows[f"p_{which}"]
            heads[f"{view} {which}"] = f"{view_title(view)}: {name}"
        wide[f"{view} top"] = rows["top"]
        heads[f"{view} top"] = f"{view_title(view)} would say"
    return tables.table(_before(wide), heads)


def tokens(request: EditRequest, frame: DataFrame, view: str) -> str:
    """A row a layer and token in one view, the last token and the last layer first."""
    own = frame[frame["view"] == view].sort_values(["back", "layer"], ascending=[True, False])
    heads = {"token": "Token", "layer": "Behind layer", "top": "Likeliest", "p_top": "p"}
    heads |= {f"p_{which}": f"{view_title(view)}: {name}" for which, name in objects(request).items()}
    return tables.table(_before(own), heads)


def contributions(request: EditRequest, frame: DataFrame, raw: bool) -> str:
    """A row a part, a row of sums at the end: what it adds to the logits in each view."""
    said, heads = objects(request), {"part": "Part", "layer": "Layer"}
    wide = frame.drop_duplicates(["part", "layer"])[["part", "layer"]].reset_index(drop=True)
    wide.loc[len(wide)] = ["sum", -1]
    for view in frame["view"].unique():
        own = frame[frame["view"] == view].set_index(["part", "layer"])
        for which, name in said.items():
            column, values = f"{view} {which}", own[f"raw_{which}" if raw else which]
            wide[column] = [*values.tolist(), values.sum()]
            heads[column] = f"{view_title(view)}: {name}"
    wide["layer"] = ["–" if layer < 0 else str(layer) for layer in wide["layer"]]
    return tables.table(wide, heads)


def attention(frame: DataFrame) -> str:
    """A row a head, those that moved most first."""
    wide = frame.pivot(index=["layer", "head"], columns="view", values="weight")[frame["view"].unique()]
    heads = {"layer": "Layer", "head": "Head"} | {view: view_title(view) for view in wide.columns}
    if "edited" in wide:
        wide["moved"] = wide["edited"] - wide["base"]
        wide = wide.loc[wide["moved"].abs().sort_values(ascending=False).index]
        heads["moved"] = "Edited − base"
    return tables.table(wide.reset_index(), heads)


def mask(frame: DataFrame) -> str:
    """A row a dimension, the most pruned of each axis."""
    own = frame.groupby(["layer", "axis"], sort=False).head(MOST_OF_A_KIND)
    heads = {"layer": "Layer", "axis": "Axis", "dimension": "Dimension", "pruned": "Pruned", "chance": "Most by chance"}
    return tables.table(own, heads)


def cases(found: Sequence[Loudness]) -> str:
    """A row a case of many edits; of one that could not be edited, why."""
    rows = [
        {"subject": row.subject, "new": row.target_new, "true": row.target_true, "skipped": row.skipped}
        | {f"true {view}": p for view, p in row.p_true.items()}
        | {f"new {view}": p for view, p in row.p_new.items()}
        for row in found
    ]
    frame = DataFrame(rows)
    heads = {"subject": "Subject", "true": "True object", "new": "New object", "skipped": "Not edited, for"}
    for view in ("base", "edited", "masked"):
        heads |= {f"{which} {view}": f"P({which}), {view_title(view).lower()}" for which in ("true", "new")}
    return tables.table(frame, {column: head for column, head in heads.items() if column in frame})


def parts(frame: DataFrame) -> str:
    """A row a view and part over many edits: mean and standard error."""
    heads = {"view": "View", "part": "Part", "layer": "Layer", "n": "Cases", "new": "New object", "new_se": "Its s.e."}
    return tables.table(frame, heads | {"true": "True object", "true_se": "Its s.e."})


def _before(frame: DataFrame) -> DataFrame:
    """Layers as they are said: what stands before the first block is behind none."""
    return frame.assign(layer=["–" if layer < 0 else str(layer) for layer in frame["layer"]])
