"""The thread that owns the model."""

import threading
import time

import pytest
from visitors import wait_until

from editlab.errors import Cancelled, DeviceLost, ShutDown, TooMany
from editlab.figures.language import Translation, spoken, translated
from editlab.lab import Worker
from editlab.lab import worker as module
from editlab.lab.access.limits import Asker, on_behalf_of

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


def test_every_part_of_a_job_is_done_in_the_language_in_which_it_was_asked_for(worker):
    def parts(progress, cancel):
        yield
        return spoken().code

    with translated(Translation("de")):
        first = worker.submit(parts)
    second = worker.submit(lambda progress, cancel: spoken().code)
    assert (first.result(TIMEOUT), second.result(TIMEOUT)) == ("de", "en")


def test_a_job_cancelled_in_line_never_begins(worker):
    release, _ = blocked(worker)
    began = []
    job = worker.submit(lambda progress, cancel: began.append(1))
    job.cancel()
    with pytest.raises(Cancelled, match="before it began"):
        job.result(0)  # while another one has the model
    release.set()
    worker.submit(lambda progress, cancel: None).result(TIMEOUT)
    assert began == [] and worker.open == []


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


def test_whose_the_jobs_before_are_can_be_read(worker):
    release, _first = blocked(worker)
    with on_behalf_of(Asker("a", "1.1.1.1")):
        own = worker.submit(lambda progress, cancel: None)
    assert not worker.own_ahead(own)
    release.set()
    own.result(TIMEOUT)
    gate = threading.Event()
    with on_behalf_of(Asker("a", "1.1.1.1")):
        jobs = [worker.submit(lambda progress, cancel: gate.wait(TIMEOUT)) for _ in range(2)]
    with on_behalf_of(Asker("b", "1.1.1.1")):
        other = worker.submit(lambda progress, cancel: None)
    assert worker.own_ahead(jobs[1]) and not worker.own_ahead(other)
    gate.set()
    other.result(TIMEOUT)


