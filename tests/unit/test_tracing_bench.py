"""The layer sweep and `bench tracing`: rows, the best layer, agreement, speed, and what the command writes."""

import json
import math
from dataclasses import replace

import pandas as pd
import pytest
from paths import PRESETS
from typer.testing import CliRunner

from editlab.bench import layers, tracing
from editlab.bench.editing import Setup, at_each
from editlab.bench.layers import LayerRow, best
from editlab.bench.tracing import FactRow
from editlab.cli import app
from editlab.errors import BadRequest, Cancelled
from editlab.facts import EditRequest, FactBase
from editlab.figures import layers as figures
from editlab.insight.tracing import Traced, Tracing, deviation_of
from editlab.probes import Ground, passages

REQUESTS = [EditRequest("{} belongs to the continent of", name, "Antarctica", "Europe") for name in ("Slovenia", "France")]
QUICK = Setup("rome", {"steps": 2, "contexts": 2})


@pytest.fixture(scope="module")
def ground(tiny_llama, facts) -> Ground:
    return Ground(tiny_llama, facts, passages(tiny_llama, PRESETS / "texts", tokens=40))


# --- the sweep ------------------------------------------------------------------------------------------------------


def test_a_sweep_edits_each_layer_alone_and_asks_what_should_hold_and_stay(ground):
    cases = [ground.case(request) for request in REQUESTS]
    swept = list(layers.sweep(ground, cases, QUICK, (0, 2)))
    assert [[row.layer for row in rows] for rows in swept] == [[0, 0], [2, 2]]
    alone = next(layers.sweep(ground, cases[:1], QUICK, (2,)))[0]
    assert alone.p_new == pytest.approx(swept[1][0].p_new, rel=1e-3) and alone.rates == swept[1][0].rates
    assert set(alone.rates) == {"paraphrase", "locality", "same_subject"} and alone.norm > 0 and alone.whitened is False


def test_a_sweep_can_be_stopped_and_says_what_cannot_be_made(ground):
    cases, asked = [ground.case(REQUESTS[0])], []
    with pytest.raises(Cancelled):
        for rows in layers.sweep(ground, cases, QUICK, (0, 1), cancel=lambda: bool(asked)):
            asked.append(rows)
    assert len(asked) == 1
    ((row,),) = layers.sweep(ground, cases, Setup("memit", {"steps": 2, "contexts": 2}), (1,))
    assert "statistics" in row.skipped and row.score == 0


def test_a_method_without_layers_has_no_sweep(monkeypatch):
    class Prompted:
        name, config = "prompted", LayerRow

    monkeypatch.setitem(layers.at_each.__globals__["methods"].METHODS, "prompted", Prompted())
    with pytest.raises(BadRequest, match="prompted edits no layer"):
        at_each(Setup("prompted"), (0,))
    assert [own.changes["layers"] for own in at_each(QUICK, (0, 3))] == [(0,), (3,)]


def row(layer, p, rates=None, norm=1.0, success=True, skipped=None):
    return LayerRow(layer, success, p, rates or {"locality": 1.0}, norm, skipped=skipped)


def test_the_best_layer_has_the_highest_score_where_the_edit_takes_and_of_equals_the_smallest_change():
    assert row(0, 0.8, {"paraphrase": 0.5, "locality": 1.0}).score == pytest.approx(0.6)
    assert best([row(0, 0.99, success=False), row(1, 0.5)]).layer == 1
    assert best([row(0, 0.9, norm=9.0), row(1, 0.885, norm=0.1), row(2, 0.87, norm=0.01)]).layer == 1
    assert best([row(0, 0.9, success=False)]) is None and best([]) is None


def test_the_figures_mark_the_edited_layer_and_the_best_one():
    rows = pd.DataFrame([row(n, p).as_dict() for n, p in enumerate((0.2, 0.9, 0.4))]).assign(locality=[1.0, 0.5, 1.0])
    drawn = figures.sweep(rows, (2,), 1)
    lines = {trace.name: list(trace.y) for trace in drawn.data}
    assert lines["score"] == pytest.approx([0.2, 0.9, 0.4]) and lines["other subjects that stay"] == [1.0, 0.5, 1.0]
    assert [(trace.x, trace.y) for trace in drawn.data if trace.marker.symbol == "star"] == [((1,), (0.9,))]
    assert [(shape.x0, shape.x1) for shape in drawn.layout.shapes] == [(1.5, 2.5)]
    cells = [(kind, n, back, "a<b", 0.1 * n * back) for kind in figures.KINDS for n in (0, 1) for back in (1, 2)]
    heat = figures.tracing(pd.DataFrame(cells, columns=["kind", "layer", "back", "token", "effect"]), (0,))
    assert [list(map(list, trace.z)) for trace in heat.data] == [[[0.0, 0.1], [0.0, 0.2]]] * 3
    assert heat.layout.yaxis.ticktext == ("a&lt;b", "a&lt;b") and heat.layout.shapes[0].x0 == -0.5
    assert [(own.text, own.x) for own in heat.layout.annotations if own.text == "edited"] == [("edited", -0.5)]


