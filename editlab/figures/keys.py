"""The figures of the Keys tab. Each takes the table of the same name that `insight` makes."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from editlab.figures.charts import BAD, GOOD, GRID, NAMELESS, NEW, NOTE, OLD, WIDEST, Points, bars, escaped, plain, strips
from editlab.figures.language import gettext as _
from editlab.figures.language import written
from editlab.wording import noop

KINDS = {
    "success": noop("the edit’s own prompt"),
    "rephrase": noop("another name"),
    "shuffle": noop("tokens in another order"),
    "long": noop("after a long text"),
    "paraphrase": noop("the fact in other words"),
    "locality": noop("other subjects"),
    "random": noop("random words"),
}
"""What each kind of key is called in a figure, in the order of the rows."""
OUTCOMES = {"hold": noop("hold"), "fail": noop("fail"), "stay": noop("stay"), "move": noop("move")}
"""What is expected at a probe, and what happened."""
VOICES = {"edit": NEW, "stored": OLD, "others": OLD, "remainder": NAMELESS}


def similarity(frame: pd.DataFrame) -> go.Figure:
    """Return the plot of each form's similarity to the edit's key, before and after its pathways."""
    title = _("similarity to the edit’s key")
    if frame["after"].notna().any():
        return strips(
            *_rows(frame, {"before": (_("without REP"), OLD, -0.14), "after": (_("with REP"), NEW, 0.14)}), title, 1.0
        )
    return strips(*_rows(frame, {"before": ("", NEW, 0.0)}), title, 1.0)


def components(frame: pd.DataFrame, variance: tuple[float, float]) -> go.Figure:
    """Return the plot of the whitened keys of the subject and its neighbours on their first two principal components."""
    figure = go.Figure()
    shown = frame[frame["x"].notna()]
    sorts = (
        (_("the subject, rephrased"), NEW, "circle"),
        (_("other subjects"), OLD, "square"),
        (_("the edit’s key"), NOTE, "star"),
    )
    for (name, color, symbol), own in zip(sorts, _sorted_out(shown), strict=True):
        figure.add_scatter(
            x=own["x"].tolist(),
            y=own["y"].tolist(),
            mode="markers",
            name=name,
            text=_hover(own),
            hovertemplate="%{text}<extra></extra>",
            marker={"color": color, "symbol": symbol, "size": 17 if symbol == "star" else 10, "opacity": 0.85},
        )
    first, second = (f"{100 * share:.0f} %" for share in variance)
    figure.update_xaxes(title=_("1st: {share} of the variance").format(share=first), gridcolor=GRID, zerolinecolor=GRID)
    figure.update_yaxes(
        title=_("2nd: {share} of the variance").format(share=second), gridcolor=GRID, zerolinecolor=GRID, automargin=True
    )
    return plain(figure, 420).update_layout(margin={"l": 60, "t": 80})


def prefixes(frame: pd.DataFrame) -> go.Figure:
    """Return the plot of the unrelated places of a text that receive most of the edit."""
    shown = frame[~frame["mentions"].astype(bool)]
    words = [_end(prefix) for prefix in shown["prefix"]]
    return bars(words, shown["share"].tolist(), [NEW] * len(shown), _("share of the edit"))


def values(frame: pd.DataFrame) -> go.Figure:
    """Return the plot of the length of the layer's value before and after the edit, and with its pathways."""
    sorts = {"before": (_("before"), OLD, -0.16), "after": (_("edited"), NEW, 0.0)}
    if frame["rep"].notna().any():
        sorts["rep"] = (_("edited + REP"), GOOD, 0.16)
    return strips(*_rows(frame, sorts), _("length of the value (random word: 1)"))


def discussion(frame: pd.DataFrame) -> go.Figure:
    """Return the voices at a question, the edit first and the remainder last."""
    colors = [VOICES[kind] for kind in frame["kind"]]
    words = [voice if len(voice) <= WIDEST else f"{voice[:WIDEST].rstrip()}…" for voice in frame["voice"]]
    return bars(words, frame["loudness"].tolist(), colors, _("share of the edit; part in the question’s key"), "+.2f")


def bounds(frame: pd.DataFrame) -> go.Figure:
    """Return each probe's share of the edit against the share it needs; green where what should happen did."""
    kinds = [kind for kind in KINDS if (frame["kind"] == kind).any()]
    sorts, said = [], _("{expected} expected, {happened} happened")
    for agree, name, color, symbol in ((True, _("as predicted"), GOOD, "circle"), (False, _("otherwise"), BAD, "x")):
        own = frame[frame["agree"] == agree]
        texts = [
            f"{text}<br>" + said.format(expected=_(OUTCOMES[expected]), happened=_(OUTCOMES[happened]))
            for text, expected, happened in zip(_hover(own), own["expected"], own["happened"], strict=True)
        ]
        sorts.append(Points(name, own["share"].tolist(), [_(KINDS[kind]) for kind in own["kind"]], texts, color, symbol))
    required = float(frame["required"].iloc[0]) if len(frame) else float("inf")
    line = required if required < float("inf") else None
    figure = strips([_(KINDS[kind]) for kind in kinds], sorts, _("share of the edit that is heard"), line)
    return figure if line is None else _noted(figure, line, _("needed: {share}").format(share=written(line, ".2f")))


def _rows(frame: pd.DataFrame, columns: dict[str, tuple[str, str, float]]) -> tuple[list[str], list[Points]]:
    kinds = [kind for kind in KINDS if (frame["kind"] == kind).any()]
    names = [_(KINDS[kind]) for kind in frame["kind"]]
    sorts = [
        Points(name, frame[column].tolist(), names, _hover(frame), color, lift=lift)
        for column, (name, color, lift) in columns.items()
    ]
    return [_(KINDS[kind]) for kind in kinds], sorts


def _sorted_out(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    neighbour, own = frame["kind"] == "locality", frame["kind"] == "success"
    return frame[~neighbour & ~own], frame[neighbour], frame[own]


def _hover(frame: pd.DataFrame) -> list[str]:
    """Return what a point stands for: the name that was said, or the end of the text."""
    shown: Sequence[str] = [
        subject if kind != "random" else f"… {text}"
        for kind, subject, text in zip(frame["kind"], frame["subject"], frame["text"], strict=True)
    ]
    return [escaped(text) for text in shown]


def _end(text: str) -> str:
    """Return the last words of a text, as many as fit above a bar."""
    return text if len(text) <= WIDEST else f"… {text[-WIDEST:].partition(' ')[2]}"


def _noted(figure: go.Figure, at: float, text: str) -> go.Figure:
    return figure.add_annotation(
        x=at, y=0, yref="paper", yanchor="bottom", xanchor="left" if at < 0.6 else "right", xshift=5 if at < 0.6 else -5,
        text=text, showarrow=False,
    )  # fmt: skip
