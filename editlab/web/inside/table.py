"""The tables under the figures of the Inside tab. Each view has its own columns, so that differences can be seen."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from pandas import DataFrame, Series

from editlab.facts import EditRequest
from editlab.insight.loudness import Loudness
from editlab.lab import LayerRow
from editlab.web.core import tables
from editlab.web.core.language import gettext as _
from editlab.web.core.language import noop
from editlab.web.core.names import view_title
from editlab.web.inside.words import objects

PROBABILITIES = {
    "true base": noop("P(true), base model"),
    "new base": noop("P(new), base model"),
    "true edited": noop("P(true), edited model"),
    "new edited": noop("P(new), edited model"),
    "true masked": noop("P(true), edited + mask"),
    "new masked": noop("P(new), edited + mask"),
    "true base_masked": noop("P(true), mask alone"),
    "new base_masked": noop("P(new), mask alone"),
}
"""The heads of the probabilities of the objects in each view."""
PARTS = (noop("token embedding"), noop("position embedding"), noop("attention"), noop("norm bias"), noop("head bias"))
"""Parts of a model that are called otherwise in other languages."""
AXES = (noop("output"), noop("key"))
"""The axes of a mask."""
STATES = {"hidden": noop("hidden state"), "mlp": "MLP", "attention": noop("attention")}
"""What causal tracing restores."""
RATES = {"paraphrase": noop("Paraphrases"), "locality": noop("Locality"), "same_subject": noop("Same subject")}
"""The heads of what a sweep asks beside the edit's prompt."""
MOST_OF_AN_AXIS = 50
"""Most dimensions of a mask's axis that are listed."""


def lens(request: EditRequest, frame: DataFrame, back: int) -> Markup:
    """Return a row a layer at one token: how likely the objects are, and the most likely token."""
    at_token = frame[frame["back"] == back]
    wide = DataFrame({"layer": at_token["layer"].unique()})
    heads = {"layer": noop("After layer")}
    for view in at_token["view"].unique():
        rows = at_token[at_token["view"] == view].reset_index(drop=True)
        for which, name in objects(request).items():
            wide[f"{view} {which}"] = rows[f"p_{which}"]
            heads[f"{view} {which}"] = f"{view_title(view)}: {name}"
        wide[f"{view} top"] = rows["top"]
        heads[f"{view} top"] = _("{view}: top token").format(view=view_title(view))
    return tables.table(wide.assign(layer=_layers(wide["layer"])), heads)


def tokens(request: EditRequest, frame: DataFrame, view: str) -> Markup:
    """Return a row a layer and token in one view, the last token and the last layer first."""
    rows = frame[frame["view"] == view].sort_values(["back", "layer"], ascending=[True, False])
    heads = {
        "token": noop("Token"),
        "layer": noop("After layer"),
        "top": noop("Top token"),
        "p_top": noop("Its probability"),
    }
    heads |= {f"p_{which}": f"{view_title(view)}: {name}" for which, name in objects(request).items()}
    return tables.table(rows.assign(layer=_layers(rows["layer"])), heads)


def contributions(request: EditRequest, frame: DataFrame, raw: bool) -> Markup:
    """Return a row a part, and the sums as the last row: what each adds to the logits in each view."""
    heads = {"part": noop("Part"), "layer": noop("Layer")}
    wide = frame.drop_duplicates(["part", "layer"])[["part", "layer"]].reset_index(drop=True)
    wide.loc[len(wide)] = [_("sum"), -1]
    for view in frame["view"].unique():
        rows = frame[frame["view"] == view]
        for which, name in objects(request).items():
            values = rows[f"raw_{which}" if raw else which]
            wide[f"{view} {which}"] = [*values, values.sum()]
            heads[f"{view} {which}"] = f"{view_title(view)}: {name}"
    return tables.table(wide.assign(layer=_layers(wide["layer"]), part=wide["part"].map(_)), heads)


