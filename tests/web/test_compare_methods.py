"""Methods side by side on one fact: rows as they come, the best by a rule, and nothing changes in the workspace."""

import threading
import time
from dataclasses import replace

import pytest
from compared import Failing, row_of
from instant import Instant
from visitors import CAPITAL, CONTINENT, TIMEOUT, wait_until

from editlab import methods
from editlab.errors import BadRequest, Cancelled
from editlab.lab.access.transfers import KEPT_SECONDS
from editlab.lab.asking import answers, comparing
from editlab.lab.asking.comparing import Compared, Comparison
from editlab.lab.workspaces import edits


@pytest.fixture
def workspace(lab, request):
    return lab.workspace(request.node.name[:60])


def test_methods_edit_the_unedited_model_and_the_workspace_stays_as_it_is(workspace, other_methods, few_steps):
    edits.apply(workspace, CAPITAL).result(TIMEOUT)
    before, event, looked = workspace.records, workspace.state.number, workspace.request
    found = comparing.compare(workspace, CONTINENT, {"rome": {}, "second": {"clamp": 0.5}}, 1).result(TIMEOUT)
    assert (workspace.records, workspace.state.number, workspace.request) == (before, event, looked)
    assert [row.method for row in found.rows] == ["rome", "second"] and found.complete
    for row in found.rows:
        assert row.done and row.error is None and row.size > 0 and row.seconds > 0 and row.answer["text"]
        assert set(row.counts) == set(row.frame["kind"]) >= {"success", "rephrase", "long", "locality", "propagation"}
        assert (row.frame["base.answer"] == found.rows[0].frame["base.answer"]).all()
    assert found.base["p_new"] != found.rows[0].answer["p_new"]


def test_its_counts_are_those_of_the_edit_tab_and_its_edit_is_taken_by_it(workspace, few_steps, monkeypatch):
    found = comparing.compare(workspace, CONTINENT, {"rome": {}}, 1).result(TIMEOUT).rows[0]
    monkeypatch.setattr(type(methods.get("rome")), "edit", lambda *given: pytest.fail("it was computed again"))
    record = edits.apply(workspace, CONTINENT, "rome").result(TIMEOUT)
    assert sum(value.nbytes for patch in record.patches for value in (patch.A, patch.B)) == found.size
    asked = answers.ask(workspace, CONTINENT).result(TIMEOUT).probes
    own = found.frame.set_index("text")["edited.answer"]
    assert asked.set_index("text")["edited.answer"][own.index].tolist() == own.tolist()


def tensor_files(lab):
    return {path.name for path in lab.ledger.tensors.folder.glob("*")}


def draft_files(lab):
    return set((lab.ledger.folder / "drafts" / lab.ledger.session).glob("*"))


def test_what_is_only_compared_leaves_no_file_beside_those_of_the_ledger(lab, workspace, few_steps, monkeypatch):
    edits.apply(workspace, CAPITAL).result(TIMEOUT)
    before = tensor_files(lab)
    comparing.compare(workspace, CONTINENT, {"rome": {}, "told": {}}, 1).result(TIMEOUT)
    assert tensor_files(lab) == before
    assert len(draft_files(lab)) >= 2
    later = time.time() + 2 * KEPT_SECONDS
    monkeypatch.setattr("editlab.lab.jobs.drafts.time.time", lambda: later)
    comparing.compare(workspace, CONTINENT, {"note": {}}, 1).result(TIMEOUT)
    assert len(draft_files(lab)) == 1, "after an hour without use they go"
    monkeypatch.undo()
    edits.apply(workspace, CONTINENT, "rome").result(TIMEOUT)
    assert len(tensor_files(lab)) == len(before) + 1, "an edit whose draft is gone is computed again"


def test_a_damaged_draft_is_computed_again(lab, workspace, few_steps):
    before = draft_files(lab)
    comparing.compare(workspace, CAPITAL, {"rome": {}}, 1).result(TIMEOUT)
    (draft,) = draft_files(lab) - before
    content = draft.read_bytes()
    draft.write_bytes(b"damaged")
    assert edits.apply(workspace, CAPITAL, "rome").result(TIMEOUT).patches
    assert (lab.ledger.tensors.folder / draft.name).read_bytes() == content


def test_drafts_go_with_their_process(opened, tmp_path, other_methods):
    lab = opened(tmp_path / "data")
    comparing.compare(lab.workspace("ana"), CONTINENT, {"instant": {}}, 1).result(TIMEOUT)
    assert list((tmp_path / "data" / "drafts").rglob("*.safetensors")) and not lab.ledger.tensors.folder.exists()
    lab.close()
    assert not list((tmp_path / "data" / "drafts").rglob("*.safetensors"))


