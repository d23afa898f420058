"""How the service itself does: figures for the page and for Prometheus, readiness, and a log that gives nobody away."""

import io
import json
import logging
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient
from visitors import TIMEOUT, Visitor, wait_until

from editlab.errors import BadRequest, Cancelled
from editlab.lab import Lab, logs
from editlab.lab.service import KEPT
from editlab.probes import Passages
from editlab.settings import Settings
from editlab.web import create_app

MARKER = "Zanzibar"


@pytest.fixture
def lab(tiny_llama, facts, tmp_path):
    lab = Lab(tiny_llama, facts, Passages((), ()), answer_tokens=4, data=tmp_path / "data")
    yield lab
    lab.close()


@pytest.fixture
def ask(lab):
    return TestClient(create_app(lab), base_url="http://127.0.0.1").get


def metrics(lab):
    """{(name, *labels): value}"""
    families = text_string_to_metric_families(lab.service.metrics().decode())
    return {(own.name, *own.labels.values()): own.value for family in families for own in family.samples}


def failing(progress, cancel):
    raise BadRequest("That cannot be.")


def stopping(progress, cancel):
    raise Cancelled("Stopped.")


# Figures


def test_jobs_are_counted_by_kind_and_by_how_they_ended(lab):
    for work in (lambda progress, cancel: 1, failing, failing, stopping):
        lab.worker.submit(work, "edit").wait(TIMEOUT)
    lab.worker.submit(lambda progress, cancel: 1, "look").wait(TIMEOUT)
    found = metrics(lab)
    assert {key[2]: value for key, value in found.items() if key[:2] == ("editlab_jobs_total", "edit")} == {
        "done": 1.0,
        "failed": 2.0,
        "stopped": 1.0,
    }
    assert found["editlab_errors_total", "BadRequest"] == 2
    assert found["editlab_job_run_seconds_count", "edit"] == 4 and found["editlab_job_wait_seconds_count", "look"] == 1
    table = lab.service.table().set_index("kind")
    assert table["count"].to_dict() == {"edit": 4, "look": 1} and table["errors"].to_dict() == {"edit": 2, "look": 0}


def test_the_line_is_seen_while_it_stands(lab):
    running = lab.worker.submit(lambda progress, cancel: wait_until(cancel), "edit")
    waiting = [lab.worker.submit(lambda progress, cancel: 1) for _ in range(3)]
    wait_until(lambda: running.state == "running")
    found, now = metrics(lab), lab.service.now()
    running.cancel()
    assert (found["editlab_jobs_running",], found["editlab_jobs_waiting",]) == (1, 3) == (now["running"], now["waiting"])
    assert all(job.wait(TIMEOUT) for job in waiting)


def ended(kind, wait, run, error=None):
    state = "done" if error is None else "failed"
    return SimpleNamespace(
        kind=kind, state=state, submitted=5.0, began=5.0 + wait, ended=5.0 + wait + run, error=error, about={}
    )


def test_percentiles_are_those_of_the_latest_thousand(lab):
    for _ in range(500):
        lab.service._watch(ended("edit", 1000.0, 1000.0))
    for number in range(KEPT + 1):
        lab.service._watch(ended("edit", 0.0, number / 10))
    row = lab.service.table().iloc[0]
    assert (row["kind"], row["count"], row["errors"]) == ("edit", 1_501, 0)
    assert (row["wait_p50"], row["wait_p95"]) == (0, 0)
    assert row["run_p50"] == pytest.approx(50.05) and row["run_p95"] == pytest.approx(95.005)


def test_nothing_done_is_an_empty_table(lab):
    assert lab.service.table().empty and list(lab.service.table()) == [
        "kind",
        "count",
        "wait_p50",
        "wait_p95",
        "run_p50",
        "run_p95",
        "errors",
    ]


def test_memory_workspaces_and_events_are_told(lab, few_steps):
    before = metrics(lab)
    assert (before["editlab_workspaces",], before["editlab_events",]) == (0, 0)
    Visitor(lab, "ana").applies()
    found, now = metrics(lab), lab.service.now()
    assert found["editlab_workspaces",] == now["workspaces"] >= 1
    assert found["editlab_events",] == now["events"] == len(lab.ledger.rows()[0]) > 0
    assert found["editlab_process_memory_bytes",] > 1e8 and now["process_bytes"] > 1e8
    assert now["gpu_bytes"] is None and now["faults"] == []


