"""The figures of the Monitor tab from tables: every number is where it belongs, also one that is none."""

import json
import math

import pandas as pd
import pytest

from editlab.figures import monitor as figures

INF, NAN = math.inf, math.nan
FRAME = pd.DataFrame(
    {
        "edits": [1, 2, 3, 2],
        "label": ["first", "<second>", "third", "back"],
        "holds": [1.0, 0.5, 0.25, 0.5],
        "retention": [1.0, None, 0.2, 0.5],
        "loss": [0.01, 0.2, INF, 0.2],
        "beyond": [False, True, True, True],
    }
)
NAMES = ["a & b", "same", "same"]
PLACES = [1, 3, None]
"""In the chain; the last one is no longer in it."""
SHARES = [[1.0, 2 / 3, None, 1.0], [None, 0.0, 0.5, 0.5], [None, None, 1.0, None]]


def shares():
    return figures.curve(FRAME, {"holds": "own question", "retention": "all three"}, 0.8, True)


def loss():
    return figures.curve(FRAME, {"loss": "growth"}, 0.1, False)


@pytest.mark.parametrize("figure", [shares(), loss(), figures.retention(FRAME, NAMES, PLACES, SHARES)])
def test_a_figure_brings_its_own_look_for_light_and_dark(figure):
    layout = figure.layout
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert layout.font.size >= 14 and layout.width is None and layout.autosize and layout.height > 100
    assert "http" not in json.dumps(json.loads(figure.to_json()))


def test_a_curve_has_every_check_up_in_its_order_and_is_called_by_its_edits():
    first, _, second = shares().data
    assert list(first.x) == [1, 2, 3, 4] and list(first.y) == [1.0, 0.5, 0.25, 0.5]
    assert list(second.y) == [1.0, None, 0.2, 0.5] and second.line.dash == "dot"
    axis = shares().layout.xaxis
    assert dict(zip(axis.tickvals, axis.ticktext, strict=True)) == {1: "1", 2: "2", 3: "3", 4: "2"}


def test_the_axis_holds_the_whole_band():
    frame = pd.DataFrame({"edits": [1], "label": ["x"], "beyond": [False], "low": [0.1], "high": [0.9], "holds": [0.5]})
    figure = figures.curve(frame, {"holds": "edited"}, None, True, band=("low", "high"))
    assert figure.layout.yaxis.range[1] > 0.9


def test_a_band_lies_behind_the_curve_between_its_columns():
    frame = FRAME.assign(low=[0.9, 0.4, 0.2, 0.4], high=[1.0, 0.6, 0.4, 0.6], beyond=False)
    low, high, line = figures.curve(frame, {"holds": "edited"}, None, True, band=("low", "high")).data
    assert (list(low.y), list(high.y)) == (list(frame["low"]), list(frame["high"])) and high.fill == "tonexty"
    assert list(line.y) == list(frame["holds"]) and low.line.width == high.line.width == 0


def test_what_is_beyond_the_limit_has_a_colour_and_a_marker_of_its_own():
    line, beyond, _ = shares().data
    assert list(beyond.x) == [2, 3, 4] and list(beyond.y) == [0.5, 0.25, 0.5]
    assert beyond.marker.symbol == "x" != line.marker.symbol and beyond.marker.color != line.line.color
    healthy = FRAME.assign(beyond=False)
    assert len(figures.curve(healthy, {"holds": "own"}, 0.8, True).data) == 1


def test_the_limit_is_a_line_that_says_so():
    figure = loss()
    (line,) = figure.layout.shapes
    assert line.y0 == line.y1 == 0.1 and [note.text for note in figure.layout.annotations] == ["limit<br>0.1"]
    assert shares().layout.annotations[0].text == "limit<br>80 %"
    free = figures.curve(FRAME, {"loss": "growth"}, None, False)
    assert not free.layout.shapes and not free.layout.annotations


@pytest.mark.parametrize(("value", "share"), [(2e-5, True), (-3e-5, True), (0.0, False)])
def test_a_change_of_next_to_nothing_looks_like_nothing(value, share):
    """With an axis as long as the value, the labels would be 0 %, 0 % and 0 %, and the point at the top."""
    axis = figures.curve(FRAME.assign(energy=value), {"energy": "energy"}, None, share).layout.yaxis
    assert axis.range[1] >= 0.01 and abs(value) < 0.01 * axis.range[1]
    assert axis.tickformat == ("~%" if share else ".3~g"), "0.5 % is not written 0 %"


def test_what_is_no_number_stands_at_the_top_and_says_so():
    line, beyond = loss().data
    top = loss().layout.yaxis.range[1]
    assert line.y[2] == top > 0.2 and "not finite" in line.text[2] and beyond.y[1] == top
    assert json.loads(loss().to_json())["data"][0]["y"] == list(line.y)


def test_hover_says_which_change_it_was_as_it_was_written():
    assert loss().data[0].text[1] == "&lt;second&gt;<br><b>0.2</b>"


def test_many_check_ups_are_a_line_without_markers_and_with_few_words_below():
    count = 200
    frame = pd.DataFrame({"edits": range(1, count + 1), "label": "x", "loss": 0.1, "beyond": [False] * 150 + [True] * 50})
    figure = figures.curve(frame, {"loss": "growth"}, 0.2, False)
    assert figure.data[0].mode == "lines" and len(figure.data[1].x) == 50
    words = figure.layout.xaxis.ticktext
    assert words[0] == "1" and words[-1] == "200"
    assert len(words) == figures.MOST_TICKS


def test_retention_has_a_row_an_edit_and_nothing_where_it_did_not_lie():
    heat = figures.retention(FRAME, NAMES, PLACES, SHARES).data[0]
    assert [list(row) for row in heat.z] == [[1.0, 0.667, None, 1.0], [None, 0.0, 0.5, 0.5], [None, None, 1.0, None]]
    assert list(heat.y) == ["1. a &amp; b", "3. same", "no longer in the list (3): same"]
    assert list(figures.retention(FRAME, NAMES, PLACES, SHARES).layout.yaxis.ticktext) == ["1", "3", "–"]
    assert heat.x[1] == "check-up 2: &lt;second&gt;" and len(set(heat.x)) == 4
    assert (heat.zmin, heat.zmax, heat.hoverongaps) == (0.0, 1.0, False)


def test_two_hundred_edits_are_as_high_as_two():
    count = 200
    frame = pd.DataFrame({"edits": range(1, count + 1), "label": [str(n) for n in range(count)]})
    many = figures.retention(frame, [str(n) for n in range(count)], range(1, count + 1), [[1.0] * count] * count)
    few = figures.retention(FRAME, NAMES, PLACES, SHARES)
    assert many.layout.height == few.layout.height
    assert list(many.layout.yaxis.ticktext) == [str(n) for n in range(1, count + 1, 20)]
