"""How the service itself does: figures for the page and for Prometheus, readiness, and a log that gives nobody away."""

import contextlib
import io
import json
import logging
import sys
import threading
import traceback
import warnings
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import httpx
import pytest
from over_the_wire import served
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient
from tiny_models import save
from visitors import TIMEOUT, Visitor, wait_until

from editlab.errors import BadRequest, Cancelled
from editlab.lab import Lab
from editlab.lab.access import logs
from editlab.lab.jobs.metrics import KEPT
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
    families = text_string_to_metric_families(lab.metrics.metrics().decode())
    return {(own.name, *own.labels.values()): own.value for family in families for own in family.samples}


def failing(progress, cancel):
    raise BadRequest("That cannot be.")


def stopping(progress, cancel):
    raise Cancelled("Stopped.")


# Figures


def test_jobs_are_counted_by_kind_and_by_how_they_ended(lab):
    for work in (lambda progress, cancel: 1, failing, failing, stopping):
        lab.worker.submit(work, "edit").wait(TIMEOUT)
    lab.worker.submit(lambda progress, cancel: 1, "answers").wait(TIMEOUT)
    found = metrics(lab)
    assert {key[2]: value for key, value in found.items() if key[:2] == ("editlab_jobs_total", "edit")} == {
        "done": 1.0,
        "failed": 2.0,
        "stopped": 1.0,
    }
    assert found["editlab_errors_total", "BadRequest"] == 2
    assert found["editlab_job_run_seconds_count", "edit"] == 4 and found["editlab_job_wait_seconds_count", "answers"] == 1
    table = lab.metrics.table().set_index("kind")
    assert table["count"].to_dict() == {"edit": 4, "answers": 1} and table["errors"].to_dict() == {"edit": 2, "answers": 0}


def test_the_line_is_seen_while_it_stands(lab):
    running = lab.worker.submit(lambda progress, cancel: wait_until(cancel), "edit")
    waiting = [lab.worker.submit(lambda progress, cancel: 1) for _ in range(3)]
    wait_until(lambda: running.state == "running")
    found, now = metrics(lab), lab.metrics.now()
    running.cancel()
    assert (found["editlab_jobs_running",], found["editlab_jobs_waiting",]) == (1, 3) == (now["running"], now["waiting"])
    assert all(job.wait(TIMEOUT) for job in waiting)


def ended(kind, wait, run, error=None):
    state = "done" if error is None else "failed"
    return SimpleNamespace(
        kind=kind, state=state, submitted=5.0, began=5.0 + wait, ended=5.0 + wait + run, seconds=run, error=error, about={}
    )


def test_percentiles_are_those_of_the_latest_thousand(lab):
    for _ in range(500):
        lab.metrics._watch(ended("edit", 1000.0, 1000.0))
    for number in range(KEPT + 1):
        lab.metrics._watch(ended("edit", 0.0, number / 10))
    row = lab.metrics.table().iloc[0]
    assert (row["kind"], row["count"], row["errors"]) == ("edit", 1_501, 0)
    assert (row["wait_p50"], row["wait_p95"]) == (0, 0)
    assert row["run_p50"] == pytest.approx(50.05) and row["run_p95"] == pytest.approx(95.005)


