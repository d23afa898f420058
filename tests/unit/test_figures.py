"""Figures from tables: every number is there, words can be read, nothing depends on a theme or on another host."""

import json

import pandas as pd
import plotly.graph_objects as go
import pytest

from editlab import figures
from editlab.figures.charts import WIDEST, bars, strips

NAN = float("nan")


def key(kind, before, after=NAN, domain="", subject="S", x=0.0, y=0.0, **more):
    row = {"kind": kind, "domain": domain, "text": f"{subject} is", "subject": subject, "before": before, "after": after}
    return {**row, "x": x, "y": y, **more}


KEYS = pd.DataFrame(
    [key("success", 1.0, x=1.0), key("rephrase", 0.4, x=2.0), key("locality", 0.1, x=3.0), key("random", 0.0, x=NAN, y=NAN)]
)
MOVED = KEYS.assign(after=[1.0, 0.95, 0.1, 0.0])
VALUES = pd.DataFrame([key("success", 1.5, 3.5, rep=NAN), key("random", 1.0, 1.0, rep=NAN)])
PLACES = pd.DataFrame(
    [
        {"prefix": "they <b>came</b> & went", "token": "went", "similarity": 0.4, "share": 0.3, "mentions": False},
        {"prefix": " ".join(["again"] * 30), "token": "again", "similarity": 0.2, "share": 0.1, "mentions": False},
        {"prefix": "the subject itself", "token": "itself", "similarity": 0.9, "share": 0.9, "mentions": True},
    ]
)
VOICES = pd.DataFrame(
    [
        {"voice": "the edit", "kind": "edit", "loudness": 0.6, "also": 0},
        {"voice": "France lies in", "kind": "stored", "loudness": -0.2, "also": 2},
        {"voice": "5 other facts", "kind": "others", "loudness": 0.1, "also": 0},
        {"voice": "no name", "kind": "remainder", "loudness": 1.1, "also": 0},
    ]
)
BOUNDS = pd.DataFrame(
    [
        {**key("rephrase", 0), "required": 0.5, "share": 0.7, "expected": "hold", "happened": "hold", "agree": True},
        {**key("locality", 0), "required": 0.5, "share": 0.8, "expected": "move", "happened": "stay", "agree": False},
    ]
)
ALL = {
    "similarity": figures.similarity(KEYS),
    "similarity with REP": figures.similarity(MOVED),
    "components": figures.components(KEYS, (0.4, 0.2)),
    "prefixes": figures.prefixes(PLACES),
    "values": figures.values(VALUES),
    "discussion": figures.discussion(VOICES),
    "bounds": figures.bounds(BOUNDS),
}


def words_of(figure: go.Figure) -> list[str]:
    return [annotation.text for annotation in figure.layout.annotations]


def points_of(figure: go.Figure) -> dict[str, list[float]]:
    return {trace.name: list(trace.x) for trace in figure.data}


@pytest.mark.parametrize("figure", ALL.values(), ids=ALL)
def test_a_figure_brings_its_own_look_for_light_and_dark(figure):
    layout = figure.layout
    assert layout.template.to_plotly_json() in ({}, {"data": {}, "layout": {}})
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert layout.font.size >= 14 and layout.font.color
    assert layout.width is None and layout.autosize and layout.height > 100
    assert "http" not in json.dumps(json.loads(figure.to_json()))


def test_similarity_shows_a_row_a_kind_and_only_what_is_known():
    assert words_of(ALL["similarity"]) == ["the edit’s own prompt", "another name", "other subjects", "random words"]
    assert points_of(ALL["similarity"]) == {"": [1.0, 0.4, 0.1, 0.0]}
    assert points_of(ALL["similarity with REP"]) == {"without REP": [1.0, 0.4, 0.1, 0.0], "with REP": [1.0, 0.95, 0.1, 0.0]}


def test_points_stand_in_the_row_of_their_kind():
    figure = strips(["upper", "lower"], [figures.charts.Points("", [1, 2], ["lower", "upper"], ["a", "b"], "#000")], "x")
    lower, upper = figure.data[0].y
    assert abs(upper - 1) < 0.45 and abs(lower) < 0.45


def test_components_leave_out_what_has_no_place():
    assert points_of(ALL["components"]) == {
        "the subject, rephrased": [2.0],
        "other subjects": [3.0],
        "the edit’s key": [1.0],
    }
    assert "40 %" in ALL["components"].layout.xaxis.title.text and "20 %" in ALL["components"].layout.yaxis.title.text


def test_prefixes_show_unrelated_places_alone_escaped_and_cut_at_their_beginning():
    first, second = words_of(ALL["prefixes"])
    assert "&lt;b&gt;came" in first and "&amp;" in first and "0.30" in first
    assert second.endswith("again") and "…" in second and len(second) < WIDEST + 25
    assert list(ALL["prefixes"].data[0].x) == [0.3, 0.1]


def test_a_figure_of_no_place_is_empty_but_drawn():
    assert words_of(figures.prefixes(PLACES[PLACES["mentions"]])) == []


def test_values_have_a_third_sort_only_with_rep():
    assert set(points_of(ALL["values"])) == {"before", "edited"}
    assert points_of(figures.values(VALUES.assign(rep=[4.0, 1.0])))["edited + REP"] == [4.0, 1.0]


def test_voices_keep_their_sign_and_order_and_the_edit_its_colour():
    figure = ALL["discussion"]
    assert [text.split("</b>")[0] for text in words_of(figure)] == ["<b>+0.60", "<b>-0.20", "<b>+0.10", "<b>+1.10"]
    colors = figure.data[0].marker.color
    assert colors[0] != colors[1] == colors[2] != colors[3]
    assert list(figure.data[0].y) == sorted(figure.data[0].y, reverse=True)


def test_bounds_tell_right_from_wrong_by_more_than_colour_and_mark_what_is_needed():
    figure = ALL["bounds"]
    assert points_of(figure) == {"as predicted": [0.7], "otherwise": [0.8]}
    assert len({trace.marker.symbol for trace in figure.data}) == 2
    assert figure.layout.shapes[0].x0 == 0.5 and "needed: 0.50" in words_of(figure)


def test_bounds_without_a_lead_have_no_line():
    figure = figures.bounds(BOUNDS.assign(required=float("inf")))
    assert not figure.layout.shapes and not any("needed" in text for text in words_of(figure))


def test_bars_say_their_numbers():
    assert words_of(bars(["a"], [0.123], ["#000"], "x")) == ["<b>0.12</b>  a"]