# --- tracing --------------------------------------------------------------------------------------------------------


def test_windows_are_the_published_share_of_the_layers_or_what_is_set():
    published = Tracing(1.0).windows("mlp", 48)
    assert (published[20], published[0], published[47]) == (range(15, 25), range(0, 5), range(42, 48))
    assert Tracing(1.0).width(8) == 2 and Tracing(1.0).width(3) == 1
    assert Tracing(1.0, window=3, layers=(1,)).windows("attention", 8) == {1: range(3)}
    assert Tracing(1.0).windows("hidden", 8)[3] == range(3, 4)


@pytest.mark.parametrize("wrong", [{"samples": 0}, {"noise": 0.0}, {"noise": math.nan}, {"window": 0}])
def test_settings_that_trace_nothing_are_refused(wrong):
    with pytest.raises(BadRequest, match="at least one"):
        Tracing(1.0, **wrong)


def test_the_subjects_tokens_are_found_and_their_embeddings_measured(tiny_llama):
    fact = Traced.of(tiny_llama, EditRequest("The river runs to {} and then", "New Slovenia", "people", "with"))
    said = tiny_llama.tok.decode(fact.ids[fact.first : fact.last + 1])
    assert said.strip() == "New Slovenia"
    with pytest.raises(BadRequest, match="Give the original answer"):
        Traced.of(tiny_llama, EditRequest("{} lies in", "Slovenia", "people"))
    drawn = Tracing(deviation_of(tiny_llama, ["Slovenia", "France"]), samples=400).noises(2, 32)
    assert drawn.std().item() == pytest.approx(3 * 0.2, rel=0.15), "three times the deviation of the weights as drawn"


# --- the benchmark --------------------------------------------------------------------------------------------------


def test_a_fact_is_traced_edited_at_each_layer_and_timed_against_the_plain_forms(ground):
    how = Tracing(0.2, samples=2, layers=(0, 2))
    rows = list(tracing.measure(ground, REQUESTS, how, QUICK, plain=1))
    assert [len(r.scores) for r in rows] == [2, 2] and all(len(own) == 2 for own in rows[0].effects.values())
    assert rows[0].plain_seconds > 0 and rows[0].difference < 1e-5 and rows[1].plain_seconds is None
    assert [r.key for r in rows] == tracing.keys(ground, REQUESTS, how, QUICK)
    left = list(tracing.measure(ground, REQUESTS, how, QUICK, {rows[0].key}))
    assert [r.subject for r in left] == ["France"] and left[0].scores == pytest.approx(rows[1].scores, rel=1e-3)
    assert FactRow.from_json(rows[0].as_json()) == rows[0]


@pytest.mark.parametrize("other", ["method", "facts", "precision"])
def test_a_row_has_a_key_of_all_that_shapes_it(ground, other, monkeypatch):
    how, setup, own = Tracing(0.2, layers=(0, 2)), Setup("memit"), ground
    before = tracing.keys(own, REQUESTS, how, setup)
    if other == "method":
        setup = Setup("pmet")
        assert setup.config(ground.model) == Setup("memit").config(ground.model), "of the same settings"
    elif other == "facts":
        own = replace(ground, facts=FactBase((), ground.facts.relations, {}))
    else:
        monkeypatch.setattr("torch.get_float32_matmul_precision", lambda: "medium")
    assert not set(before) & set(tracing.keys(own, REQUESTS, how, setup))


def fact(n, effects, scores, best):
    known = {"hidden": effects, "mlp": effects, "attention": [-e for e in effects]}
    return FactRow(
        f"{n}", "a", "{}", 0.9, 0.1, [0, 1, 2], known, scores, [s > 0.5 for s in scores], [1.0, None, 2.0], best, 1.0
    )


