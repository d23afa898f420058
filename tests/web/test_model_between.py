"""The model is unloaded or replaced while jobs wait or give it away: none computes with half a model or with another one."""

import threading

import pytest
from paths import PRESETS
from visitors import CONTINENT, TIMEOUT

from editlab.errors import Cancelled
from editlab.lab import Choice, Lab
from editlab.lab.asking import answers, belief, comparing, inside, keys
from editlab.lab.scenarios import measure
from editlab.lab.workspaces import edits, exports, history
from editlab.model import LanguageModel
from editlab.probes import Passages
from editlab.settings import Settings

PROSE = "Slovenia lies between the mountains and the sea. " * 20
UNLOADED = "The model was unloaded before this was complete"


@pytest.fixture
def lab(two_models, facts, tmp_path, few_steps, few_probes):
    names = {"model": str(two_models / "first"), "models": (str(two_models / "second"),)}
    settings = Settings(**names, data=tmp_path, presets=PRESETS, device="cpu")
    model = LanguageModel.load(settings.model, device="cpu", settings=settings)
    lab = Lab(model, facts, Passages((), ()), answer_tokens=4, data=tmp_path, settings=settings)
    yield lab
    lab.close()


@pytest.fixture
def ana(lab):
    """A workspace with an edit."""
    ana = lab.workspace("ana")
    edits.apply(ana, CONTINENT).result(TIMEOUT)
    return ana


@pytest.fixture
def other(two_models):
    return Choice(str(two_models / "second"))


def held(lab):
    """Keep the worker busy until what is returned is called."""
    began, go = threading.Event(), threading.Event()
    lab.worker.submit(lambda progress, cancel: (began.set(), go.wait(TIMEOUT)))
    assert began.wait(TIMEOUT)
    return go.set


def together(lab, *submits):
    """Submit jobs that run one after the other, part by part, and return them when they are done."""
    go = held(lab)
    jobs = [submit() for submit in submits]
    go()
    assert all(job.wait(TIMEOUT) for job in jobs)
    return jobs


PARTS = {
    "answers": lambda lab, ana: answers.ask(ana, CONTINENT),
    "belief": lambda lab, ana: belief.ask(ana, CONTINENT),
    "comparison": lambda lab, ana: comparing.compare(ana, CONTINENT, {"told": {}, "note": {}}),
    "scores": lambda lab, ana: measure.scores(ana, CONTINENT, ["rephrase", "locality"], 1),
    "tracing": lambda lab, ana: inside.tracing(ana),
    "layers": lambda lab, ana: inside.layer_sweep(ana),
    "report": lambda lab, ana: exports.offer(ana, lab.directory.make("ana", "Mine", id="ana"), "report", lab.downloads),
}


@pytest.mark.parametrize("name", PARTS)
def test_work_whose_model_is_unloaded_between_two_parts_says_so(lab, ana, name):
    asked, unloaded = together(lab, lambda: PARTS[name](lab, ana), lab.loaded.unload)
    assert unloaded.state == "done" and asked.state == "stopped"
    with pytest.raises(Cancelled, match=UNLOADED):
        asked.result()
    assert answers.live(ana, CONTINENT.text).result(TIMEOUT), "the next question loads it again"


def test_work_whose_model_is_replaced_between_two_parts_says_so(lab, ana, other):
    asked, _ = together(lab, lambda: answers.ask(ana, CONTINENT), lambda: lab.loaded.switch(other))
    with pytest.raises(Cancelled, match="The model is now second"):
        asked.result()


def test_parts_that_are_cut_off_are_closed(lab, ana):
    closed = threading.Event()

    def work(progress, cancel):
        try:
            yield
            pytest.fail("it went on without a model")
        finally:
            closed.set()

    asked, _ = together(lab, lambda: ana.submit(work), lab.loaded.unload)
    assert asked.state == "stopped" and closed.is_set()


def test_snapshots_of_one_model_are_never_laid_over_another(lab, ana, other):
    shots = {"now": history.snapshot(ana)}
    _, asked = together(lab, lambda: lab.loaded.switch(other), lambda: history.ask(lab.context, CONTINENT.text, shots))
    for job in (asked, history.ask(lab.context, CONTINENT.text, shots)):
        with pytest.raises(Cancelled, match="The model is now second"):
            job.result(TIMEOUT)


@pytest.mark.parametrize(
    "submit",
    [lambda ana: keys.prefixes(ana, PROSE), keys.bounds, inside.layer_sweep],
    ids=["prefixes", "bounds", "layers"],
)
def test_what_waits_while_the_model_is_unloaded_asks_it_loaded_again(lab, ana, submit):
    _, asked = together(lab, lab.loaded.unload, lambda: submit(ana))
    assert asked.state == "done", asked.error


def test_a_measurement_that_waits_while_its_model_is_unloaded_begins_later(lab, ana):
    _, asked = together(lab, lab.loaded.unload, lambda: lab.statistics.measure(ana))
    with pytest.raises(Cancelled, match="The model was unloaded"):
        asked.result()
    assert lab.statistics.measure(ana).result(TIMEOUT)


def test_an_edit_that_waits_for_statistics_goes_on_with_its_model_loaded_again(lab, monkeypatch):
    monkeypatch.setattr(lab.context, "before_edit", lambda *given: iter([None, None]))
    ana = lab.workspace("ana")
    edited, _ = together(lab, lambda: edits.apply(ana, CONTINENT), lab.loaded.unload)
    assert edited.state == "done" and ana.records, edited.error
