"""Files of scenarios: each fault is named with its step and what to write instead, and contrasts are held."""

import re

import pytest
from paths import ROOT

from editlab.errors import BadFile
from editlab.facts import EditRequest
from editlab.lab.scenarios import STEPS, Expect, Outcome, parse_scenario, read_scenario, read_scenarios
from editlab.lab.scenarios.expect import check

HEAD = """
title = "Slovenia"
shows = "It moves."
source = "a paper"
models = ["atlas", "other"]
"""
SAY = '[[steps]]\ndo = "say"\ntext = "Hello."\n'
ASK = '[[steps]]\ndo = "ask"\nprompt = "Slovenia lies in"\n'
EDIT = '[[steps]]\ndo = "edit"\nsubject = "Slovenia"\nprompt = "{} lies in"\nnew = "Asia"\ntrue = "Europe"\n'
LOOK = '[[steps]]\ndo = "look"\ntab = "keys"\nnotice = "See."\n'
GUESS = '[[steps]]\ndo = "guess"\nquestion = "Where?"\noptions = ["Asia", "Europe"]\nright = "Asia"\n'
REQUEST = EditRequest("{} lies in", "Slovenia", "Asia", "Europe")


def said(**texts):
    return {view: {"text": f" {text}. More.", "p_new": 0.9, "p_true": 0.1} for view, text in texts.items()}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("title = ", "mine.toml is not TOML"),
        (SAY, "mine.toml, field title: it is missing. Add it"),
        (HEAD, "field steps: it is missing"),
        (HEAD + "steps = []", "field steps"),
        (HEAD + SAY + '[[steps]]\ndo = "sing"', "step 2: 'sing' is no kind of step. Write do = with one of: say, ask, edit"),
        (HEAD + '[[steps]]\ntext = "Hello."', "step 1: the step does not say what to do. Add do = with one of: say"),
        (HEAD + '[[steps]]\ndo = "ask"', "step 1 (ask), field prompt: it is missing. Add it"),
        (HEAD + SAY.replace("text", "txt"), "step 1 (say), field t"),
        (
            HEAD + SAY + 'colour = "red"',
            "step 1 (say), field colour: there is no such field. Remove it, or write one of: do",
        ),
        (HEAD + ASK + "tokens = 0", "step 1 (ask), field tokens"),
        (HEAD + ASK + "tokens = 'many'", "step 1 (ask), field tokens"),
        (HEAD + ASK + 'views = ["left"]', "step 1 (ask), field views: 'left' does not fit. Write 'base', 'edited'"),
        (HEAD + ASK + 'front = "So."\npassage = true', "step 1 (ask): front and passage both"),
        (HEAD + EDIT.replace("{}", "It"), "step 1 (edit): The subject 'Slovenia' does not occur in the prompt."),
        (HEAD + EDIT.replace("Asia", "Europe"), "step 1 (edit): The new object 'Europe' is the true object already."),
        (HEAD + EDIT + 'method = "glue"', "step 1 (edit), field method: 'glue' does not fit. Write 'rome'"),
        (HEAD + EDIT + "settings = { speed = 3 }", "step 1 (edit): rome has no setting 'speed': write one of layers"),
        (HEAD + EDIT + 'rep = "yes"', "step 1 (edit), field rep"),
        (
            HEAD + EDIT + 'also = [{ subject = "Peru", prompt = "{} is", new = "A", true = "A" }]',
            "step 1 (edit), edit 1: The",
        ),
        (
            HEAD + EDIT + 'also = [{ subject = "Peru", prompt = "{} is", new = "A", why = "B" }]',
            "one of: new, prompt, subject",
        ),
        (HEAD + '[[steps]]\ndo = "switch"\nto = "mask off on"', "step 1 (switch), field to: 'mask off on' does not fit."),
        (HEAD + LOOK.replace("keys", "cellar"), "step 1 (look), field tab"),
        (HEAD + LOOK + 'probes = ["luck"]', "step 1 (look), field probes"),
        (HEAD + LOOK + 'expect = [{ score = "rephrase", at_least = 1 }]', "its kind is not among the probes"),
        (HEAD + LOOK + 'expect = [{ metric = "kl", at_least = 1 }]', "this look has no checkup = true"),
        (HEAD + GUESS, "the last step is a guess, which nothing answers"),
        (HEAD + GUESS.replace('right = "Asia"', 'right = "Peru"') + SAY, "the right answer 'Peru' is not among the options"),
        (HEAD + GUESS.replace('"Asia", "Europe"', '"Asia"') + SAY, "step 1 (guess), field options"),
        (HEAD + GUESS.replace('"Asia", "Europe"', '"Asia", "Asia"') + SAY, "an option stands there twice"),
        (HEAD + ASK + "expect = [{}]", "step 1 (ask), expectation 1: an expectation has one of is, is_not"),
        (HEAD + ASK + 'expect = [{ is = "A", is_not = "B" }]', "and this one has is and is_not"),
        (
            HEAD + ASK + 'expect = [{ is = "A" }, { was = "A" }]',
            "expectation 2, field was: there is no such field. Remove it",
        ),
        (HEAD + ASK + 'expect = [{ p = "new" }]', "expectation 1: p needs a limit: add at_least or at_most"),
        (HEAD + ASK + 'expect = [{ is = "A", at_least = 1 }]', "at_least belongs to p, score or metric, not to is"),
        (HEAD + ASK + 'expect = [{ is = "A", unlike = "edited" }]', "the view 'edited' cannot be unlike itself"),
        (HEAD + ASK + 'expect = [{ verdict = "held" }]', "an ask has answers alone: put “verdict: held” into a look"),
        (HEAD + ASK + 'views = ["base"]\nexpect = [{ is = "A" }]', "the view 'edited' is expected to say something, but"),
        (HEAD + SAY + 'only = ["third"]', "step 1 is only for 'third': add that to the models"),
        (HEAD + ASK + 'only = ["atlas"]', "no step is for other: add one, or take other from the models"),
        (HEAD + SAY * 101, "field steps"),
        ("x" * 200_001, "a scenario has at most 200,000. Shorten it"),
    ],
)
def test_a_fault_is_named_with_its_step_and_what_to_write(text, fault):
    with pytest.raises(BadFile) as found:
        parse_scenario(text, "mine")
    assert fault in str(found.value) and str(found.value).startswith("mine.toml") and "\n" not in str(found.value)[:60]


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(BadFile, match=r"none\.toml cannot be read"):
        read_scenario(tmp_path / "none.toml")
    (tmp_path / "torn.toml").write_bytes(b'title = "\xff"')
    with pytest.raises(BadFile, match=r"torn.toml is not UTF-8 text \(byte 9\)"):
        read_scenarios(tmp_path)