def test_each_method_has_settings_of_its_own(workspace, other_methods, few_steps, monkeypatch):
    given, real = [], type(methods.get("rome")).edit

    def edit(self, model, requests, view, config, *more, **named):
        given.append((self.name, config.clamp))
        return real(self, model, requests, view, config, *more, **named)

    monkeypatch.setattr(type(methods.get("rome")), "edit", edit)
    comparing.compare(workspace, CONTINENT, {"rome": {"clamp": "1.25"}, "second": {"clamp": 3}}, 1).result(TIMEOUT)
    assert given == [("rome", 1.25), ("second", 3.0)]


def test_a_method_that_fails_does_not_end_the_run(workspace, other_methods, caplog):
    chosen = {"failing": {}, "rome": {"steps": "many"}, "broken": {}, "instant": {}}
    found = comparing.compare(workspace, CONTINENT, chosen, 1).result(TIMEOUT)
    errors = {row.method: str(row.error) for row in found.rows if row.error}
    assert errors["failing"] == "This fact has no second token. Choose another one."
    assert errors["rome"].startswith("steps is 'many'") and errors["broken"] == "a bug"
    assert [row.method for row in found.ranked] == ["instant"] and found.complete
    assert [record.exc_info[0] for record in caplog.records if "broken" in record.message] == [ZeroDivisionError]


def test_no_method_is_a_sentence(workspace):
    with pytest.raises(BadRequest, match="No method is chosen"):
        comparing.compare(workspace, CONTINENT, {}, 1)


def test_a_stop_keeps_the_methods_that_are_done_and_others_are_answered_between_two_steps(
    lab, workspace, other_methods, monkeypatch
):
    reached, go_on = threading.Event(), threading.Event()

    def wait(self, *given, **named):
        reached.set()
        assert go_on.wait(TIMEOUT)
        return Instant.edit(Instant(), *given, **named)

    monkeypatch.setattr(Failing, "edit", wait)
    job = comparing.compare(workspace, CONTINENT, {"instant": {}, "failing": {}, "waiting": {}}, 1)
    assert reached.wait(TIMEOUT)
    between = lab.workspace("somebody else").submit(lambda progress, cancel: "answered")
    assert [row.done for row in job.partial.rows] == [True, False, False]
    go_on.set()
    wait_until(lambda: between.done)
    assert between.result() == "answered"
    wait_until(lambda: job.partial.rows[1].done)
    job.cancel()
    with pytest.raises(Cancelled):
        job.result(TIMEOUT)
    assert [row.done for row in job.partial.rows] == [True, True, False] and not job.partial.complete


def test_the_score_is_a_harmonic_mean_of_the_rates_that_are_known():
    full = {"success": (1, 1), "rephrase": (1, 2), "long": (4, 4), "locality": (3, 4)}
    row = row_of(**full, propagation=(0, 5))
    assert row.counts["rephrase"] == (1, 2) and row.rate("propagation") == 0 and row.rate("shuffle") is None
    assert row.rate("robustness") == 0.75
    assert row.score == pytest.approx(3 / (1 / 1 + 1 / 0.75 + 1 / 0.75))
    assert row_of(**full, same_subject=(0, 2)).score == 0
    assert Compared("rome").score is None and Compared("rome").rate("success") is None


def test_the_best_has_the_highest_score_then_the_highest_mean_then_the_least_time():
    spares = row_of("spares", success=(1, 1), rephrase=(1, 2), locality=(2, 2))
    strong = row_of("strong", success=(1, 1), rephrase=(2, 2), locality=(0, 2))
    weak = row_of("weak", success=(0, 1), rephrase=(0, 2), locality=(2, 2))
    quick = replace(spares, method="quick", seconds=0.5)
    failed, running = Compared("failed", error=BadRequest("No.")), replace(strong, method="running", done=False)
    found = Comparison(CONTINENT, (weak, failed, strong, running, spares, quick))
    assert [row.method for row in found.ranked] == ["quick", "spares", "strong", "weak"]
    assert not found.complete


def test_of_methods_without_a_score_the_one_that_edits_is_better_than_the_one_that_does_nothing():
    edits = row_of("rome", success=(1, 1), rephrase=(5, 12), locality=(3, 10), same_subject=(0, 1))
    idle = row_of("told", success=(0, 1), rephrase=(0, 12), locality=(10, 10), same_subject=(1, 1))
    assert edits.score == idle.score == 0
    assert Comparison(CONTINENT, (idle, edits)).ranked == (edits, idle)
