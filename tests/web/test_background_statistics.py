"""Key statistics that a model lacks are measured in the background; its first edit waits for them, or is in a hurry."""

import threading

import pytest
from paths import PRESETS
from test_loaded import Person
from visitors import CONTINENT, TIMEOUT, Visitor, wait_until

from editlab.lab import Choice, Lab
from editlab.lab.asking import answers
from editlab.lab.job import JobProgress
from editlab.lab.workspaces import edits
from editlab.model import LanguageModel, measuring
from editlab.probes import Passages
from editlab.settings import Settings

PROSE = " ".join(f"The {i}. house stands near the river {i * i} and its garden is old." for i in range(150))


def opened(two_models, data, facts, **changes):
    names = {"model": str(two_models / "first"), "models": (str(two_models / "second"),)}
    settings = Settings(**names, data=data, presets=PRESETS, device="cpu", **changes)
    model = LanguageModel.load(settings.model, device="cpu", settings=settings)
    passages = Passages((PROSE,), (PROSE,))
    return Lab(model, facts, passages, answer_tokens=4, data=data, settings=settings, measuring=settings.measure_statistics)


@pytest.fixture
def lab(two_models, facts, tmp_path, few_steps):
    lab = opened(two_models, tmp_path, facts)
    yield lab
    lab.close()


@pytest.fixture
def gate(monkeypatch):
    """A measurement that stops before each of its windows until somebody lets it go on."""
    gate, real = threading.Semaphore(0), measuring._read

    def read(*given):
        assert gate.acquire(timeout=TIMEOUT)
        real(*given)

    monkeypatch.setattr(measuring, "_read", read)
    return gate


def finish(gate):
    """Let everything through from now on."""
    gate.release(1000)


def test_a_page_that_opens_has_what_is_missing_measured_behind_everybody(lab):
    layers = lab.statistics.layers
    assert lab.statistics.missing == layers
    Person(lab).does("model_open")
    assert lab.statistics.missing == () and [own.layer for own in lab.statistics.known] == list(layers)
    lab.statistics.begin()
    assert lab.statistics.running is None, "nothing is missing any more"


def test_the_layers_of_the_first_method_come_first(lab, monkeypatch):
    order, real = [], measuring.collecting
    monkeypatch.setattr(
        measuring, "collecting", lambda model, layers, *rest: order.append(layers) or real(model, layers, *rest)
    )
    lab.statistics.begin()
    lab.statistics.running.result(TIMEOUT)
    assert order == [(1,), (2,)]


def test_questions_are_answered_while_it_is_measured(lab, gate):
    lab.statistics.begin()
    measuring = lab.statistics.running
    ana = lab.workspace("ana")
    for _ in range(3):
        asked = answers.live(ana, "The capital of Spain is")
        gate.release()  # the window that is being read when the question comes
        assert asked.result(TIMEOUT)["base"]["top"]
        assert not measuring.done
    finish(gate)
    measuring.result(TIMEOUT)


def test_the_first_edit_waits_and_says_for_what(lab, gate, monkeypatch):
    spared, spare = [], JobProgress.spare
    monkeypatch.setattr(JobProgress, "spare", lambda progress, seconds: spared.append(seconds) or spare(progress, seconds))
    lab.statistics.begin()
    measuring, ana = lab.statistics.running, lab.workspace("ana")
    job = edits.apply(ana, CONTINENT)
    said = set()
    gate.release()  # a window that may have been begun before the edit came
    while not job.wait(0.2):
        said.add(job.text)
        if ana.can_hurry:
            gate.release()
    assert job.result().health["whitened"] == 1.0
    assert any(text.startswith("measuring key statistics: ") and text.endswith(" left") for text in said), said
    assert not ana.can_hurry and lab.statistics.missing == (2,), "it did not wait for the other method's layer"
    finish(gate)
    measuring.result(TIMEOUT)
    assert sum(spared) > 0.1 and job.seconds <= job.ended - job.began - sum(spared), "no visitor pays for what all use"


