"""The figures of the Inside tab. Each takes a table that `insight` makes; each view has its colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from editlab.answers import ViewName
from editlab.figures.charts import BAD, FONT_SIZE, GOOD, GRID, INK, NEW, NOTE, OLD, Points, escaped, plain, strips
from editlab.figures.language import gettext as _
from editlab.wording import noop

VIEWS = {
    ViewName.BASE: (noop("base model"), OLD),
    ViewName.EDITED: (noop("edited"), NEW),
    ViewName.REP: (noop("edited + REP"), GOOD),
    ViewName.MASKED: (noop("edited + mask"), NOTE),
    ViewName.BASE_MASKED: (noop("mask alone"), BAD),
    ViewName.GUARDED: (noop("under the guard"), BAD),
}
"""What a view is called in a figure, and its colour."""
DIFFERENCES = {
    "edited-base": (ViewName.EDITED, ViewName.BASE),
    "masked-edited": (ViewName.MASKED, ViewName.EDITED),
    "rep-edited": (ViewName.REP, ViewName.EDITED),
}
"""Pairs of views that are compared, first minus second."""
HIDDEN = ViewName.BASE_MASKED
"""A view that is shown when its name in the legend is pressed."""
ROW, LEAST, MOST_TICKS = 24, 260, 24
"""Pixels of a layer of a heat map, of the lowest one, and the most tokens that all stand below one."""
MOST_POINTS = 400
"""Of a mask's dimensions, that a curve is drawn through."""
FADE = [[0.0, "rgba(114, 104, 238, 0.04)"], [1.0, "rgba(114, 104, 238, 1.0)"]]
DIVERGE = [
    [0.0, "rgba(212, 85, 58, 1.0)"],
    [0.5, "rgba(124, 133, 150, 0.06)"],
    [1.0, "rgba(114, 104, 238, 1.0)"],
]


def view_name(view: str) -> str:
    """Return what a view, or a difference of two, is called."""
    if view in DIFFERENCES:
        first, second = DIFFERENCES[view]
        return f"{view_name(first)} − {view_name(second)}"
    return _(VIEWS.get(view, (view, NOTE))[0])


def lens_lines(frame: pd.DataFrame, back: int, objects: Mapping[str, str]) -> go.Figure:
    """Return how likely each object is after each layer, at one token: a line a view and object.

    `objects`: what `new` and `true` are called.
    """
    figure = go.Figure()
    own = frame[frame["back"] == back]
    for view in own["view"].unique():
        rows, name, color = own[own["view"] == view], view_name(view), VIEWS.get(view, (view, NOTE))[1]
        tops = list(zip(rows["layer"], rows["top"], strict=True))
        for which, text in objects.items():
            figure.add_scatter(
                x=rows["layer"].tolist(),
                y=rows[f"p_{which}"].tolist(),
                mode="lines+markers",
                name=f"{name}: {escaped(text)}",
                line={"color": color, "width": _width(view), "dash": "solid" if which == "new" else "dot"},
                marker={"color": color, "size": 8, "symbol": "circle" if which == "new" else "diamond-open"},
                text=[
                    _("{layer}, likeliest: {token}").format(layer=_after(layer), token=escaped(top)) for layer, top in tops
                ],
                hovertemplate="%{text}<br>%{y:.3f}<extra>" + f"{name}: {escaped(text)}" + "</extra>",
                visible="legendonly" if view == HIDDEN else True,
            )
    figure.update_yaxes(title=_("probability"), range=[-0.02, 1.04], gridcolor=GRID, zerolinecolor=GRID, automargin=True)
    _layers(figure, own["layer"].tolist())
    return _with_legend(plain(figure, 420), len(figure.data))


