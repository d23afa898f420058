"""The figures of the Inside tab from tables: every number is where it belongs, also of a view nobody knows."""

import json

import pandas as pd
import pytest
import torch

from editlab.figures import inside as figures
from editlab.insight import mask_structure
from editlab.patches import Mask

VIEWS = {"base": (0.1, 0.8), "edited": (0.9, 0.05), "masked": (0.3, 0.6), "base_masked": (0.1, 0.7), "other": (0.2, 0.2)}
OBJECTS = {"new": "Ant & Co", "true": "Europe"}
LENS = pd.DataFrame(
    [
        {"view": view, "layer": layer, "back": back, "token": token, "top": f"<{view}>"}
        | {"p_new": new * scale, "p_true": true * scale}
        for view, (new, true) in VIEWS.items()
        for layer, scale in ((-1, 0.0), (0, 0.5), (1, 1.0))
        for back, token in ((2, "␣first"), (1, "␣<last>"))
    ]
)
PARTS = pd.DataFrame(
    [
        {"view": view, "part": part, "layer": layer, "new": new, "true": true, "raw_new": 100 * new, "raw_true": 100 * true}
        for view, (new, true) in VIEWS.items()
        for part, layer in (("token embedding", -1), ("attention", 0), ("mlp", 0), ("attention", 1), ("mlp", 1))
    ]
)
HEADS = pd.DataFrame(
    [(view, layer, head, p * (layer + head)) for view, (p, _) in VIEWS.items() for layer in (0, 1) for head in (0, 1, 2)],
    columns=["view", "layer", "head", "weight"],
)
KEPT = torch.rand(8, 1000, generator=torch.Generator().manual_seed(0)) > 0.1
ALL = {
    "lens": figures.lens_lines(LENS, 1, OBJECTS),
    "tokens": figures.lens_heat(LENS, "edited-base", "new"),
    "contributions": figures.contributions(PARTS),
    "attention": figures.attention(HEADS, "edited"),
    "mask": figures.mask_structure(mask_structure([Mask(0, KEPT), Mask(2, KEPT)])),
    "loudness": figures.loudness(pd.DataFrame({"case": ["a & b"], "before": [0.5], "after": [0.9]})),
}


def lines_of(figure):
    return {(trace.name, trace.yaxis): list(trace.y) for trace in figure.data}


@pytest.mark.parametrize("figure", ALL.values(), ids=ALL)
def test_a_figure_brings_its_own_look_for_light_and_dark(figure):
    layout = figure.layout
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert layout.font.size >= 14 and layout.width is None and layout.autosize and layout.height > 100
    assert "http" not in json.dumps(json.loads(figure.to_json()))


def test_the_lens_has_a_line_a_view_and_object_at_one_token():
    lines = {trace.name: trace for trace in ALL["lens"].data}
    assert list(lines["edited: Ant &amp; Co"].y) == pytest.approx([0.0, 0.45, 0.9])
    assert list(lines["base model: Europe"].y) == pytest.approx([0.0, 0.4, 0.8])
    assert len(lines) == 10 and "other: Europe" in lines
    assert lines["edited: Europe"].line.dash != lines["edited: Ant &amp; Co"].line.dash, "objects differ by more than colour"
    assert lines["mask alone: Europe"].visible == "legendonly"
    assert "&lt;edited&gt;" in lines["edited: Europe"].text[0] and lines["edited: Europe"].text[0].startswith(
        "before layer 0"
    )
    assert list(ALL["lens"].layout.xaxis.ticktext) == ["in", "0", "1"]


def test_the_heat_map_has_layers_upwards_and_tokens_in_reading_order():
    (heat,) = ALL["tokens"].data
    assert [number for row in heat.z for number in row] == pytest.approx([0.0, 0.0, 0.4, 0.4, 0.8, 0.8])
    assert heat.zmin == -1 and heat.zmax == 1
    assert set(ALL["tokens"].layout.xaxis.ticktext) == {"␣first", "␣&lt;last&gt;"}
    places = dict(zip(ALL["tokens"].layout.xaxis.ticktext, ALL["tokens"].layout.xaxis.tickvals, strict=True))
    assert places == {"␣first": 0, "␣&lt;last&gt;": 1}
    (alone,) = figures.lens_heat(LENS, "masked", "true").data
    assert alone.z[2][1] == pytest.approx(0.6) and alone.zmin == 0
    (lead,) = figures.lens_heat(LENS, "masked-edited", "lead").data
    assert lead.z[2][0] == pytest.approx((0.3 - 0.6) - (0.9 - 0.05)) and "likeliest: &lt;masked&gt;" in lead.text[0][0]


def test_a_heat_map_of_many_tokens_names_some_of_them_and_the_last_one_always():
    rows = [
        {"view": "base", "layer": 0, "back": n, "token": f"t{n}", "top": "x", "p_new": 0.1, "p_true": 0}
        for n in range(1, 65)
    ]
    axis = figures.lens_heat(pd.DataFrame(rows), "base", "new").layout.xaxis
    assert len(axis.tickvals) <= 24 and axis.ticktext[0] == "t1" and axis.tickvals[0] == 63


def test_contributions_have_a_panel_for_attention_and_one_for_mlps():
    lines = lines_of(ALL["contributions"])
    assert lines["edited", "y"] == lines["edited", "y2"] == [0.9, 0.9]
    assert lines_of(figures.contributions(PARTS, "lead"))["edited + mask", "y"] == pytest.approx([-0.3, -0.3])
    assert lines_of(figures.contributions(PARTS, "true", "raw"))["base model", "y2"] == [80, 80]
    differences = lines_of(figures.contributions(PARTS, "new", "differences"))
    assert {name for name, _ in differences} == {"edited − base model", "edited + mask − edited"}
    assert differences["edited + mask − edited", "y"] == pytest.approx([-0.6, -0.6])


def test_means_have_their_standard_errors():
    figure = figures.contributions(PARTS.assign(new_se=0.2, true_se=0.3), "true")
    assert list(figure.data[0].error_y.array) == [0.3, 0.3]
    assert ALL["contributions"].data[0].error_y.array is None


def test_attention_is_a_grid_of_layers_and_heads():
    (heat,) = ALL["attention"].data
    assert [number for row in heat.z for number in row] == pytest.approx([0, 0.9, 1.8, 0.9, 1.8, 2.7])
    assert heat.text[1][2] == "layer 1, head 2"
    (moved,) = figures.attention(HEADS, "edited-base").data
    assert moved.z[1][0] == pytest.approx(0.8) and moved.zmin == -1


def test_the_mask_curve_falls_and_stands_beside_chance():
    figure = ALL["mask"]
    names = [trace.name for trace in figure.data]
    assert "key dimensions, layer 2" in names and "output dimensions, layer 0, by chance" in names
    for trace in figure.data:
        assert list(trace.y) == sorted(trace.y, reverse=True) and len(trace.x) <= figures.MOST_POINTS
    assert figure.data[2].y[0] == mask_structure([Mask(0, KEPT)]).query("axis == 'key'")["pruned"].max()


def test_loudness_has_a_row_a_column():
    assert [trace.name for trace in ALL["loudness"].data] == ["before", "after"]
    assert list(ALL["loudness"].data[1].x) == [0.9] and ALL["loudness"].data[0].text[0] == "a &amp; b"
