"""The papers' table as a job: kept row by row, stopped, gone on with, and shown with what each figure means."""

import json

import pytest
from visitors import TIMEOUT, FakeRequest

from editlab.errors import BadRequest, Cancelled
from editlab.lab.model import benchmarks
from editlab.web.model.bench_handlers import BenchHandlers, found, read_limit

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
    handlers, page = BenchHandlers(lab), {}
    for update in handlers.bench_run("reader", str(cases), "rome", "off", 2, FakeRequest("reader")):
        page |= update
    assert "2 edits by ROME" in page["bench-said"] and "the edited question says the new object" in page["bench-said"]
    assert page["stop"]["interactive"] is False


@pytest.mark.parametrize(
    ("path", "method", "rep", "limit", "said"),
    [
        ("", "rome", "off", 2, "no file"),
        ("cases", "<b>", "off", 2, "Choose a method"),
        ("cases", "rome", "strong", 2, "Choose a method"),
        ("cases", "rome", "off", 0, "whole number"),
        ("empty", "rome", "off", 2, "holds no case"),
    ],
)
def test_bad_input_is_a_sentence(lab, cases, tmp_path, path, method, rep, limit, said):
    (tmp_path / "empty.json").write_text("[{}]")
    where = {"": "", "cases": str(cases), "empty": str(tmp_path / "empty.json")}[path]
    updates = list(BenchHandlers(lab).bench_run("reader", where, method, rep, limit, FakeRequest("reader")))
    assert said in updates[-1]["message"]


@pytest.mark.parametrize("value", [None, True, 0, 2.5, 1001, "2"])
def test_what_is_no_number_of_cases_is_refused(value):
    with pytest.raises(BadRequest):
        read_limit(value)


def test_a_rate_that_was_not_asked_is_left_out():
    line = {"n": 1, "method": "rome", "rep": "off", "seconds_per_edit": 0.5, "skipped": 1, "success": 1.0}
    line |= {"success_items": 1, "success_ci": [1.0, 1.0]}
    shown = found(line)
    assert "1 could not be edited" in shown and "locality" not in shown