def test_an_edit_in_a_hurry_is_made_without_them_and_marked(lab, gate):
    lab.statistics.begin()
    ana = lab.workspace("ana")
    job = edits.apply(ana, CONTINENT)
    gate.release()  # a window that may have been begun before the edit came
    wait_until(lambda: ana.can_hurry)
    ana.hurry.set()
    gate.release()
    assert job.result(TIMEOUT).health["whitened"] == 0.0
    finish(gate)
    lab.statistics.running.result(TIMEOUT)
    assert edits.apply(ana, CONTINENT).result(TIMEOUT).health["whitened"] == 1.0


def test_an_edit_that_waits_can_be_stopped_and_changes_nothing(lab, gate):
    lab.statistics.begin()
    ana = lab.workspace("ana")
    job = edits.apply(ana, CONTINENT)
    gate.release()  # a window that may have been begun before the edit came
    wait_until(lambda: ana.can_hurry)
    ana.stop()
    finish(gate)
    with pytest.raises(Exception, match="Nothing was changed"):
        job.result(TIMEOUT)
    assert ana.records == () and not ana.can_hurry
    assert lab.statistics.running is None or lab.statistics.running.result(TIMEOUT)


def test_what_somebody_stopped_is_not_begun_again(lab, gate):
    lab.statistics.begin()
    job = lab.statistics.running
    gate.release()
    Person(lab).does("model_stop")
    finish(gate)
    job.wait(TIMEOUT)
    assert job.state == "stopped"
    lab.statistics.begin()
    assert lab.statistics.running is None and lab.statistics.missing
    assert edits.apply(lab.workspace("ana"), CONTINENT).result(TIMEOUT).health["whitened"] == 0.0


def test_another_model_ends_it_and_what_was_measured_is_kept(lab, gate, two_models, tmp_path):
    lab.statistics.begin()
    job = lab.statistics.running
    gate.release()
    wait_until(lambda: job.fraction > 0)
    switched = lab.loaded.switch(Choice(str(two_models / "second")))
    gate.release()  # the window that is being read; then the model leaves
    switched.result(TIMEOUT)
    assert job.state == "stopped" and "kept" in str(job.error)
    assert len(list((tmp_path / "statistics").glob("unfinished-*"))) == 1
    finish(gate)
    lab.statistics.begin()  # those of the new model
    lab.statistics.running.result(TIMEOUT)
    assert lab.statistics.missing == ()


def test_a_lab_that_shall_not_measure_does_not(two_models, facts, tmp_path, few_steps):
    lab = opened(two_models, tmp_path, facts, measure_statistics=False)
    try:
        Person(lab).does("model_open")
        assert edits.apply(lab.workspace("ana"), CONTINENT).result(TIMEOUT).health["whitened"] == 0.0
        assert lab.statistics.running is None and lab.statistics.missing
    finally:
        lab.close()


def test_a_demo_measures_as_well_and_no_visitor_pays_for_it(two_models, facts, tmp_path, few_steps):
    lab = opened(two_models, tmp_path, facts, demo=True)
    charged = []
    lab.limits.count_seconds = lambda asker, seconds: charged.append(seconds)
    try:
        Person(lab).does("model_open")
        assert lab.statistics.missing == () and charged == []
    finally:
        lab.close()


def test_the_page_offers_to_edit_without_them_while_the_edit_waits(lab, gate):
    lab.statistics.begin()
    ana, seen = Visitor(lab, "ana"), []
    updates = ana.updates_of("apply", "rome", ana.request("Slovenia", CONTINENT.prompt, "Antarctica", "Europe"))
    seen.append(next(updates))
    gate.release()  # a window that may have been begun before the edit came
    for update in updates:
        seen.append(update)
        if "hurry" in update and update["hurry"]["visible"]:
            ana.does("hurry")
            finish(gate)
    page = {name: value for update in seen for name, value in update.items()}
    assert page["hurry"]["visible"] is False and "no key statistics" in page["edits"]
    assert "made without key statistics" in page["warnings"] and "Edited in" not in page["message"]
    assert "No edit waits" in ana.does("hurry")["message"]