def test_a_full_line_is_a_sentence(worker, monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    release, _ = blocked(worker)
    waiting = worker.submit(lambda progress, cancel: "done")
    with pytest.raises(TooMany, match="waiting already"):
        worker.submit(lambda progress, cancel: None)
    release.set()
    assert waiting.result(TIMEOUT) == "done"
    assert worker.submit(lambda progress, cancel: "room again").result(TIMEOUT) == "room again"


def test_what_was_stopped_in_the_line_takes_nobodys_place(worker, monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    release, _ = blocked(worker)
    with on_behalf_of(Asker("a", "1.1.1.1")):
        for _ in range(5):  # one waits in the queue, one behind it
            jobs = [worker.submit(lambda progress, cancel: "done") for _ in range(2)]
            for job in jobs:
                job.cancel()
        own = worker.submit(lambda progress, cancel: "own")
    with on_behalf_of(Asker("b", "2.2.2.2")):
        other = worker.submit(lambda progress, cancel: "other")
    release.set()
    assert (own.result(TIMEOUT), other.result(TIMEOUT)) == ("own", "other") and worker.open == []


def test_one_visitor_cannot_fill_the_line(worker, monkeypatch):
    monkeypatch.setattr(module, "MOST_OF_ONE", 3)
    release, _ = blocked(worker)
    with on_behalf_of(Asker("a", "1.1.1.1")):
        own = [worker.submit(lambda progress, cancel: "own") for _ in range(3)]
        with pytest.raises(TooMany, match="your jobs"):
            worker.submit(lambda progress, cancel: None)
    with on_behalf_of(Asker("b", "2.2.2.2")):
        other = worker.submit(lambda progress, cancel: "other")
    release.set()
    assert [job.result(TIMEOUT) for job in (*own, other)] == ["own", "own", "own", "other"]


def test_a_job_that_begins_while_it_is_stopped_ends_once(worker):
    for _ in range(200):
        job = worker.submit(lambda progress, cancel: "done")
        job.cancel()
        try:
            assert job.result(TIMEOUT) == "done"
        except Cancelled:
            assert job.state == "stopped"
    assert worker.alive and worker.open == []


def test_a_closed_worker_finishes_its_line_and_takes_nothing_more():
    worker = Worker()
    job = worker.submit(lambda progress, cancel: "last")
    worker.close()
    assert job.result(0) == "last"
    assert not worker.alive
    with pytest.raises(ShutDown, match="shutting down"):
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


# --- jobs with several parts ------------------------------------------------------------------------------------------


def parts(name, done, count=2, cancels=None):
    """Work of several parts, each of which notes its name."""

    def work(progress, cancel):
        for number in range(count):
            if number:
                yield
            if cancels is not None:
                cancels.append(cancel())
            done.append(f"{name}{number + 1}")
        return name

    return work


def test_parts_of_two_jobs_alternate_and_each_returns_its_result(worker):
    done = []
    release, _ = blocked(worker)
    jobs = [worker.submit(parts(name, done)) for name in "ab"]
    release.set()
    assert [job.result(TIMEOUT) for job in jobs] == ["a", "b"]
    assert done == ["a1", "b1", "a2", "b2"] and worker.open == []


def test_a_job_that_comes_between_two_parts_runs_before_the_next_part(worker):
    done, later = [], []

    def work(progress, cancel):
        done.append("part 1")
        later.append(worker.submit(lambda progress, cancel: done.append("other")))
        yield
        done.append("part 2")

    worker.submit(work).result(TIMEOUT)
    assert later[0].result(TIMEOUT) is None and done == ["part 1", "other", "part 2"]


def test_between_two_parts_a_job_runs_on_but_has_not_the_model(worker):
    inside, gate, seen = threading.Event(), threading.Event(), []

    def other(progress, cancel):
        inside.set()
        gate.wait(TIMEOUT)

    def work(progress, cancel):
        seen.append((job.active, job.state))
        jobs.append(worker.submit(other))
        yield
        seen.append((job.active, job.state))

    jobs = []
    release, _ = blocked(worker)
    job = worker.submit(work)
    last = worker.submit(lambda progress, cancel: None)
    release.set()
    assert inside.wait(TIMEOUT)
    assert (job.active, job.state, job.done) == (False, "running", False)
    # The job of two parts gave way to both others, which came before its second part.
    assert [worker.ahead(each) for each in (*jobs, job, last)] == [0, 1, 0]
    assert worker.open[0].state == "running" and set(worker.open) == {job, *jobs}
    gate.set()
    job.result(TIMEOUT)
    assert seen == [(True, "running")] * 2 and not job.active


def test_only_the_time_of_its_own_parts_counts(worker):
    def work(progress, cancel):
        yield

    def long(progress, cancel):
        time.sleep(0.3)

    release, _ = blocked(worker)
    job, other = worker.submit(work), worker.submit(long)
    release.set()
    job.result(TIMEOUT)
    assert other.done and other.seconds >= 0.3
    assert 0 < job.seconds < 0.2 and job.ended - job.began >= 0.3


def test_a_job_is_stopped_between_two_parts_and_its_generator_is_closed(worker):
    done, cancels, closed = [], [], []

    def work(progress, cancel):
        try:
            yield from parts("a", done, 3, cancels)(progress, cancel)
        finally:
            closed.append(True)

    release, _ = blocked(worker)
    job = worker.submit(work)
    worker.submit(lambda progress, cancel: job.cancel())
    release.set()
    with pytest.raises(Cancelled, match="Stopped before it was complete"):
        job.result(TIMEOUT)
    assert (done, cancels, job.state) == (["a1"], [False], "stopped")
    wait_until(lambda: closed)
    assert worker.submit(lambda progress, cancel: "next").result(TIMEOUT) == "next"


def test_an_error_in_a_later_part_ends_the_job_and_keeps_what_it_showed(worker):
    done = []

    def work(progress, cancel):
        progress.show("half")
        yield
        raise ValueError("boom")

    release, _ = blocked(worker)
    job, other = worker.submit(work), worker.submit(parts("b", done))
    release.set()
    with pytest.raises(ValueError, match="boom"):
        job.result(TIMEOUT)
    assert (job.state, job.partial, str(job.error)) == ("failed", "half", "boom")
    assert other.result(TIMEOUT) == "b" and done == ["b1", "b2"] and worker.open == []


def test_a_device_that_is_lost_in_a_part_ends_the_jobs_that_wait_for_theirs(worker):
    def lost(progress, cancel):
        yield
        raise DeviceLost("gone")

    release, _ = blocked(worker)
    jobs = [worker.submit(lost), worker.submit(parts("b", [], 5))]
    release.set()
    for job in jobs:
        with pytest.raises(DeviceLost):
            job.result(TIMEOUT)
    assert not worker.alive


def test_a_closed_worker_finishes_the_parts_of_its_jobs():
    worker, done = Worker(), []
    release, _ = blocked(worker)
    job = worker.submit(parts("a", done, 3))
    closing = threading.Thread(target=worker.close)
    closing.start()
    wait_until(lambda: not worker.alive)
    release.set()
    closing.join(TIMEOUT)
    assert job.result(0) == "a" and done == ["a1", "a2", "a3"]


def test_a_job_in_the_background_gives_way_to_every_part(worker):
    done, gate = [], threading.Event()

    def long(progress, cancel):
        gate.wait(TIMEOUT)
        worker.give_way()
        done.append("background")

    first = worker.submit(long, background=True)
    wait_until(lambda: first.state == "running")
    jobs = [worker.submit(parts(name, done)) for name in "ab"]
    assert [worker.ahead(job) for job in jobs] == [1, 2]
    gate.set()
    for job in (first, *jobs):
        job.result(TIMEOUT)
    assert done == ["a1", "b1", "a2", "b2", "background"] and worker.open == []


def test_parts_in_the_background_give_way_to_each_job_that_somebody_waits_for(worker):
    done = []
    release, _ = blocked(worker)
    background = worker.submit(parts("b", done, 3), background=True)
    jobs = [worker.submit(parts(name, done)) for name in "xy"]
    release.set()
    for job in (background, *jobs):
        job.result(TIMEOUT)
    assert done == ["x1", "y1", "x2", "y2", "b1", "b2", "b3"]


def test_a_job_that_runs_inside_one_of_the_background_has_none_before_it(worker):
    found, gate = [], threading.Event()

    def long(progress, cancel):
        gate.wait(TIMEOUT)
        worker.give_way()

    first = worker.submit(long, background=True)
    wait_until(lambda: first.state == "running")
    job = worker.submit(lambda progress, cancel: found.append(worker.ahead(job)))
    assert worker.ahead(job) == 1
    gate.set()
    job.result(TIMEOUT)
    assert found == [0]
