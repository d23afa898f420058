"""The mask and the guard on the Edit tab, without a browser."""

import re
import threading
from types import SimpleNamespace

import pytest
import torch
from masks import REPORT, write_mask
from visitors import TIMEOUT, Visitor, accepts, wait_until

from editlab.errors import Cancelled
from editlab.lab.model import masks
from editlab.methods.mask import ReversalMask
from editlab.patches import Mask


def is_problem(message: str) -> bool:
    return 'class="problem' in message


pytestmark = pytest.mark.usefixtures("few_steps", "few_probes")


@pytest.fixture
def masked(tiny_llama, folder):
    write_mask(tiny_llama, folder)


def turn(visitor, switch, on="on", method="rome"):
    return visitor.does(f"set_{switch}", method, on)


def test_the_switch_shows_a_column_a_control_a_verdict_and_the_ways_back(visitor, masked):
    visitor.applies()
    assert visitor.page["verdict"] == "" and "answer-masked" not in visitor.page["picture"]
    page = turn(visitor, "mask")
    assert 'id="answer-masked"' in page["picture"] and 'id="answer-base_masked"' in page["picture"]
    assert "<h2>" in page["verdict"] and page["verdict"].count('scope="row"') == 4
    assert "p(Europe)" in page["verdict"] and "p(Antarctica)" in page["verdict"]
    assert page["ways-back"].count("<tr>") == 5 and "removing the edit restores" in page["ways-back"]
    assert "Fact in the prompt" in page["linked"] and "linked fact" in page["linked"]
    assert (page["mask"], page["guard"]) == ("on", "off") and "The mask for ROME sets 1" in page["mask-said"]
    assert "The mask is on." in page["message"] and "Edited + mask: “" in page["message"] and page["progress"] == ""
    assert all(visitor.can("apply", "undo")) and not any(visitor.can("stop"))
    page = turn(visitor, "mask", "off")
    assert page["verdict"] == "" and "answer-masked" not in page["picture"] and page["mask-said"] == ""


def test_before_an_edit_the_switch_waits_for_one(visitor, masked):
    visitor.does("open")
    page = turn(visitor, "mask")
    assert page["mask"] == "on" and "as soon as an edit is on" in page["mask-said"] and page["verdict"] == ""
    assert 'id="answer-masked"' in visitor.applies()["picture"] and "<h2>" in visitor.page["verdict"]


def test_a_mask_that_nobody_trained_is_a_sentence_and_the_switch_goes_back(visitor, folder):
    visitor.applies()
    for switch in ("mask", "guard"):
        page = turn(visitor, switch)
        assert is_problem(page["message"]) and "editlab mask train" in page["message"]
        assert page[switch] == "off" and all(visitor.can("apply"))
        handler = getattr(visitor.handlers, f"set_{switch}")
        assert not any(accepts(handler, switch, state) for state in ("sideways", "", True, None))


def test_a_mask_that_went_away_leaves_the_page_as_it_is_without_it(visitor, tiny_llama, folder):
    path = write_mask(tiny_llama, folder)
    visitor.applies()
    turn(visitor, "mask")
    path.unlink()
    page = Visitor(visitor.lab, visitor.name).does("open")
    assert page["mask"] == "on" and is_problem(page["mask-said"]) and "editlab mask train" in page["mask-said"]
    assert "answer-edited" in page["picture"] and "answer-masked" not in page["picture"] and page["verdict"] == ""


def test_the_guard_judges_the_edit_by_what_it_does_under_it(visitor, masked):
    page = turn(visitor, "guard")
    assert page["guard"] == "on"
    page = visitor.applies()
    assert re.search(r'answer guarded (un)?changed"', page["picture"]) and "answer control edited" in page["picture"]
    assert re.search(r"The guard held|The edit got through|The edit fails even without", page["verdict"])
    assert "Edited model → Edited under the guard" in page["scores"]
    page = turn(visitor, "guard", "off")
    assert "guarded" not in page["picture"] and page["verdict"] == ""


def test_under_the_guard_a_method_without_a_mask_is_refused(visitor, masked):
    turn(visitor, "guard")
    page = visitor.applies(method="memit")
    assert is_problem(page["message"]) and "memit" in page["message"] and visitor.workspace.records == ()


def test_the_address_turns_the_switches_and_a_reload_keeps_them(visitor, masked):
    visitor.applies()
    page = visitor.does("open", mask="on", guard="maybe")
    assert page["mask"] == "on" and visitor.workspace.masked and not visitor.workspace.guarded
    assert Visitor(visitor.lab, visitor.name).does("open")["verdict"] == page["verdict"] != ""
    assert visitor.does("open", mask="off")["verdict"] == ""


