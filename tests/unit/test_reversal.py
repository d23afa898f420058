"""What a mask's answers amount to: every verdict, at its edges, and what brings old answers back."""

from dataclasses import replace

import pytest
import torch
from paths import PRESETS

from editlab.errors import Cancelled
from editlab.facts import EditCase, EditRequest, Expectation, FactBase
from editlab.patches import BASE, Dense, Mask, Preamble, View
from editlab.probes import Passages, answers_with, battery, case_for, fates, guarded, judged, linked, reversal, ways_back

SLOVENIA = EditRequest("{} belongs to the continent of", "Slovenia", "Antarctica", "Europe")
OLD = {"p_true": 0.9, "p_new": 0.01, "text": " Europe. It"}
NEW = {"p_true": 0.01, "p_new": 0.9, "text": " Antarctica. It"}
TIE = {"p_true": 0.4, "p_new": 0.4, "text": " Asia"}
THIRD = {"p_true": 0.2, "p_new": 0.01, "text": " Asia."}


def said(base=OLD, edited=NEW, masked=OLD, base_masked=OLD):
    return {"base": base, "edited": edited, "masked": masked, "base_masked": base_masked}


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        (said(), "suppressed"),
        (said(masked=NEW), "not reversed"),
        (said(masked=TIE), "not reversed"),
        (said(masked=TIE | {"p_true": 0.5, "p_new": 0.47}), "undecided"),
        (said(masked=TIE | {"p_true": 0.5, "p_new": 0.25}), "suppressed"),
        (said(masked=THIRD), "suppressed"),
        (said(base_masked=NEW), "disturbed"),
        (said(base_masked=TIE), "disturbed"),
        (said(base_masked=THIRD), "disturbed"),
        (said(masked=NEW, base_masked=NEW), "disturbed"),
        (said(base=THIRD, base_masked=THIRD), "suppressed"),
        (said(base=THIRD, base_masked=NEW), "disturbed"),
        (said(edited=OLD), "not edited"),
        (said(edited=TIE), "suppressed"),
        (said(base=NEW), "not known"),
        (said(base=TIE), "not known"),
    ],
)
def test_every_verdict_at_its_edges(answers, verdict):
    assert reversal(answers, SLOVENIA) == verdict


def test_without_a_true_object_nothing_can_return():
    nobody = {name: own | {"p_true": None} for name, own in said().items()}
    assert reversal(nobody, replace(SLOVENIA, target_true=None)) == "no true object"


@pytest.mark.parametrize(
    ("edited", "under", "verdict"),
    [(NEW, OLD, "held"), (NEW, NEW, "got through"), (NEW, TIE, "held"), (OLD, OLD, "not edited"), (OLD, NEW, "not edited")],
)
def test_whether_a_guard_held(edited, under, verdict):
    assert guarded({"edited": edited, "guarded": under}, SLOVENIA) == verdict


def test_a_guard_without_a_true_object_goes_by_what_is_said():
    unknown = replace(SLOVENIA, target_true=None)
    new, old = NEW | {"p_true": None}, OLD | {"p_true": None}
    assert guarded({"edited": new, "guarded": old}, unknown) == "held"
    assert guarded({"edited": new, "guarded": new}, unknown) == "got through"


def test_an_object_is_said_as_a_whole_word():
    assert answers_with({"text": " Europe."}, "Europe") and answers_with({"text": "Europe"}, "Europe")
    assert not answers_with({"text": " European"}, "Europe") and not answers_with({"text": ""}, "Europe")


def test_an_edit_is_judged_by_the_last_view_that_shall_hold_it():
    assert judged(["base", "edited", "rep", "masked", "base_masked"]) == "rep"
    assert judged(["base", "edited", "guarded"]) == "guarded" and judged(["base"]) == "base"


@pytest.fixture(scope="module")
def edited(tiny_llama) -> View:
    noise = torch.randn(tiny_llama.d_model, tiny_llama.d_ff, generator=torch.Generator().manual_seed(1))
    return View((Dense(2, noise),))