def test_scenarios_come_in_their_place(tmp_path):
    for name, place in (("b", "place = 1"), ("a", "place = 2"), ("c", "")):
        (tmp_path / f"{name}.toml").write_text(place + HEAD + SAY)
    assert [one.name for one in read_scenarios(tmp_path)] == ["b", "a", "c"]


def test_a_model_gets_its_own_steps_and_expectations_and_a_new_one_those_of_the_first():
    own = 'only = ["other"]\n'
    found = parse_scenario(HEAD + SAY + SAY + own + ASK + 'expect = [{ is = "A", only = ["other"] }, { is = "B" }]', "x")
    assert [len(found.for_model(model)) for model in ("atlas", "other", "new")] == [2, 3, 2]
    assert [[one.is_ for one in found.for_model(model)[-1].expect] for model in ("atlas", "other", "new")] == [
        ["B"],
        ["A", "B"],
        ["B"],
    ]


EDITED = Outcome(REQUEST, answers=said(base="Europe", edited="Asia", rep="Asia", masked="Europe", base_masked="Europe"))
FAILED = Outcome(REQUEST, answers=said(base="Europe", edited="Europe"))
FRONT = Outcome(answers=said(base="Asia"), alone=said(base="Europe"))
SCORED = Outcome(scores={"base": {"rephrase_in": (0.0, 2)}, "edited": {"rephrase_in": (1.0, 2), "rephrase_out": (2.0, 2)}})
CHECKED = Outcome(metrics={"kl": 0.5, "holds": 0.5, "loss": 3.0, "loss_base": 2.0})


