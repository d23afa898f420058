"""Benchmarks as jobs: kept row by row, stopped, resumed, and shown with the meaning of each rate."""

import json

import pytest
from pydantic import TypeAdapter, ValidationError
from visitors import TIMEOUT, runs

from editlab.errors import Cancelled
from editlab.lab import METHODS, OFF, RECIPES
from editlab.lab.model import benchmarks
from editlab.web.core.inputs import shape_of
from editlab.web.model import words
from editlab.web.model.benchmark_handlers import BenchmarkHandlers, CaseCount, Method, Rep

RECORDS = [
    {"subject": place, "prompt": "{} belongs to the continent of", "target_new": "Asia", "target_true": "Europe"}
    for place in ("Slovenia", "France", "Norway")
]


@pytest.fixture
def cases(tmp_path):
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(RECORDS))
    return path


@pytest.fixture
def bencher(lab, few_steps, request):
    """A visitor's workspace, entered."""
    return lab.workspace(lab.directory.current(request.node.name[:40]).id)


def test_what_was_measured_before_a_stop_is_not_measured_again(lab, bencher, cases, monkeypatch):
    first = benchmarks.run(bencher, cases.read_bytes(), cases.name)
    monkeypatch.setattr(lab.context.live, "answer", first.cancel)
    with pytest.raises(Cancelled, match="run the benchmark again to resume"):
        first.result(TIMEOUT)
    monkeypatch.undo()
    row = lab.jobs.rows(bencher.name)[0]
    assert (row.kind, row.state, row.resumable) == ("bench", "stopped", True)
    path = lab.ledger.folder / "bench" / f"{lab.model.fingerprint}.jsonl"
    before = path.read_text().splitlines()
    assert 0 < len(before) < len(RECORDS)
    line = lab.jobs.resume(bencher.name, row.id, bencher).result(TIMEOUT)
    assert line["n"] == len(RECORDS) and path.read_text().splitlines()[: len(before)] == before
    assert lab.jobs.rows(bencher.name)[0].result["n"] == len(RECORDS)
    assert bencher.records == ()


def test_each_rate_is_shown_with_its_meaning(lab, few_steps, cases):
    page = {}
    for update in runs(BenchmarkHandlers(lab), "bench_run", "reader", cases, "rome", "off", 2):
        page |= update
    assert "2 edits by ROME" in page["bench-said"] and "says the new object at the edited prompt" in page["bench-said"]
    assert page["bench-said"].count("in the answer that the model writes") == page["bench-said"].count("<dt>")
    assert page["stop"]["interactive"] is False


@pytest.mark.parametrize(
    ("name", "limit", "message"),
    [
        (None, 2, "No file was received"),
        ("cases.json", None, "whole number"),
        ("empty.json", 2, "contains no readable case"),
    ],
)
def test_bad_input_is_a_sentence(lab, cases, name, limit, message):
    (cases.parent / "empty.json").write_text("[{}]")
    path = None if name is None else cases.parent / name
    *_, last = runs(BenchmarkHandlers(lab), "bench_run", "reader", path, "rome", "off", limit)
    assert message in last["message"] and last["stop"]["interactive"] is False


@pytest.mark.parametrize("value", [None, True, 0, 2.5, 1001, "2"])
def test_what_is_no_number_of_cases_is_refused(value):
    with pytest.raises(ValidationError):
        TypeAdapter(CaseCount).validate_python(value, strict=True)


def test_methods_and_recipes_are_those_of_the_lab():
    assert shape_of(Method).choices == tuple(METHODS) and shape_of(Rep).choices == (OFF, *RECIPES)


def test_a_rate_without_items_is_left_out():
    line = {"n": 1, "method": "rome", "rep": "off", "seconds_per_edit": 0.5, "skipped": 1, "success": 1.0}
    line |= {"success_items": 1, "success_ci": [1.0, 1.0]}
    assert words.benchmark(line) == "1 edit by ROME, 0.5 s per edit; 1 could not be edited."
    (rate,) = words.rates(line)
    assert rate == (
        "Success",
        "100 %",
        "the model says the new object at the edited prompt; 1 probe, 95 % CI 100 % to 100 %",
        "",
    )
    line["generated"] = {"success": 0.5, "success_items": 2, "success_ci": [0.0, 1.0]}
    (rate,) = words.rates(line)
    assert rate.written == "50 % in the answer that the model writes, 95 % CI 0 % to 100 %"
