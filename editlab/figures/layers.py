"""The figures of layers: where a fact is recalled (causal tracing), and what an edit does at each of them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from editlab.figures.charts import BAD, FONT_SIZE, GOOD, GRID, NEW, NOTE, OLD, escaped, plain
from editlab.figures.inside import DIVERGE
from editlab.figures.language import gettext as _
from editlab.wording import noop

KINDS = {"hidden": noop("hidden state"), "mlp": "MLP", "attention": noop("attention")}
RATES = {
    "score": (noop("score"), NEW, "solid"),
    "p_new": (noop("probability of the new object"), GOOD, "solid"),
    "paraphrase": (noop("paraphrases that hold"), NOTE, "dash"),
    "locality": (noop("other subjects that stay"), OLD, "dash"),
    "same_subject": (noop("other facts that stay"), BAD, "dot"),
}
"""What is drawn of an edit at a layer: its name, its colour and the dash of its line."""
TOKEN, LEAST_EFFECT = 22, 0.05
"""Pixels of a token in a heat map, and the least effect that has the full colour."""


def tracing(frame: pd.DataFrame, edited: Sequence[int]) -> go.Figure:
    """Return the indirect effect of each state: a heat map a kind, layers from left to right and tokens from top to bottom.

    `edited`: the layers of the edit, which are marked.
    """
    figure, backs = go.Figure(), sorted(frame["back"].unique())
    tokens = frame.drop_duplicates("back").set_index("back")["token"]
    most, places = max(LEAST_EFFECT, float(frame["effect"].abs().max())), list(range(len(backs)))
    text = _("layer {layer}, “{token}”")
    for number, (kind, title) in enumerate(KINDS.items()):
        grid = frame[frame["kind"] == kind].pivot(index="back", columns="layer", values="effect").loc[backs]
        axis = "y" if number == 0 else f"y{number + 1}"
        figure.add_heatmap(
            z=grid.to_numpy().tolist(),
            x=grid.columns.tolist(),
            y=places,
            text=[[text.format(layer=layer, token=escaped(tokens[back])) for layer in grid.columns] for back in backs],
            hovertemplate="%{text}<br>%{z:+.3f}<extra>" + _(title) + "</extra>",
            colorscale=DIVERGE,
            zmin=-most,
            zmax=most,
            xgap=2,
            ygap=2,
            yaxis=axis,
            showscale=number == 0,
            colorbar={"thickness": 12, "outlinewidth": 0, "tickfont": {"size": FONT_SIZE}, "x": 1.0, "xpad": 6},
        )
        low, height = 1 - (number + 1) / len(KINDS), 1 / len(KINDS)
        figure.update_layout(
            {
                f"yaxis{axis[1:]}": {
                    "domain": [low + 0.02, low + height - 0.06],
                    "tickvals": places,
                    "ticktext": [escaped(tokens[back]) for back in backs],
                    "showgrid": False,
                    "zeroline": False,
                    "automargin": True,
                }
            }
        )
        figure.add_annotation(
            x=1, xref="paper", xanchor="right", y=low + height - 0.06, yref="paper", yanchor="bottom", showarrow=False,
            text=f"<b>{_(title)}</b>",
        )  # fmt: skip
    _mark(figure, edited, sorted(frame["layer"].unique()), _("edited"))
    _layers(figure, frame["layer"].tolist())
    figure.update_xaxes(showgrid=False, anchor=f"y{len(KINDS)}")
    return plain(figure, len(KINDS) * (TOKEN * len(backs) + 50) + 100)


def sweep(frame: pd.DataFrame, edited: Sequence[int], best: int | None) -> go.Figure:
    """Return what an edit does at each layer: its rates above, the size of its change below. `best` has a star."""
    figure, frame = go.Figure(), frame.sort_values("layer")
    layers = frame["layer"].tolist()
    for column, (name, color, dash) in RATES.items():
        if column not in frame or frame[column].isna().all():
            continue
        figure.add_scatter(
            x=layers,
            y=frame[column].tolist(),
            mode="lines+markers",
            name=_(name),
            line={"color": color, "dash": dash, "width": 3.5 if column == "score" else 2},
            marker={"color": color, "size": 8},
            hovertemplate="%{x}: %{y:.2f}<extra>" + _(name) + "</extra>",
        )
    if best is not None:
        figure.add_scatter(
            x=[best],
            y=[float(frame.loc[frame["layer"] == best, "score"].iloc[0])],
            mode="markers",
            name=_("best layer"),
            marker={"symbol": "star", "size": 18, "color": NEW, "line": {"width": 1, "color": "white"}},
            hoverinfo="skip",
        )
    figure.add_scatter(
        x=layers,
        y=frame["norm"].tolist(),
        mode="lines+markers",
        name="|ΔW| / |W|",
        line={"color": OLD, "width": 2},
        marker={"color": OLD, "size": 8},
        hovertemplate="%{x}: %{y:.3g}<extra>|ΔW| / |W|</extra>",
        yaxis="y2",
        showlegend=False,
    )
    _mark(figure, edited, layers, _("edited"))
    _layers(figure, layers)
    figure.update_layout(
        yaxis={"domain": [0.38, 1.0], "range": [-0.02, 1.06], "title": _("share")},
        yaxis2={"domain": [0.0, 0.28], "type": "log", "dtick": 1, "title": "|ΔW| / |W|"},
        xaxis={"anchor": "y2"},
    )
    figure.update_yaxes(gridcolor=GRID, zerolinecolor=GRID, automargin=True)
    room = 30 + 22 * ((len(figure.data) + 1) // 2)
    return plain(figure, 420 + room).update_layout(margin={"t": room})


def _mark(figure: go.Figure, layers: Sequence[int], shown: Sequence[int], text: str) -> None:
    """Mark the layers of the edit by a frame, of all that are `shown`; the first one says what it is."""
    for layer in layers:
        figure.add_shape(
            type="rect",
            xref="x",
            yref="paper",
            x0=layer - 0.5,
            x1=layer + 0.5,
            y0=0,
            y1=1,
            fillcolor="rgba(0,0,0,0)",
            line={"width": 2, "color": NOTE},
        )
    if layers:  # towards the middle of the figure: within a frame on a telephone it would be cut
        left = layers[0] < len(shown) / 2
        place = {"x": layers[0] - 0.5 if left else layers[0] + 0.5, "xanchor": "left" if left else "right"}
        figure.add_annotation(**place, y=0, yref="paper", yanchor="bottom", text=text, showarrow=False)


def _layers(figure: go.Figure, layers: Sequence[int]) -> None:
    shown = sorted({int(layer) for layer in layers})
    ticks = [layer for layer in shown if layer % max(1, len(shown) // 12) == 0]
    figure.update_xaxes(title=_("layer"), tickvals=ticks, range=[min(shown) - 0.6, max(shown) + 0.6])
    figure.update_xaxes(gridcolor=GRID, zeroline=False)