def test_an_address_that_asks_for_a_mask_that_nobody_trained_says_so_and_opens_the_page(visitor, folder):
    page = visitor.does("open", mask="on")
    assert page["mask"] == "off" and "editlab mask train" in page["message"] and 'class="said' in page["picture"]


def test_an_edit_that_is_switched_off_has_no_verdict(visitor, masked):
    turn(visitor, "mask")
    visitor.applies()
    assert visitor.page["verdict"]
    page = visitor.presses("change_edit", press="switch", edit=visitor.workspace.records[0].id)
    assert page["verdict"] == "" and "answer-masked" not in page["picture"]


def test_without_an_old_object_the_verdict_asks_for_it(visitor, masked):
    turn(visitor, "mask")
    page = visitor.applies("Zanzibaria", "{} is known for", "Antarctica", "")
    assert "The true object is not known" in page["verdict"] and "p(Antarctica)" in page["verdict"]
    assert "knows no fact that follows" in page["linked"] and "Shown once" not in page["ways-back"]


def test_linked_facts_are_asked_without_a_mask_too(visitor, folder):
    page = visitor.applies()
    assert "linked fact" in page["linked"] and "under the mask" not in page["linked"]
    assert "Shown once" in page["ways-back"]
    assert "Shown once" in visitor.does("undo")["linked"]


def test_a_live_question_is_asked_under_the_mask_as_well(visitor, masked):
    visitor.applies()
    turn(visitor, "mask")
    page = visitor.does("ask", "Ljubljana is the capital of")
    assert page["ask-answers"].count("<section") == 4 and "Mask alone, live" in page["ask-answers"]


@pytest.fixture
def training(monkeypatch, folder):
    """A training that begins at once and ends when it is told to, by `made` or by a stop."""

    def make(model, lessons, method, config, work, progress, cancel):
        progress(0.5, "mask: epoch 20 of 40")
        wait_until(lambda: cancel() or training.made.is_set())
        if cancel():
            raise Cancelled("Stopped.")
        bits = torch.ones(model.d_model, model.d_ff, dtype=torch.bool)
        return ReversalMask(method.name, tuple(Mask(layer, bits) for layer in range(model.n_layers)), REPORT), []

    training = SimpleNamespace(made=threading.Event())
    monkeypatch.setattr(masks.mask, "lessons", lambda *_: ["a fact"])
    monkeypatch.setattr(masks.mask, "cost", lambda *_: SimpleNamespace(sentence="1,500 edits: about 7 minutes."))
    monkeypatch.setattr(masks.mask, "make", make)
    return training


def test_where_a_mask_is_missing_its_training_is_offered_with_what_it_costs(visitor, training):
    page = turn(visitor, "mask")
    assert page["train-mask.visible"] and page["train-mask.value"] == "Train a mask for ROME"
    assert "about 7 minutes" in page["mask-said"] and is_problem(page["message"])


def test_a_mask_is_trained_from_the_page_and_looked_through_at_once(visitor, training):
    visitor.applies()
    training.made.set()
    page = visitor.does("train_mask", "rome")
    assert visitor.workspace.masked and page["mask"] == "on" and not page["train-mask.visible"]
    assert "The mask is trained." in page["message"] and "reverses 62 %" in page["message"]
    assert 'id="answer-masked"' in page["picture"] and page["progress"] == ""


def test_a_training_is_followed_by_another_page_and_stopped_with_a_sentence(lab, visitor, training):
    running = threading.Thread(target=visitor.does, args=("train_mask", "rome"))
    running.start()
    wait_until(lambda: any("Mask: epoch 20 of 40" in message for message in visitor.messages))
    second, third = Visitor(lab, visitor.name), Visitor(lab, "somebody else")
    watching = threading.Thread(target=second.does, args=("open",))
    watching.start()
    wait_until(lambda: any("Mask: epoch 20 of 40" in message for message in second.messages))
    assert "already being trained" in third.does("train_mask", "rome")["message"]
    Visitor(lab, visitor.name).does("stop")
    for thread in (running, watching):
        thread.join(TIMEOUT)
        assert not thread.is_alive()
    assert "train again to resume" in visitor.page["message"] and not visitor.workspace.masked
    assert lab.masks.running is None and all(second.can("apply"))


def test_facts_that_the_model_does_not_know_train_no_mask(visitor, folder):
    page = visitor.does("train_mask", "rome")
    assert is_problem(page["message"]) and "knows none" in page["message"]