def test_the_plan_of_the_model_is_told_where_there_is_one(lab, tiny_llama, tmp_path):
    assert lab.service.planned() is None  # this one was never a file
    tiny_llama.hf.save_pretrained(tmp_path / "model")
    tiny_llama.tokenizer.save_pretrained(tmp_path / "model")
    lab.shelf.choice = type(lab.shelf.choice)(str(tmp_path / "model"))
    assert lab.service.planned() == lab.shelf.plan(lab.shelf.choice).total == metrics(lab)["editlab_planned_memory_bytes",]


# Readiness


def test_ready_as_long_as_all_is_well(ask):
    assert (ask("/ready").status_code, ask("/ready").json()) == (200, {"status": "ready", "faults": []})
    assert ask("/metrics").headers["content-type"].startswith("text/plain")


def test_not_ready_without_the_model(lab, ask, monkeypatch):
    monkeypatch.setattr(lab.shelf, "_model", None)
    assert (ask("/ready").status_code, ask("/ready").json()["faults"]) == (503, ["The model is not in memory."])
    assert ask("/health").status_code == 200


def test_not_ready_where_nothing_can_be_written(lab, ask, tmp_path, monkeypatch):
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    answer = ask("/ready")
    monkeypatch.setattr("editlab.lab.service.CHECK_SECONDS", 0.0)
    (tmp_path / "elsewhere").rename(tmp_path / "data")
    assert (answer.status_code, answer.json()["faults"]) == (503, ["The ledger cannot be written."])
    assert ask("/ready").status_code == 200


def test_not_ready_once_the_worker_has_ended(lab, ask):
    lab.worker.close()
    assert ask("/ready").json() == {"status": "not ready", "faults": ["The model's worker has ended."]}


def test_a_demo_shows_its_figures_to_nobody(tiny_llama, facts):
    lab = Lab(tiny_llama, facts, Passages((), ()), settings=Settings(model=tiny_llama.name, demo=True))
    try:
        ask = TestClient(create_app(lab), base_url="http://127.0.0.1").get
        assert (ask("/metrics").status_code, ask("/ready").status_code) == (404, 200)
    finally:
        lab.close()


# The log


@pytest.fixture
def written(request):
    """Everything that is logged, down to the last detail, as the settings in the test's parameter have it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.formatter(Settings(**request.param)))
    logger = logging.getLogger("editlab")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield stream
    logger.removeHandler(handler)
    logger.setLevel(before)


def work_of(lab, monkeypatch):
    """A visitor edits, asks, mistypes, and meets a bug whose error quotes what was typed."""
    visitor = Visitor(lab, "the-visitors-id")
    visitor.applies(subject=MARKER, prompt="{} belongs to the continent of")
    visitor.does("ask", f"{MARKER} is")
    visitor.applies(subject=MARKER, prompt="no place for it")

    def broken(*_args):
        raise ValueError(f"what about {MARKER}?")

    monkeypatch.setattr("editlab.web.forms.read_request", broken)
    assert "an error of its own" in visitor.applies(subject=MARKER)["message"]


@pytest.mark.parametrize("written", [{"log_json": True}, {}], indirect=True, ids=["json", "plain"])
def test_nothing_that_was_typed_is_in_the_log(lab, written, monkeypatch, few_steps):
    work_of(lab, monkeypatch)
    log = written.getvalue()
    assert "ValueError" in log and "kind" in log and "broken" in log
    assert MARKER not in log and "the-visitors-id" not in log


@pytest.mark.parametrize("written", [{"log_json": True, "log_prompts": True}], indirect=True)
def test_where_it_is_allowed_it_is(lab, written, monkeypatch, few_steps):
    lab.settings = Settings(model=lab.settings.model, log_prompts=True)
    work_of(lab, monkeypatch)
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert any(line.get("handler") == "apply" and MARKER in line["fields"] for line in lines)
    assert any(f"what about {MARKER}?" in line.get("exc_info", "") for line in lines)


@pytest.mark.parametrize("written", [{"log_json": True}], indirect=True)
def test_each_job_is_one_object_a_line(lab, written, few_steps):
    Visitor(lab, "ana").applies()
    lab.worker.submit(failing, "edit").wait(TIMEOUT)
    wait_until(lambda: "BadRequest" in written.getvalue())
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    jobs = [line for line in lines if line.get("event") == "job"]
    assert jobs[0]["kind"] == "edit" and {"at", "level", "logger", "state", "wait", "run"} <= set(jobs[0])
    assert jobs[0]["workspace"] == lab.service.digest("ana") != "ana"
    assert (jobs[-1]["state"], jobs[-1]["error"]) == ("failed", "BadRequest")