def test_agreement_is_told_over_layers_over_facts_and_by_the_layer_that_is_chosen():
    rows = [fact(n, [0.1 * n, 0.2, 0.3 + 0.1 * n], [0.1 * n, 0.4, 0.6 + 0.1 * n], 2) for n in range(4)]
    found = tracing.summary(rows)
    assert found["mlp"]["rho"] == pytest.approx(0.9, abs=0.1) and found["attention"]["rho"] == -found["mlp"]["rho"]
    assert found["mlp"]["across"] == pytest.approx(1.0) and found["attention"]["across"] == pytest.approx(-1.0)
    assert found["mlp"]["agreement"] == 1.0 and found["attention"]["agreement"] == 0.0
    assert found["chance"] == pytest.approx(1 / 3) and found["fixed"]["score"]["layer"] == 2 and found["edited"] == 4
    assert found["mlp"]["score"] == found["sweep"]["score"] == pytest.approx(0.75)
    assert [line["norm"] for line in found["by_layer"]] == [1.0, None, 2.0] and found["speed"]["timed"] == 0
    json.dumps(found, allow_nan=False)


def test_one_layer_for_all_is_the_best_one_by_each_measure():
    """Layer 0 is most often the best one, layer 1 is the best on average."""
    scores = ([0.9, 0.8, 0.0], [0.9, 0.8, 0.0], [0.0, 0.9, 0.0])
    rows = [fact(n, [0.1, 0.2, 0.3], own, int(own[0] == 0)) for n, own in enumerate(scores)]
    fixed = tracing.summary(rows)["fixed"]
    assert (fixed["agreement"]["layer"], fixed["agreement"]["agreement"]) == (0, pytest.approx(2 / 3))
    assert (fixed["score"]["layer"], fixed["score"]["score"]) == (1, pytest.approx(2.5 / 3))


def test_the_best_layers_score_is_over_the_same_facts_as_what_it_is_compared_with():
    """The second fact's edit takes nowhere; tracing's layer and one layer for all have its score too."""
    rows = [fact(0, [0.1, 0.2, 0.3], [0.2, 0.4, 0.8], 2), fact(1, [0.1, 0.2, 0.3], [0.0, 0.2, 0.4], None)]
    found = tracing.summary(rows)
    assert (found["n"], found["edited"]) == (2, 1)
    assert found["sweep"]["score"] == found["mlp"]["score"] == found["fixed"]["score"]["score"] == pytest.approx(0.6)


def test_what_cannot_be_told_is_none_and_not_a_number():
    found = tracing.summary([fact(0, [0.1, 0.2, 0.3], [0.0, 0.0, 0.0], None)])
    assert found["fixed"]["agreement"] == {"layer": None, "agreement": None, "agreement_ci": None}
    assert found["mlp"]["rho"] is found["mlp"]["across"] is found["mlp"]["agreement"] is None
    assert found["sweep"]["score"] == found["fixed"]["score"]["score"] == 0.0
    json.dumps(found, allow_nan=False)


def test_the_command_writes_a_page_and_resumes(saved_model, tmp_path, monkeypatch):
    monkeypatch.setenv("EDITLAB_MODEL", str(saved_model))
    monkeypatch.setenv("EDITLAB_DATA", str(tmp_path / "data"))
    known = [replace(REQUESTS[0], subject=name) for name in ("Slovenia", "France")]
    monkeypatch.setattr("editlab.cli.bench.tracing.known_facts", lambda ground, most: type("Known", (), {"requests": known}))
    args = ["bench", "tracing", "--layers", "1,2", "--set", "steps=2", "--set", "contexts=2", "--samples", "2"]
    args += ["--plain", "1", "--out", str(tmp_path), "--json"]
    found = CliRunner().invoke(app, args)
    assert found.exit_code == 0, found.output
    told, page = json.loads(found.stdout), (tmp_path / "tracing.md").read_text()
    assert told["n"] == 2 and told["layers"] == [1, 2] and told["speed"]["plain_ratio"] > 0
    assert "| mlp |" in page and "editlab" in page and len((tmp_path / "tracing.jsonl").read_text().splitlines()) == 2
    again = CliRunner().invoke(app, args)
    assert json.loads(again.stdout) == told and len((tmp_path / "tracing.jsonl").read_text().splitlines()) == 2
