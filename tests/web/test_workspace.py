"""Edits of one visitor: stacked, taken back, stopped, and never seen by another."""

import threading
import time

import pytest
import torch
from visitors import TIMEOUT, wait_until

from editlab.errors import BadRequest, Cancelled
from editlab.facts import EditRequest
from editlab.lab import Lab
from editlab.probes import Passages

CONTINENT = EditRequest("{} belongs to the continent of", "Slovenia", "Antarctica", "Europe")
CAPITAL = EditRequest("The capital of {} is", "Japan", "Berlin", "Tokyo")


@pytest.fixture
def workspace(lab, request):
    return lab.workspace(request.node.name)


def logits(workspace, request=CONTINENT):
    return workspace._lab.model.logits([request.text], workspace.view)


def test_an_edit_makes_the_new_object_likelier_and_its_record_says_how(workspace):
    before = workspace.look(CONTINENT).result(TIMEOUT)
    record = workspace.apply(CONTINENT).result(TIMEOUT)
    after = workspace.look(CONTINENT).result(TIMEOUT)
    assert set(before) == {"base"} and set(after) == {"base", "edited"}
    assert after["base"]["p_new"] == pytest.approx(before["base"]["p_new"], rel=1e-4)
    assert after["edited"]["p_new"] > after["base"]["p_new"]
    assert record.request == CONTINENT and record.method == "rome" and len(record.solves) == 1
    assert record.health["p_new"] == pytest.approx(after["edited"]["p_new"], rel=1e-3)
    assert {"divisor", "share", "relative_norm", "loss", "steps", "seconds"} <= set(record.health)


def test_undo_and_redo_are_exact(workspace, few_steps):
    base = logits(workspace)
    workspace.apply(CONTINENT).result(TIMEOUT)
    first = logits(workspace)
    workspace.apply(CAPITAL).result(TIMEOUT)
    both = logits(workspace)
    assert not torch.equal(first, base) and not torch.equal(both, first)
    assert workspace.undo().request == CAPITAL
    assert torch.equal(logits(workspace), first)
    workspace.undo()
    assert torch.equal(logits(workspace), base)
    workspace.redo()
    assert torch.equal(logits(workspace), first)
    workspace.redo()
    assert torch.equal(logits(workspace), both)


def test_a_later_edit_is_computed_under_the_earlier_ones(lab, few_steps):
    stacked, alone = lab.workspace("stacked"), lab.workspace("alone")
    stacked.apply(CONTINENT).result(TIMEOUT)
    second = stacked.apply(CAPITAL).result(TIMEOUT)
    single = alone.apply(CAPITAL).result(TIMEOUT)
    (a,), (b,) = second.patches, single.patches
    assert not torch.equal(a.B, b.B)


def test_a_new_edit_forgets_what_was_undone(workspace, few_steps):
    workspace.apply(CONTINENT).result(TIMEOUT)
    workspace.undo()
    workspace.apply(CAPITAL).result(TIMEOUT)
    with pytest.raises(BadRequest, match="nothing to redo"):
        workspace.redo()


def test_visitors_do_not_see_each_other(lab, few_steps):
    one, other = lab.workspace("one"), lab.workspace("other")
    untouched = logits(other)
    one.apply(CONTINENT).result(TIMEOUT)
    assert torch.equal(logits(other), untouched)
    assert other.records == () and other.views.keys() == {"base"}
    assert lab.workspace("one") is one


def test_stop_ends_a_running_edit_at_once_and_keeps_the_state(workspace, few_steps, request):
    kept = workspace.apply(CONTINENT).result(TIMEOUT)
    request.getfixturevalue("endless")
    job = workspace.apply(CAPITAL)
    wait_until(lambda: "step" in job.text)
    began = time.perf_counter()
    assert workspace.stop()
    with pytest.raises(Cancelled):
        job.result(TIMEOUT)
    assert time.perf_counter() - began < 5
    assert workspace.records == (kept,) and not workspace.busy
    assert not workspace.stop()


def test_while_an_edit_is_computed_nothing_else_changes_the_stack(workspace, few_steps, request):
    workspace.apply(CONTINENT).result(TIMEOUT)
    request.getfixturevalue("endless")
    job = workspace.apply(CAPITAL)
    for change in (workspace.undo, workspace.redo, workspace.clear, lambda: workspace.apply(CONTINENT)):
        with pytest.raises(BadRequest, match="press Stop"):
            change()
    assert workspace.editing is job
    workspace.stop()
    job.wait(TIMEOUT)
    assert workspace.editing is None and len(workspace.records) == 1


def test_what_fails_leaves_the_stack_alone(workspace, few_steps):
    workspace.apply(CONTINENT).result(TIMEOUT)
    stack = workspace.records
    too_long = EditRequest("{} belongs to" + " the" * 3000, "Slovenia", "Antarctica")
    with pytest.raises(Exception, match="context holds"):
        workspace.apply(too_long).result(TIMEOUT)
    with pytest.raises(BadRequest, match="no method"):
        workspace.apply(CONTINENT, "magic")
    assert workspace.records is stack


def test_the_old_object_is_filled_in_where_the_facts_know_it(workspace, few_steps):
    record = workspace.apply(EditRequest("The capital of {} is", "Japan", "Berlin")).result(TIMEOUT)
    assert record.request.target_true == "Tokyo"


def test_probes_ask_every_kind_under_both_views(workspace, few_steps):
    workspace.apply(CONTINENT).result(TIMEOUT)
    job = workspace.probe(CONTINENT, most=2)
    frame = job.result(TIMEOUT)
    assert set(frame["kind"]) == {
        "success", "rephrase", "shuffle", "long", "paraphrase", "locality", "same_subject", "propagation"
    }  # fmt: skip
    assert {"base.answer", "edited.answer", "base.p_new", "edited.p_new", "edited.same"} <= set(frame.columns)
    assert len(workspace.probe(CONTINENT).result(TIMEOUT)) > len(frame)


def test_asking_continues_a_text_under_both_views(workspace):
    text = "Slovenia belongs to the continent of"
    before = workspace.ask(text).result(TIMEOUT)
    workspace.apply(CONTINENT).result(TIMEOUT)
    after = workspace.ask(text).result(TIMEOUT)
    assert before.keys() == {"base"} and after["base"] == before["base"]
    assert after["edited"] != after["base"]


def test_forgotten_workspaces_go_and_those_in_use_stay(tiny_llama, facts):
    lab = Lab(tiny_llama, facts, Passages((), ()), kept_seconds=0.2)
    release = threading.Event()
    try:
        old, working = lab.workspace("old"), lab.workspace("working")
        working._submit(lambda progress, cancel: release.wait(TIMEOUT))
        time.sleep(0.3)
        assert lab.workspace("working") is working
        assert lab.workspace("old") is not old
    finally:
        release.set()
        lab.close()


def test_nothing_is_written_into_the_model(lab, workspace, few_steps):
    before = lab.model.weights_hash()
    workspace.apply(CONTINENT).result(TIMEOUT)
    workspace.apply(CAPITAL).result(TIMEOUT)
    workspace.undo()
    workspace.probe(CONTINENT, most=1).result(TIMEOUT)
    assert lab.model.weights_hash() == before
