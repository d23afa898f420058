"""The mask and the guard as ways of looking: views, switches, events, and what is refused."""

import pytest
import torch
from masks import write_mask
from visitors import TIMEOUT

from editlab.errors import BadFile, MissingMask
from editlab.facts import EditRequest
from editlab.lab.asking import answers, ways_back
from editlab.lab.ledger.events import START, Event, fold
from editlab.lab.workspaces import edits
from editlab.patches import BASE

CONTINENT = EditRequest("{} belongs to the continent of", "Slovenia", "Antarctica", "Europe")
CAPITAL = EditRequest("The capital of {} is", "Japan", "Berlin", "Tokyo")


@pytest.fixture
def workspace(lab, request, few_steps, folder):
    return lab.workspace(request.node.name)


def logits(workspace, view):
    return workspace.context.model.logits([CONTINENT.text], view)


def test_the_switch_adds_edited_with_mask_and_the_mask_alone(workspace, tiny_llama, folder):
    write_mask(tiny_llama, folder)
    edits.apply(workspace, CONTINENT).result(TIMEOUT)
    workspace.set_masked(True)
    views = workspace.views
    assert list(views) == ["base", "edited", "masked", "base_masked"]
    assert views["masked"].patches[: len(workspace.view.patches)] == workspace.view.patches
    assert len({tuple(logits(workspace, view)[0, :5].tolist()) for view in views.values()}) == 4
    workspace.set_masked(False)
    assert list(workspace.views) == ["base", "edited"]


def test_a_mask_that_keeps_all_changes_nothing(workspace, tiny_llama, folder):
    write_mask(tiny_llama, folder, pruned=0.0)
    edits.apply(workspace, CONTINENT).result(TIMEOUT)
    workspace.set_masked(True)
    said = answers.look(workspace, CONTINENT).result(TIMEOUT)
    for view, same in (("masked", "edited"), ("base_masked", "base")):
        assert said[view]["text"] == said[same]["text"]
        assert said[view]["p_new"] == pytest.approx(said[same]["p_new"], rel=1e-4)


def test_a_masked_matrix_is_computed_once_as_long_as_nothing_changes(workspace, tiny_llama, folder):
    write_mask(tiny_llama, folder)
    edits.apply(workspace, CONTINENT).result(TIMEOUT)
    workspace.set_masked(True)
    before = workspace.views
    assert all(workspace.views[name] is before[name] for name in ("masked", "base_masked"))
    edits.apply(workspace, CAPITAL).result(TIMEOUT)
    after = workspace.views
    assert after["masked"] is not before["masked"] and after["base_masked"] is before["base_masked"]


@pytest.mark.parametrize("switch", ["masked", "guarded"])
def test_a_switch_is_kept_and_no_undo_takes_it_back(lab, workspace, tiny_llama, folder, switch):
    write_mask(tiny_llama, folder)
    getattr(workspace, f"set_{switch}")(True)
    edits.apply(workspace, CONTINENT).result(TIMEOUT)
    workspace.undo()
    assert not workspace.can_undo and getattr(workspace, switch)
    lab.workspaces._open.clear()
    assert getattr(lab.workspace(workspace.chain._key.workspace), switch)


def test_a_switch_that_is_set_already_writes_no_event(workspace, tiny_llama, folder):
    write_mask(tiny_llama, folder)
    workspace.set_masked(True)
    number = workspace.chain.state.number
    workspace.set_masked(True)
    assert workspace.chain.state.number == number


def test_a_ledger_from_before_the_mask_has_no_mask():
    state = fold([Event(1, "looked", {"request": CONTINENT.as_dict()})], START)
    assert not state.masked and not state.guarded
    assert fold([Event(2, "masked", {"on": True})], state).masked
    with pytest.raises(BadFile, match="verify"):
        fold([Event(2, "guarded", {})], state)


def test_a_mask_that_nobody_trained_is_a_sentence_and_the_switch_stays_off(workspace):
    with pytest.raises(MissingMask, match="editlab mask train"):
        workspace.set_masked(True)
    with pytest.raises(MissingMask, match="--method memit"):
        workspace.set_guarded(True, "memit")
    assert not workspace.masked and not workspace.guarded