def test_nothing_done_is_an_empty_table(lab):
    assert lab.metrics.table().empty and list(lab.metrics.table()) == [
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
    found, now = metrics(lab), lab.metrics.now()
    assert found["editlab_workspaces",] == now["workspaces"] >= 1
    assert found["editlab_events",] == now["events"] == len(lab.ledger.rows()[0]) > 0
    assert found["editlab_process_memory_bytes",] > 1e8 and now["process_bytes"] > 1e8
    assert now["gpu_bytes"] is None and now["faults"] == []


def test_the_plan_of_the_model_is_told_where_there_is_one(lab, tiny_llama, tmp_path):
    assert lab.metrics.planned() is None  # this one was never a file
    save(tiny_llama, tmp_path / "model")
    lab.loaded.choice = type(lab.loaded.choice)(str(tmp_path / "model"))
    assert lab.metrics.planned() == lab.loaded.plan(lab.loaded.choice).total == metrics(lab)["editlab_planned_memory_bytes",]


# Readiness


def test_ready_as_long_as_all_is_well(ask):
    assert (ask("/ready").status_code, ask("/ready").json()) == (200, {"status": "ready", "faults": []})
    assert ask("/metrics").headers["content-type"].startswith("text/plain")


def test_not_ready_without_the_model(lab, ask, monkeypatch):
    monkeypatch.setattr(lab.loaded, "_model", None)
    assert (ask("/ready").status_code, ask("/ready").json()["faults"]) == (503, ["The model is not in memory."])
    assert ask("/health").status_code == 200


def test_not_ready_where_nothing_can_be_written(lab, ask, tmp_path, monkeypatch):
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    answer = ask("/ready")
    monkeypatch.setattr("editlab.lab.jobs.metrics.CHECK_SECONDS", 0.0)
    (tmp_path / "elsewhere").rename(tmp_path / "data")
    assert (answer.status_code, answer.json()["faults"]) == (503, ["The ledger cannot be written."])
    assert ask("/ready").status_code == 200


def test_not_ready_once_the_worker_has_ended(lab, ask):
    lab.worker.close()
    assert ask("/ready").json() == {"status": "not ready", "faults": ["The model's worker has ended."]}


def test_health_answers_while_nobody_learns_whether_the_ledger_can_be_written(lab, monkeypatch):
    """Each of these used to take a thread of the server's forty, and the ledger's lock."""
    release = threading.Event()
    monkeypatch.setattr(lab.ledger, "check_writable", lambda: release.wait(TIMEOUT))
    with served(create_app(lab)) as address, ThreadPoolExecutor(45) as pool:
        slow = [pool.submit(httpx.get, f"{address}/ready", timeout=TIMEOUT) for _ in range(45)]
        try:
            wait_until(lambda: sum(call.done() for call in slow) == 44)
            assert httpx.get(f"{address}/health", timeout=5).status_code == 200
        finally:
            release.set()
        assert {call.result().status_code for call in slow} == {200}


def test_the_ledger_is_tried_once_in_a_while_however_many_ask(lab, ask, monkeypatch):
    tries = []
    monkeypatch.setattr(lab.ledger, "check_writable", lambda: tries.append(1))
    assert [ask("/ready").status_code for _ in range(20)] == [200] * 20 and len(tries) == 1
    monkeypatch.setattr("editlab.lab.jobs.metrics.CHECK_SECONDS", 0.0)
    assert ask("/ready").status_code == 200 and len(tries) == 2


def test_a_ledger_that_does_not_answer_is_a_fault_after_a_while(lab, monkeypatch):
    started, release = threading.Event(), threading.Event()
    monkeypatch.setattr(lab.ledger, "check_writable", lambda: (started.set(), release.wait(TIMEOUT)))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(lab.metrics.faults)
        assert started.wait(TIMEOUT)
        assert lab.metrics.faults() == []
        monkeypatch.setattr("editlab.lab.jobs.metrics.HUNG_SECONDS", 0.0)
        assert lab.metrics.faults() == ["The ledger does not answer."]
        release.set()
        assert first.result(TIMEOUT) == [] == lab.metrics.faults()


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

    monkeypatch.setattr("editlab.web.core.forms.read_request", broken)
    assert "failed unexpectedly" in visitor.applies(subject=MARKER)["message"]


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
    assert jobs[0]["workspace"] == lab.metrics.digest("ana") != "ana"
    assert (jobs[-1]["state"], jobs[-1]["error"]) == ("failed", "BadRequest")


@contextlib.contextmanager
def heard(**settings):
    """All that is written as in a running app, with other settings."""
    stream, root = io.StringIO(), logging.getLogger()
    handler = logs.handler(Settings(**settings), stream)
    root.addHandler(handler)
    try:
        with logs.silence(Settings(**settings)):
            yield stream
    finally:
        root.removeHandler(handler)


def broken(text):
    raise ValueError(text)


def libraries_that_quote(text):
    """What Gradio, the server and Python do with a value that they did not expect."""
    try:
        broken(text)
    except ValueError as error:
        traceback.print_exc()
        print(str(error))
        logging.getLogger("gradio").exception(f"first line\n{text}")
        logging.getLogger("uvicorn.error").error("Exception in ASGI application\n", exc_info=error)
        logging.getLogger("asyncio").error(f"Task exception was never retrieved\nfuture: <Task {error!r}>", exc_info=error)
    print("id", text)
    print(text, file=sys.stderr)
    warnings.warn(f"The value {text} is not in the list", stacklevel=2)
    logging.getLogger("python_multipart").warning("Did not find %r", text)


@pytest.mark.parametrize("log_json", [True, False], ids=["json", "plain"])
@pytest.mark.filterwarnings("default")
def test_what_libraries_print_log_and_warn_of_is_written_remove_values(log_json, capfd):
    with heard(log_json=log_json) as written:
        libraries_that_quote(MARKER)
    log = written.getvalue()
    assert MARKER not in log + "".join(capfd.readouterr())
    for known in ("ValueError", "in broken", "Exception in ASGI application", "Task exception was never", "Did not find"):
        assert known in log, known
    assert "UserWarning" in log


def test_where_prompts_may_be_logged_nothing_is_held_back(capfd):
    with heard(log_prompts=True) as written, pytest.warns(UserWarning, match=MARKER):
        libraries_that_quote(MARKER)
    printed = "".join(capfd.readouterr())
    assert f"ValueError: {MARKER}" in printed and f"id {MARKER}" in printed
    assert f"Did not find '{MARKER}'" in written.getvalue()


def test_after_the_server_has_ended_the_terminal_is_written_to_again(capsys):
    with logs.silence(Settings()):
        print("dropped")
    print("shown")
    assert capsys.readouterr().out == "shown\n"


def test_a_fault_that_comes_again_and_again_is_written_once_a_minute(monkeypatch):
    with heard() as written:
        for number in range(1_000):
            logging.getLogger("asyncio").error(f"socket.accept() out of system resource\nsocket: {number}")
            logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
        assert len(written.getvalue().splitlines()) == 2
        logging.getLogger("editlab").error("A handler failed unexpectedly (%s)", "a1")
        logging.getLogger("editlab").error("A handler failed unexpectedly (%s)", "b2")
        assert "a1" in written.getvalue() and "b2" in written.getvalue()
        monkeypatch.setattr(logs, "AGAIN_SECONDS", 0.0)
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    again = written.getvalue().splitlines()[4:]
    assert len(again) == 2 and "times=999 message=Invalid HTTP request received." in "".join(again)


def events(caplog, kind):
    return [record.msg for record in caplog.records if isinstance(record.msg, dict) and record.msg["event"] == kind]


def test_who_unloaded_the_model_or_stopped_a_job_is_in_the_log_by_name(lab, caplog, monkeypatch):
    monkeypatch.setattr(lab.loaded, "drop", lambda: None)
    with caplog.at_level(logging.INFO, "editlab"):
        lab.loaded.unload(by="ana").result(TIMEOUT)
        lab.loaded.unload().result(TIMEOUT)
        job = lab.worker.submit(lambda progress, cancel: wait_until(cancel), "statistics")
        lab.jobs.cancel("anybody", job.id, by="ben")
        assert job.wait(TIMEOUT)
    named = {"event": "model", "change": "unloaded", "model": "tiny llama", "fingerprint": lab.loaded.fingerprint}
    assert events(caplog, "model") == [{**named, "by": "ana"}, named]
    assert events(caplog, "cancel") == [{"event": "cancel", "kind": "statistics", "by": "ben"}]