def attention(frame: DataFrame) -> Markup:
    """Return a row a head, the one that changed most first."""
    wide = frame.pivot(index=["layer", "head"], columns="view", values="weight")[frame["view"].unique()]
    heads = {"layer": noop("Layer"), "head": noop("Head")} | {view: view_title(view) for view in wide.columns}
    if "edited" in wide:
        wide["change"] = wide["edited"] - wide["base"]
        wide = wide.loc[wide["change"].abs().sort_values(ascending=False).index]
        heads["change"] = noop("Edited − base")
    return tables.table(wide.reset_index(), heads)


def mask(frame: DataFrame) -> Markup:
    """Return a row a dimension, the most pruned of each axis."""
    rows = frame.groupby(["layer", "axis"], sort=False).head(MOST_OF_AN_AXIS)
    heads = {"layer": noop("Layer"), "axis": noop("Axis"), "dimension": noop("Dimension"), "pruned": noop("Share pruned")}
    return tables.table(rows.assign(axis=rows["axis"].map(_)), heads | {"chance": noop("Largest share by chance")})


def cases(found: Sequence[Loudness]) -> Markup:
    """Return a row a case of many edits, with the reason where it could not be edited."""
    rows = [
        {"subject": row.subject, "new": row.target_new, "true": row.target_true, "skipped": row.skipped}
        | {f"true {view}": p for view, p in row.p_true.items()}
        | {f"new {view}": p for view, p in row.p_new.items()}
        for row in found
    ]
    frame = DataFrame(rows)
    heads = {
        "subject": noop("Subject"),
        "true": noop("True object"),
        "new": noop("New object"),
        "skipped": noop("Not edited because"),
    }
    heads |= PROBABILITIES
    return tables.table(frame, {column: head for column, head in heads.items() if column in frame})


def parts(frame: DataFrame) -> Markup:
    """Return a row a view and part over many edits: the mean and the standard error of what it adds."""
    heads = {"view": noop("View"), "part": noop("Part"), "layer": noop("Layer"), "n": noop("Cases")}
    heads |= {"new": noop("New object"), "new_se": noop("Its SE")}
    frame = frame.assign(view=frame["view"].map(view_title), part=frame["part"].map(_), layer=_layers(frame["layer"]))
    return tables.table(frame, heads | {"true": noop("True object"), "true_se": noop("Its SE")})


def tracing(frame: DataFrame) -> Markup:
    """Return a row a restored state, the largest effect first."""
    rows = frame.sort_values("effect", key=abs, ascending=False)
    heads = {"kind": noop("State"), "layer": noop("Layer"), "token": noop("Token"), "effect": noop("Indirect effect")}
    rows = rows.assign(kind=rows["kind"].map(lambda kind: _(STATES[kind])))
    return tables.table(rows, heads | {"p": noop("P(true), restored")})


def sweep_frame(rows: Sequence[LayerRow]) -> DataFrame:
    """Return a row a layer: its score, its rates, its norm and why it has none."""
    made = [row.as_dict() | {name: (row.rates or {}).get(name) for name in RATES} for row in rows]
    frame = DataFrame(made).drop(columns="rates")
    failed = frame["skipped"].notna()
    frame[["score", "p_new"]] = frame[["score", "p_new"]].mask(failed)
    return frame.astype({name: float for name in (*RATES, "norm")})


def sweep(frame: DataFrame) -> Markup:
    """Return a row a layer of the sweep."""
    heads = {"layer": noop("Layer"), "score": noop("Score"), "success": noop("Takes"), "p_new": noop("P(new)")}
    heads |= RATES | {"norm": noop("|ΔW| / |W|"), "whitened": noop("Key statistics"), "seconds": noop("Time, s")}
    return tables.table(frame, heads | {"skipped": noop("Not edited because")})


def _layers(layers: Series) -> list[str]:
    """Return layers as texts. What comes before the first layer has none."""
    return ["–" if layer < 0 else f"{layer:.0f}" for layer in layers]
