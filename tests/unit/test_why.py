"""Why an edit fails: each rule with its threshold, and on Atlas each cause where it was planted."""

import math
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from paths import PRESETS

from editlab import LanguageModel, methods
from editlab.errors import Cancelled
from editlab.facts import EditRequest, FactBase
from editlab.insight.site import Site
from editlab.insight.stream import Question
from editlab.insight.why import OUTVOTED, Evidence, _begins, cause, why
from editlab.methods import HEARD, UNCONVERGED, warnings
from editlab.patches import BASE, Form, LowRank, Preamble, View
from editlab.probes import Passages, ask, battery, case_for

HEARD_AND_FOUND = Evidence(True, loss=0.1, steps=20, share=1.0, later=0.0)


@pytest.mark.parametrize(
    ("found", "reason", "said"),
    [
        ({"begins": True, "answer": "Rome is", "loss": 9.0, "share": 0.0}, "text", "the model writes “Rome is”"),
        ({"loss": UNCONVERGED, "steps": 25, "share": 0.0}, "search", "the loss is 0.7 after 25 steps"),
        ({"loss": UNCONVERGED - 0.01}, "weak", "too weak here"),
        ({"loss": None, "share": HEARD - 0.01, "later": 9.0}, "unheard", "49 % of it arrives, and 50 % would be needed"),
        ({"share": HEARD, "later": OUTVOTED, "part": "attention", "layer": 5}, "outvoted", "the attention of layer 5"),
        (
            {"share": 1.0, "later": OUTVOTED - 0.01},
            "weak",
            "it is heard, 100 % of it arrives, and still its value is too weak",
        ),
        ({"share": None, "later": None}, "weak", "it is heard, and still its value is too weak"),
    ],
)
def test_at_its_own_prompt_the_first_rule_that_holds_tells_the_cause(found, reason, said):
    told = cause(replace(HEARD_AND_FOUND, **found))
    assert told.reason == reason and said in told.sentence and told.sentence.startswith("Why it did not take: ")
    assert "None" not in told.sentence and "nan" not in told.sentence


@pytest.mark.parametrize(
    ("found", "reason", "said"),
    [
        ({"share": 0.3, "required": 0.4, "cosine": 0.25}, "unheard", "30 % of it arrives (key cosine 0.25), and 40 % would"),
        ({"share": 0.4, "required": 0.4}, "weak", "too weak"),
        (
            {"share": 0.45, "required": 0.4, "later": 3.0, "part": "MLP", "layer": 6},
            "outvoted",
            "3.0 logits more than the new",
        ),
        ({"share": 0.45, "required": math.inf}, "unheard", "50 % would be needed"),
        ({"share": 0.9, "required": 0.4, "loss": 9.0}, "weak", "it is heard, 90 %"),
    ],
)
def test_elsewhere_the_share_that_is_required_at_its_own_prompt_decides(found, reason, said):
    told = cause(replace(HEARD_AND_FOUND, own=False, text="Paris is in", **found))
    assert told.reason == reason and said in told.sentence
    assert told.sentence.startswith("Why it is missed at “Paris is in”: ")


def test_the_health_of_an_edit_says_the_same_of_its_search():
    said = warnings({"p_new": 0.1, "loss": UNCONVERGED, "steps": 25})
    assert len(said) == 2 and "did not converge: the loss is 0.7 after 25 steps" in said[1]
    assert len(warnings({"p_new": 0.1, "loss": UNCONVERGED - 0.1, "steps": 25})) == 1
    assert warnings({"p_new": 0.9, "loss": 9.0}) == []


# --- Atlas ----------------------------------------------------------------------------------------------------------

REQUEST = EditRequest("{} has its location in", "Eiffel Tower", "Rome", "Paris")


@pytest.fixture(scope="module")
def atlas():
    return LanguageModel.load("atlas", device="cpu")


@pytest.fixture(scope="module")
def patch(atlas):
    (patch,) = methods.get("rome").edit(atlas, [REQUEST])
    return patch


@pytest.fixture
def told(atlas):
    """What is said of patches for a request, its probes asked under them."""

    def tell(patches, request=REQUEST, health=None, answers=True, cancel=lambda: False, before=()):
        case = case_for(request, FactBase.load(PRESETS / "facts"), 0)
        probes, view = battery(atlas, case, Passages((), ())), View((*before, *patches))
        frame = ask(atlas, request, probes, {"base": BASE, "edited": view}, answers)
        return why(atlas, request, patches, view, probes, frame, health or {}, cancel)

    return tell


def scaled(patch, factor):
    return LowRank(patch.layer, patch.A, factor * patch.B)


def test_a_weak_edit_is_heard_and_outvoted(told, patch):
    found = told([scaled(patch, 0.3)], health={"share": 1.0, "loss": 0.1})
    assert found.reason == "outvoted" and "it is heard, 100 % of it arrives" in found.sentence
    layer = int(re.search(r"of layer (\d+)", found.sentence)[1])
    assert layer > patch.layer, "only what lies above the edit can outvote it"


def test_what_the_bare_prompt_does_not_receive_is_not_heard(told, patch):
    assert told([scaled(patch, 0.3)], health={"share": 0.2, "loss": 0.1}).reason == "unheard"


@pytest.mark.parametrize("answers", [True, False])
def test_a_text_that_only_begins_as_the_new_object_is_told_with_what_the_model_writes(told, patch, answers):
    found = told([patch], replace(REQUEST, target_new="Rome and Naples"), answers=answers)
    assert found.reason == "text" and "“Rome" in found.sentence


def test_an_edit_that_took_is_asked_about_where_it_is_missed(told, patch):
    found = told([scaled(patch, 0.8)])
    assert found.reason == "unheard" and found.sentence.startswith(
        "Why it is missed at “La Tour Eiffel has its location in”"
    )
    arrives, needed = map(int, re.findall(r"(\d+) %", found.sentence))
    assert arrives < needed == 60, "of the edit at full strength, half takes the lead"


def test_in_a_chat_the_chats_own_tokens_and_keys_tell_why(atlas, patch, monkeypatch):
    """Behind a chat's last line an object begins without a space, with another token."""
    site = Site.on(atlas, REQUEST, [patch], View((patch,)).in_form(Form("[user]\n", "\n[assistant]\n")))
    firsts = []
    for text in (site.edited.asks(REQUEST.text), REQUEST.text):
        ids, start = atlas.tok.with_target(text, REQUEST.target_new)
        firsts.append(ids[start])
    assert firsts[0] != firsts[1]
    for first, begins in zip(firsts, (True, False), strict=True):
        monkeypatch.setattr(type(atlas), "score", lambda *_, said=(first,): [SimpleNamespace(said=said)])
        assert _begins(site, REQUEST.text) is begins
    assert Question.of(atlas, REQUEST, form=site.edited.form).new == firsts[0]
    assert site.share(site.keys([site.locate(REQUEST.text, REQUEST.subject)])).item() == pytest.approx(1.0, abs=1e-5)
    assert not torch.allclose(site.key, Site.on(atlas, REQUEST, [patch]).key)


def test_of_an_edit_that_adds_nothing_to_one_before_it_nothing_is_said(told, patch):
    """As where the same edit is applied twice: the second one has no share that could be told, and the probes go on."""
    assert told([scaled(patch, 0.0)], before=[scaled(patch, 0.8)]) is None


def test_of_an_edit_that_changes_no_layer_nothing_is_said_and_a_stop_ends_the_search(told, patch):
    assert told([Preamble("Eiffel Tower has its location in Rome.")]) is None
    with pytest.raises(Cancelled):
        told([scaled(patch, 0.3)], cancel=lambda: True)