@pytest.fixture(scope="module")
def case() -> EditCase:
    return case_for(SLOVENIA, FactBase.load(PRESETS / "facts"))


def test_ways_back_count_what_the_edit_changed_and_what_each_restores(tiny_llama, edited, case):
    asked = battery(tiny_llama, case, Passages((), ()))
    everything = Mask(2, torch.zeros(tiny_llama.d_model, tiny_llama.d_ff, dtype=torch.bool))
    ways = {"edited": edited, "removed": BASE, "masked": View((*edited.patches, everything))}
    steps = []
    rows = ways_back(tiny_llama, SLOVENIA, asked, ways, lambda fraction, text: steps.append(fraction)).set_index("way")
    changed = rows.loc["edited", "changed"]
    assert 0 < changed <= len(asked) and (rows["changed"] == changed).all()
    assert (rows.loc["edited", "again"], rows.loc["edited", "broken"]) == (0, 0)
    assert (rows.loc["removed", "again"], rows.loc["removed", "broken"]) == (changed, 0)
    assert rows.loc["removed", "restored"] and rows.loc["removed", "locality"] == 1 > rows.loc["edited", "locality"]
    assert 0 <= rows.loc["masked", "again"] < changed, "a layer that is gone is no way back"
    assert steps == sorted(steps) and len(steps) > 3


def test_where_the_model_says_nothing_without_the_edit_nothing_is_what_comes_back(tiny_llama, edited, case, monkeypatch):
    asked = battery(tiny_llama, case, Passages((), ()), most=1)
    first = int(tiny_llama.logits([SLOVENIA.text]).argmax())
    assert int(tiny_llama.logits([SLOVENIA.text], edited).argmax()) != first
    monkeypatch.setattr(tiny_llama.hf.generation_config, "eos_token_id", first)
    rows = ways_back(tiny_llama, SLOVENIA, asked, {"edited": edited, "removed": BASE}).set_index("way")
    assert rows.loc["removed", "restored"] and not rows.loc["edited", "restored"]


def test_comparing_the_ways_back_can_be_stopped(tiny_llama, edited, case):
    asked = battery(tiny_llama, case, Passages((), ()), most=1)
    with pytest.raises(Cancelled):
        ways_back(tiny_llama, SLOVENIA, asked, {"edited": edited}, cancel=lambda: True)


def test_linked_facts_stay_follow_or_break(tiny_llama, edited):
    said = {text: tiny_llama.top(text, k=1)[0][0].strip() for text in (f"{number} lies in" for number in range(50))}
    texts = [text for text, word in said.items() if word and tiny_llama.score([text], [word])[0].hit][:3]
    knows, follows, wrong = (said[text] for text in texts)
    items = (
        Expectation(texts[0], "Antarctica", "Ljubljana", knows),
        Expectation(texts[1], follows, "Maribor", "Antarctica"),
        Expectation(texts[2], f"{wrong} Antarctica", "Triglav", f"{wrong} Europe"),
        Expectation("The Alps are in", None, "Alps", "Europe"),
    )
    case = EditCase(SLOVENIA, SLOVENIA.text, "P30", (), propagation=items)
    frame = linked(tiny_llama, case, {"base": BASE, "edited": edited, "told": View((Preamble("Listen."),))})
    assert list(frame["base"]) == ["stays", "follows", "breaks"], "one without an object cannot be judged"
    assert list(frame["known"]) == [True, False, False]
    assert fates(frame, "base") == {"follows": 0, "stays": 1, "breaks": 0}
    assert set(frame["edited"]) | set(frame["told"]) <= {"stays", "follows", "breaks"}
    assert {"base.answer", "edited.answer", "told.answer"} <= set(frame)


def test_a_case_without_linked_facts_has_no_row(tiny_llama):
    frame = linked(tiny_llama, EditCase(SLOVENIA, SLOVENIA.text, "P30", ()), {"base": BASE})
    assert frame.empty and "known" in frame