def lens_heat(frame: pd.DataFrame, shown: str, which: str) -> go.Figure:
    """Return how likely an object is after each layer at each token, in a view or as a difference of two.

    `which`: new, true, or lead, the difference of the two.
    """
    grid = {view: _grid(own, which) for view, own in frame.groupby("view", sort=False)}
    first, second = DIFFERENCES.get(shown, (shown, None))
    own = frame[frame["view"] == first].sort_values(["layer", "back"], ascending=[True, False])
    values = grid[first] if second is None else grid[first] - grid[second]
    layers, tokens = sorted(own["layer"].unique()), own.drop_duplicates("back")["token"].tolist()
    tops = own["top"].to_numpy().reshape(values.shape)
    likeliest = _("likeliest: {token}")
    texts = [
        [
            f"{escaped(token)}, {_after(layer)}<br>{likeliest.format(token=escaped(tops[row][n]))}"
            for n, token in enumerate(tokens)
        ]
        for row, layer in enumerate(layers)
    ]
    signed = second is not None or which == "lead"
    figure = _heat(values, texts, signed, ".3f", 1.0)
    step = max(1, -(-len(tokens) // MOST_TICKS))
    places = list(range(len(tokens) - 1, -1, -step))
    figure.update_xaxes(tickvals=places, ticktext=[escaped(tokens[n]) for n in places], tickangle=-60)
    names = ["in" if n < 0 else str(n) for n in layers]
    figure.update_yaxes(tickvals=list(range(len(layers))), ticktext=names, title=_("layer"), automargin=True)
    return plain(figure, max(LEAST, ROW * len(layers) + 150)).update_layout(margin={"b": 90})


def contributions(frame: pd.DataFrame, which: str = "new", form: str = "added") -> go.Figure:
    """Return what each layer's attention and MLP add to a logit: a line a view (`form`: added, raw) or a difference.

    `which`: new, true or lead. With columns `<which>_se`, each point has its standard error.
    """
    figure = go.Figure()
    series = _series(frame, which, form)
    for part, said, axis in (("attention", _("attention"), "y"), ("mlp", "MLP", "y2")):
        for name, color, width, hidden, own in series:
            rows = own[own["part"] == part].sort_values("layer")
            error = {"array": rows["se"].tolist(), "color": color, "thickness": 1.5}
            figure.add_scatter(
                x=rows["layer"].tolist(),
                y=rows["value"].tolist(),
                mode="lines+markers",
                name=name,
                legendgroup=name,
                showlegend=axis == "y",
                line={"color": color, "width": width},
                marker={"color": color, "size": 8},
                error_y=None if rows["se"].isna().all() else error,
                text=[_("layer {layer}, {part}").format(layer=layer, part=said) for layer in rows["layer"]],
                hovertemplate="%{text}<br>%{y:+.2f}<extra>" + name + "</extra>",
                visible="legendonly" if hidden else True,
                yaxis=axis,
            )
    upper, lower = {"domain": [0.53, 1.0], "title": _("attention")}, {"domain": [0.0, 0.47], "title": "MLP"}
    figure.update_layout(yaxis=upper, yaxis2=lower, xaxis={"anchor": "y2"})
    figure.update_yaxes(gridcolor=GRID, zeroline=True, zerolinecolor=INK, automargin=True)
    _layers(figure, frame.loc[frame["layer"] >= 0, "layer"].tolist())
    return _with_legend(plain(figure, 520), len(series))


def attention(frame: pd.DataFrame, shown: str) -> go.Figure:
    """Return how much each head looks at the subject, in a view or as a difference of two."""
    grids = {
        view: own.pivot(index="layer", columns="head", values="weight").to_numpy()
        for view, own in frame.groupby("view", sort=False)
    }
    first, second = DIFFERENCES.get(shown, (shown, None))
    values = grids[first] if second is None else grids[first] - grids[second]
    place = _("layer {layer}, head {head}")
    texts = [[place.format(layer=layer, head=head) for head in range(values.shape[1])] for layer in range(values.shape[0])]
    figure = _heat(values, texts, second is not None, ".2f", 1.0)
    figure.update_xaxes(title=_("head"), dtick=1 if values.shape[1] <= MOST_TICKS else 4)
    figure.update_yaxes(title=_("layer"), dtick=1 if values.shape[0] <= MOST_TICKS else 4, automargin=True)
    return plain(figure, max(LEAST, ROW * values.shape[0] + 130))


def mask_structure(frame: pd.DataFrame) -> go.Figure:
    """Return the shares that are pruned of each dimension, sorted, beside those of a random mask of that size."""
    figure = go.Figure()
    colors = {"output": NEW, "key": OLD}
    several = frame["layer"].nunique() > 1
    for (layer, axis), own in frame.groupby(["layer", "axis"], sort=False):
        name = _("output dimensions") if axis == "output" else _("key dimensions")
        if several:
            name = _("{dimensions}, layer {layer}").format(dimensions=name, layer=layer)
        ranks = (np.arange(len(own)) + 0.5) / len(own)
        p = own["pruned"].mean()
        sd = (p * (1 - p) / own["entries"].iloc[0]) ** 0.5
        points = np.unique(np.linspace(0, len(own) - 1, MOST_POINTS).astype(int))
        own, ranks = own.iloc[points], ranks[points]
        texts = [_("dimension {n}").format(n=n) for n in own["dimension"]]
        chance = [min(1.0, max(0.0, p + sd * NormalDist().inv_cdf(1 - rank))) for rank in ranks]
        figure.add_scatter(
            x=(100 * ranks).tolist(), y=own["pruned"].tolist(), text=texts, mode="lines+markers", name=name,
            line={"color": colors[axis], "width": 2}, marker={"size": 5},
            hovertemplate="%{text}<br>" + _("{share} pruned").format(share="%{y:.3f}") + "<extra></extra>",
        )  # fmt: skip
        figure.add_scatter(
            x=(100 * ranks).tolist(), y=chance, mode="lines", hoverinfo="skip",
            name=_("{dimensions}, by chance").format(dimensions=name),
            line={"color": colors[axis], "width": 2, "dash": "dot"},
        )  # fmt: skip
    figure.update_xaxes(title=_("dimensions, the most pruned first (%)"), gridcolor=GRID, zerolinecolor=GRID)
    figure.update_yaxes(title=_("share pruned"), rangemode="tozero", gridcolor=GRID, zerolinecolor=GRID, automargin=True)
    return _with_legend(plain(figure, 380), len(figure.data))


def loudness(frame: pd.DataFrame) -> go.Figure:
    """Return how likely the objects are in each case: a row a column of `frame`, under its name; `case` says which it is."""
    rows = [column for column in frame.columns if column != "case"]
    sorts = [
        Points(row, frame[row].tolist(), [row] * len(frame), [escaped(text) for text in frame["case"]], color)
        for row, color in zip(rows, (OLD, NEW, NOTE, NOTE, BAD), strict=False)
    ]
    return strips(rows, sorts, _("probability of the whole object")).update_layout(showlegend=False)


def _series(frame: pd.DataFrame, which: str, form: str) -> list[tuple[str, str, float, bool, pd.DataFrame]]:
    """Return (name, colour, width, whether hidden at first, rows with `value` and `se`), one a view or a difference."""
    prefix = "raw_" if form == "raw" else ""
    wide = frame[frame["part"].isin(["attention", "mlp"])].copy()
    wide["value"] = wide[f"{prefix}new"] - wide[f"{prefix}true"] if which == "lead" else wide[f"{prefix}{which}"]
    wide["se"] = wide.get(f"{which}_se", np.nan)
    views = {view: own.set_index(["part", "layer"]) for view, own in wide.groupby("view", sort=False)}
    if form != "differences":
        return [
            (view_name(v), VIEWS.get(v, (v, NOTE))[1], _width(v), v == HIDDEN, own.reset_index()) for v, own in views.items()
        ]
    found = []
    for name, (first, second) in DIFFERENCES.items():
        if first in views and second in views:
            value = views[first]["value"] - views[second]["value"]
            own = value.reset_index().assign(se=np.nan)
            found.append((view_name(name), VIEWS[first][1], _width(first), False, own))
    return found


def _grid(own: pd.DataFrame, which: str) -> np.ndarray:
    """Return the cells `[layers, tokens]` of a view, the first token left."""
    values = own["p_new"] - own["p_true"] if which == "lead" else own[f"p_{which}"]
    return own.assign(value=values).pivot(index="layer", columns="back", values="value").to_numpy()[:, ::-1]


def _heat(values: np.ndarray, texts: Sequence[Sequence[str]], signed: bool, form: str, most: float) -> go.Figure:
    sign = "+" if signed else ""
    heat = go.Heatmap(
        z=values.tolist(),
        text=texts,
        hovertemplate=f"%{{text}}<br>%{{z:{sign}{form}}}<extra></extra>",
        colorscale=DIVERGE if signed else FADE,
        zmin=-most if signed else 0.0,
        zmax=most,
        xgap=2,
        ygap=2,
        colorbar={"thickness": 12, "outlinewidth": 0, "tickfont": {"size": FONT_SIZE}, "x": 1.0, "xpad": 6},
    )
    figure = go.Figure(heat)
    figure.update_xaxes(showgrid=False, zeroline=False)
    return figure.update_yaxes(showgrid=False, zeroline=False)


def _width(view: str) -> float:
    """Return a line's width; the edited model's shows on both sides of one that covers it."""
    return 4.5 if view == ViewName.EDITED else 2.0


def _layers(figure: go.Figure, layers: Sequence[int]) -> None:
    """Draw the axis of layers, "in" before the first block."""
    found = sorted({int(layer) for layer in layers})
    shown = [n for n in found if n < 0 or n % max(1, len(found) // 12) == 0]
    names = ["in" if n < 0 else str(n) for n in shown]
    figure.update_xaxes(title=_("layer"), tickvals=shown, ticktext=names, gridcolor=GRID, zeroline=False)


def _after(layer: int) -> str:
    return _("before layer 0") if layer < 0 else _("after layer {layer}").format(layer=layer)


def _with_legend(figure: go.Figure, entries: int) -> go.Figure:
    """Make room for the legend above: on a telephone two entries stand in a row."""
    room = 30 + 22 * ((entries + 1) // 2)
    return figure.update_layout(height=figure.layout.height + room - 44, margin={"t": room})