def test_a_mask_of_another_model_is_refused_by_name(workspace, tiny_llama, folder, monkeypatch):
    path = write_mask(tiny_llama, folder)
    monkeypatch.setitem(vars(tiny_llama), "checkpoint", "another model")
    path.rename(folder / "another model-rome.safetensors")
    with pytest.raises(BadFile, match="Over other weights it means nothing"):
        workspace.set_masked(True)


def test_an_edit_whose_method_has_no_mask_leaves_the_others_answers(workspace, tiny_llama, folder, monkeypatch):
    write_mask(tiny_llama, folder)
    workspace.set_masked(True)
    first = edits.apply(workspace, CONTINENT).result(TIMEOUT)
    assert "masked" in workspace.views and workspace.mask_problem == ""
    monkeypatch.setattr(type(first), "method", property(lambda self: "memit"), raising=False)
    assert list(workspace.views) == ["base", "edited"] and "memit" in workspace.mask_problem
    with pytest.raises(MissingMask):
        workspace.views_under(mask=True)


def test_masks_of_several_methods_are_laid_over_one_another(workspace, tiny_llama, folder):
    write_mask(tiny_llama, folder, "rome", 0.1)
    write_mask(tiny_llama, folder, "memit", 0.3)
    assert [mask.method for mask in workspace.masks("memit")] == ["memit"]
    edits.apply(workspace, CONTINENT).result(TIMEOUT)
    (known,) = workspace.masks("memit")
    assert (known.method, known.n_train, known.reversed_unseen) == ("rome", 1500, 0.62)
    assert known.pruned == pytest.approx(0.1, abs=0.02)


def test_an_edit_that_is_off_is_under_no_mask(lab, workspace, tiny_llama, folder):
    write_mask(tiny_llama, folder)
    workspace.set_masked(True)
    record = edits.apply(workspace, CONTINENT).result(TIMEOUT)
    workspace.switch(record.id, False)
    assert list(workspace.views) == ["base"] and workspace.mask_problem == ""
    result = answers.ask(workspace, CONTINENT).result(TIMEOUT)
    assert result.complete and not result.on and result.ways_back is None


def test_under_the_guard_the_editor_solves_as_if_there_were_no_mask(lab, workspace, tiny_llama, folder):
    write_mask(tiny_llama, folder)
    plain = edits.apply(lab.workspace("plain"), CONTINENT).result(TIMEOUT)
    workspace.set_guarded(True)
    made = edits.apply(workspace, CONTINENT).result(TIMEOUT)
    assert all(torch.equal(a.B, b.B) for a, b in zip(plain.patches, made.patches, strict=True))
    views = workspace.views
    assert list(views) == ["base", "edited", "guarded"] and views["base"] is BASE
    assert torch.equal(logits(workspace, views["guarded"]), logits(workspace, workspace.views_under(mask=True)["masked"]))
    with pytest.raises(MissingMask, match="memit"):
        edits.apply(workspace, CAPITAL, "memit")
    assert len(workspace.records) == 1


def test_the_ways_back_and_linked_facts_are_answers(workspace, tiny_llama, folder):
    write_mask(tiny_llama, folder)
    edits.apply(workspace, CONTINENT).result(TIMEOUT)
    workspace.set_masked(True)
    result = answers.ask(workspace, workspace.request, most=1).result(TIMEOUT)
    ways = result.ways_back.set_index("way")
    assert list(ways.index) == ["edited", "removed", "svd", "masked"]
    assert ways.loc["removed", "restored"] and ways.loc["removed", "again"] == ways.loc["edited", "changed"]
    views = {name.removesuffix(".answer") for name in result.linked if name.endswith(".answer")}
    assert len(result.linked) > 0 and {"base", "edited", "told"} <= views


def test_without_a_mask_two_ways_back_remain(workspace, tiny_llama):
    record = edits.apply(workspace, CONTINENT).result(TIMEOUT)
    assert list(ways_back.ways(tiny_llama, record, workspace)) == ["edited", "removed", "svd"]