@pytest.mark.parametrize(
    ("expected", "here", "before", "verdict", "contrast"),
    [
        ({"is": "Asia"}, EDITED, None, "met", "base: Europe"),
        ({"is": "Europe"}, FAILED, None, "met anyway", "base: Europe"),  # it holds without the edit: it shows nothing
        ({"is": "Europe", "unlike": "before"}, FAILED, EDITED, "met", "before: Asia"),
        ({"is": "Europe", "unlike": "before"}, FAILED, FAILED, "met anyway", "before: Europe"),
        ({"is": "Europe", "unlike": "before"}, FAILED, None, "not met", "before: No step before this one has asked it."),
        ({"is": "Asi"}, EDITED, None, "not met", ""),
        ({"is_not": "Europe"}, EDITED, None, "met", "base: Europe"),
        ({"contains": "MORE"}, EDITED, None, "met anyway", "base: Europe. More."),
        ({"view": "rep", "is": "Asia"}, EDITED, None, "met anyway", "edited: Asia"),
        ({"view": "rep", "is": "Asia", "unlike": "base"}, EDITED, None, "met", "base: Europe"),
        ({"view": "masked", "is": "Europe"}, EDITED, None, "met", "edited: Asia"),
        ({"view": "guarded", "is": "Europe"}, EDITED, None, "not met", ""),
        ({"view": "base", "is": "Europe"}, EDITED, None, "met", ""),
        ({"view": "base", "is": "Asia"}, FRONT, None, "met", "alone: Europe"),
        ({"view": "base", "contains": "More"}, FRONT, None, "met anyway", "alone: Europe. More."),
        ({"differs": True}, EDITED, FAILED, "met", "base: Europe"),
        ({"differs": True}, EDITED, EDITED, "not met", ""),
        ({"differs": True}, EDITED, Outcome(answers=said(base="Peru", edited="Peru")), "met anyway", "base: Europe"),
        ({"p": "new", "at_least": 0.5}, EDITED, None, "met anyway", "base: 90 %"),
        ({"p": "true", "at_most": 0.05}, EDITED, None, "not met", ""),
        ({"score": "rephrase", "at_least": 0.7}, SCORED, None, "met", "base: 0 of 2"),
        ({"score": "rephrase_in", "at_least": 0.7}, SCORED, None, "not met", ""),
        ({"score": "shuffle", "at_least": 0.7}, SCORED, None, "not met", ""),
        ({"metric": "kl", "at_least": 0.1}, CHECKED, None, "met", "without edits: 0"),
        ({"metric": "kl", "at_most": 0.9}, CHECKED, None, "met anyway", "without edits: 0"),
        ({"metric": "loss", "at_least": 2.5}, CHECKED, None, "met", "without edits: 2"),
        ({"metric": "holds", "at_most": 0.9}, CHECKED, None, "not met", "before: No step before"),
        ({"metric": "holds", "at_most": 0.9}, CHECKED, Outcome(metrics={"holds": 1.0}), "met", "before: 1"),
        ({"verdict": "not edited"}, FAILED, None, "not met", ""),
    ],
)
def test_an_expectation_is_judged_here_and_where_it_must_be_false(expected, here, before, verdict, contrast):
    found = check(Expect.model_validate(expected), here, before)
    assert found.verdict == verdict and found.contrast.startswith(contrast) and found.met == (verdict == "met")
    assert bool(found.contrast) == bool(contrast)


@pytest.mark.parametrize(
    ("expected", "wanted", "verdict"), [("suppressed", "suppressed", "met"), ("not edited", "suppressed", "not met")]
)
def test_a_verdict_is_another_one_without_the_edit(expected, wanted, verdict):
    likely = {"base": (0.1, 0.9), "edited": (0.9, 0.1), "masked": (0.1, 0.9), "base_masked": (0.1, 0.9)}
    texts = said(base="Europe", edited="Asia", masked="Europe", base_masked="Europe")
    answers = {view: texts[view] | {"p_new": new, "p_true": true} for view, (new, true) in likely.items()}
    found = check(Expect(verdict=expected), Outcome(REQUEST, answers=answers), None)
    assert (found.verdict, found.actual) == (verdict, wanted)
    assert found.contrast == ("without the edit: not edited" if verdict == "met" else "")


def test_the_scenario_in_the_documents_has_a_step_of_each_kind():
    (text,) = re.findall(r"```toml\n(.+?)```", (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8"), re.DOTALL)
    assert {step.do for step in parse_scenario(text, "shown").steps} == set(STEPS)
