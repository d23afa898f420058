"""The thread that owns the model."""

import threading
import time

import pytest
from visitors import wait_until

from editlab.errors import BadRequest, Cancelled, DeviceLost
from editlab.lab import Worker
from editlab.lab import worker as module

TIMEOUT = 20.0


@pytest.fixture
def worker():
    worker = Worker()
    yield worker
    worker.close()


def blocked(worker: Worker) -> tuple[threading.Event, module.Job]:
    """A job that runs until the event is set."""
    running, release = threading.Event(), threading.Event()

    def work(progress, cancel):
        running.set()
        release.wait(TIMEOUT)

    job = worker.submit(work)
    assert running.wait(TIMEOUT)
    return release, job


def test_jobs_run_one_at_a_time_and_in_order(worker):
    inside, most, order = [0], [0], []

    def work(number):
        def run(progress, cancel):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.005)
            order.append((number, threading.current_thread().name))
            inside[0] -= 1
            return number

        return run

    jobs = [worker.submit(work(number)) for number in range(12)]
    assert [job.result(TIMEOUT) for job in jobs] == list(range(12))
    assert most == [1]
    assert [number for number, _ in order] == list(range(12))
    assert {thread for _, thread in order} == {"editlab-model"}


def test_an_error_reaches_whoever_asked_and_the_worker_goes_on(worker):
    def fail(progress, cancel):
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        worker.submit(fail).result(TIMEOUT)
    assert worker.submit(lambda progress, cancel: "next").result(TIMEOUT) == "next"


def test_a_job_cancelled_in_line_never_begins(worker):
    release, _ = blocked(worker)
    began = []
    job = worker.submit(lambda progress, cancel: began.append(1))
    job.cancel()
    release.set()
    with pytest.raises(Cancelled):
        job.result(TIMEOUT)
    assert began == []


def test_a_running_job_sees_that_it_is_cancelled(worker):
    running = threading.Event()

    def work(progress, cancel):
        running.set()
        while not cancel():
            time.sleep(0.001)
        raise Cancelled("stopped inside")

    job = worker.submit(work)
    assert running.wait(TIMEOUT)
    job.cancel()
    with pytest.raises(Cancelled, match="stopped inside"):
        job.result(TIMEOUT)


def test_progress_and_place_in_line_can_be_read_from_outside(worker):
    release, first = blocked(worker)
    second = worker.submit(lambda progress, cancel: progress(1.7, "done"))
    third = worker.submit(lambda progress, cancel: None)
    assert [worker.ahead(job) for job in (first, second, third)] == [0, 1, 2]
    assert not third.wait(0.01)
    release.set()
    assert third.wait(TIMEOUT)
    assert (second.fraction, second.text) == (1.0, "done")
    assert worker.ahead(third) == 0


def test_a_full_line_is_a_sentence(worker, monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    release, _ = blocked(worker)
    waiting = worker.submit(lambda progress, cancel: "done")
    with pytest.raises(BadRequest, match="waiting already"):
        worker.submit(lambda progress, cancel: None)
    release.set()
    assert waiting.result(TIMEOUT) == "done"
    assert worker.submit(lambda progress, cancel: "room again").result(TIMEOUT) == "room again"


def test_a_closed_worker_finishes_its_line_and_takes_nothing_more():
    worker = Worker()
    job = worker.submit(lambda progress, cancel: "last")
    worker.close()
    assert job.result(0) == "last"
    assert not worker.alive
    with pytest.raises(BadRequest, match="shutting down"):
        worker.submit(lambda progress, cancel: None)
    worker.close()


def test_when_nobody_waits_behind_a_job_the_worker_rests():
    rested, gate = [], threading.Event()
    worker = Worker(rest=lambda: rested.append(len(done)))
    done = []
    jobs = [worker.submit(lambda progress, cancel, n=n: (gate.wait(), done.append(n))) for n in range(3)]
    gate.set()
    for job in jobs:
        job.result(10)
    worker.close()
    assert rested == [3]


def test_what_runs_in_the_background_comes_last_and_gives_way(worker):
    done, gate = [], threading.Event()

    def long(progress, cancel):
        gate.wait(TIMEOUT)
        worker.give_way()
        done.append("background")

    first = worker.submit(long, "checkup", background=True)
    wait_until(lambda: first.state == "running")
    jobs = [
        worker.submit(lambda progress, cancel, name=name: done.append(name), name, background=name == "later")
        for name in ("later", "question", "edit", "model", "probe")
    ]
    assert [worker.ahead(job) for job in jobs] == [5, 1, 2, 3, 4]
    gate.set()
    for job in (first, *jobs):
        job.result(TIMEOUT)
    assert done == ["question", "edit", "background", "model", "probe", "later"]
    assert worker.open == []


def test_a_device_that_is_lost_meanwhile_ends_both(worker):
    gate = threading.Event()

    def long(progress, cancel):
        gate.wait(TIMEOUT)
        worker.give_way()

    def lost(progress, cancel):
        raise DeviceLost("gone")

    first = worker.submit(long, background=True)
    jobs = [worker.submit(lost), worker.submit(lambda progress, cancel: None)]
    gate.set()
    for job in (first, *jobs):
        with pytest.raises(DeviceLost):
            job.result(TIMEOUT)
    assert not worker.alive


def test_watchers_hear_of_each_state_before_whoever_waits_and_harm_nothing(worker):
    heard = []

    def watch(job):
        heard.append((job.kind, job.state, job.done))
        raise ValueError("a watcher's own fault")

    worker.watchers.append(watch)
    worker.submit(lambda progress, cancel: None, "one").result(TIMEOUT)
    with pytest.raises(ZeroDivisionError):
        worker.submit(lambda progress, cancel: 1 / 0, "two").result(TIMEOUT)
    states = [(kind, state) for kind, state, _ in heard]
    assert states == [
        ("one", "waiting"),
        ("one", "running"),
        ("one", "done"),
        ("two", "waiting"),
        ("two", "running"),
        ("two", "failed"),
    ]
    assert not any(done for *_, done in heard)


def test_at_the_end_nobody_waits_for_the_background(worker):
    gate, began = threading.Event(), []
    worker.submit(lambda progress, cancel: gate.wait(TIMEOUT))
    job = worker.submit(lambda progress, cancel: began.append(1), background=True)
    closing = threading.Thread(target=worker.close)
    closing.start()
    wait_until(lambda: job.stopped)
    gate.set()
    closing.join(TIMEOUT)
    assert began == [] and job.state == "stopped"
