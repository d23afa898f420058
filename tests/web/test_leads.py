"""What the tabs say first: each rule by which a finding and its picture are chosen, and what the titles of the rest say."""

import math
from types import SimpleNamespace

import pandas as pd
import pytest

from editlab.facts import EditRequest
from editlab.insight import Similarity
from editlab.lab import Measured
from editlab.web.inside import lead as inside
from editlab.web.inside import words as inside_words
from editlab.web.inside.sections import Selection, Shown
from editlab.web.keys import lead as keys
from editlab.web.keys import words as keys_words
from editlab.web.model import words as model_words
from editlab.web.workspace import words as workspace_words

REQUEST = EditRequest("{} belongs to the continent of", "Slovenia", "Antarctica", "Europe")
NAN = math.nan

# --- Keys -------------------------------------------------------------------------------------------------------------


def answers(*rows, required=0.5):
    """Rows of `bounds`: kind, what happened, share, subject."""
    frame = pd.DataFrame(rows, columns=["kind", "happened", "share", "subject"])
    frame.attrs["required"] = required
    return frame


def similarities(*rows):
    """Rows of `similarity`: kind, before and after REP."""
    return Similarity(pd.DataFrame(rows, columns=["kind", "before", "after"]), (0.3, 0.1), True, 0)


HELD, STAYED = ("rephrase", "hold", 0.8, "Slovenia"), ("locality", "stay", 0.1, "Italy")
FAILED, CHANGED = ("rephrase", "fail", 0.2, "Slovenia"), ("locality", "move", 0.6, "France")
WITHOUT = similarities(("success", 1.0, NAN), ("rephrase", 0.4, NAN))


@pytest.mark.parametrize(
    ("rows", "required", "section", "tone", "said"),
    [
        ([FAILED, CHANGED], math.inf, "bounds", "bad", "too weak: at its own prompt, Antarctica leads at no strength."),
        ([HELD, STAYED], 1.2, "bounds", "bad", "Antarctica leads only from 120 % of its strength on."),
        (
            [FAILED, HELD, STAYED],
            0.5,
            "similarity",
            "bad",
            "fails at 1 of 2 probes: 20 % of it arrives there, and it needs 50 %.",
        ),
        ([FAILED, CHANGED], 0.1, "bounds", "bad", "although 20 % of it arrives there and 10 % would do."),
        (
            [FAILED, ("paraphrase", "fail", 0.9, "Slovenia"), HELD, STAYED],
            0.5,
            "bounds",
            "bad",
            "fails at 2 of 3 probes; at 1 of these less arrives than the 50 % that it needs.",
        ),
        (
            [HELD, HELD, FAILED, CHANGED],
            0.5,
            "bounds",
            "mixed",
            "1 of 1 other subject changes as well: France receives 60 %",
        ),
        ([HELD, CHANGED, STAYED], 0.7, "bounds", "mixed", "70 % would be needed at the edit’s own prompt."),
        ([HELD, STAYED], 0.5, "bounds", "good", "holds at the only rephrased probe, and the only other subject keeps its"),
        ([], 0.5, "bounds", "good", "The edit leads at its own prompt from 50 % of its strength on."),
    ],
)
def test_what_matters_most_of_the_keys_is_decided_by_what_happened(rows, required, section, tone, said):
    found = keys.lead(REQUEST, answers(*rows, required=required), WITHOUT)
    assert (found.section, found.tone) == (section, tone) and said in found.finding
    assert "nan" not in found.finding + found.meaning


@pytest.mark.parametrize(
    ("rows", "happened", "tone", "said"),
    [
        ([("rephrase", 0.4, 0.98), ("locality", 0.1, 0.1)], [HELD], "good", "REP brings 1 of 1 rephrased keys of Slovenia"),
        ([("rephrase", 0.4, 0.98), ("locality", 0.1, 0.9)], [HELD], "mixed", "opens for 1 other subject of 1 as well"),
        ([("rephrase", 0.4, 0.98), ("locality", 0.1, 0.1)], [FAILED], "mixed", "now holds at 0 of 1 rephrased probe."),
        ([("rephrase", 0.4, 0.4), ("locality", 0.1, 0.1)], [FAILED], "bad", "gate stays closed at the only rephrased key"),
    ],
)
def test_with_rep_the_keys_that_its_gate_moves_come_first(rows, happened, tone, said):
    found = keys.lead(REQUEST, answers(*happened, STAYED), similarities(*rows))
    assert (found.section, found.tone) == ("similarity", tone) and said in f"{found.finding} {found.meaning}"


def test_the_titles_of_the_keys_say_what_was_found():
    forms = similarities(("success", 1.0, NAN), ("rephrase", 0.4, NAN), ("long", 0.3, NAN), ("long", 0.5, NAN))
    assert keys_words.similarity_title(forms).startswith("0.40 ")
    assert keys_words.similarity_title(similarities(("success", 1.0, NAN))) == ""
    moved = similarities(("rephrase", 0.4, 0.9), ("long", 0.3, 0.3))
    assert keys_words.similarity_title(moved) == "REP brings 1 of 2 rephrased keys from a similarity of 0.40 to 0.90"
    assert keys_words.bounds_title(answers(required=math.inf)) == "the new object never leads, at any strength"


# --- Inside -----------------------------------------------------------------------------------------------------------


def shown(new=1, true=2, layers=(0,)):
    """What is drawn, after the last token."""
    question = SimpleNamespace(request=REQUEST, at=1, token="␣of", new=new, true=true)
    selection = Selection(**{"inside-shown": "edited-base", "inside-which": "new", "inside-form": "added"})
    return Shown(question, layers, selection)


def lens(edited, base=(0.0, 0.9)):
    """The logit lens of two layers: P(new) and P(true) after the last one."""
    rows = [
        {"view": view, "layer": layer, "back": 1, "token": "␣of", "p_new": p[0] * layer, "p_true": p[1] * layer}
        | {"logit_new": 10.0 * p[0] * layer, "logit_true": 10.0 * p[1] * layer}
        for view, p in (("base", base), ("edited", edited))
        for layer in (0, 1)
    ]
    return pd.DataFrame(rows)


def parts(gain):
    """Contributions of which the MLP of layer 1 gains so many logits."""
    rows = [
        {"view": view, "part": part, "layer": layer, "new": gain if (view, part) == ("edited", "mlp") else 0.0, "true": 0.0}
        for view in ("base", "edited")
        for part, layer in (("token embedding", -1), ("attention", 1), ("mlp", 1))
    ]
    return pd.DataFrame(rows)


def heads(edited):
    """The attention of a head of layer 1."""
    return pd.DataFrame([("base", 1, 0, 0.1), ("edited", 1, 0, edited)], columns=["view", "layer", "head", "weight"])


@pytest.mark.parametrize(
    ("frames", "section", "tone", "said"),
    [
        (
            (lens((0.9, 0.05)), parts(3.0), heads(0.2)),
            "lens",
            "good",
            "After “of”, Antarctica leads from layer 1 on: it ends at 90 %",
        ),
        (
            (lens((0.3, 0.6)), parts(1.0), heads(0.1)),
            "lens",
            "bad",
            "Antarctica does not take the lead: it ends at 30 %, Europe",
        ),
        (
            (lens((0.9, 0.05)), parts(12.0), heads(0.2)),
            "contributions",
            "",
            "The MLP of layer 1 does most: it adds 12.0 logits to",
        ),
        (
            (lens((0.3, 0.6)), parts(1.0), heads(0.9)),
            "attention",
            "",
            "Layer 1, head 0 pays 90 % of its attention to Slovenia, 10 %",
        ),
        ((lens((0.01, 0.9)), parts(0.2), heads(0.1)), "lens", "bad", "Inside, the edit of Slovenia changes next to nothing"),
    ],
)
def test_what_matters_most_inside_is_the_largest_change_against_the_unedited_model(frames, section, tone, said):
    found = inside.lead(dict(zip(inside.CANDIDATES, frames, strict=True)), shown())
    assert (found.section, found.tone) == (section, tone) and said in found.finding
    assert "nan" not in found.finding + found.meaning


def test_first_tokens_that_are_the_same_and_heads_below_the_edit_do_not_count():
    frames = {"lens": lens((0.9, 0.05)), "contributions": parts(12.0), "attention": heads(0.5)}
    assert inside.lead(frames, shown(new=1, true=1)).section == "attention"
    assert "next to nothing" in inside.lead(frames, shown(new=1, true=1, layers=(1,))).finding
    assert inside.lead({}, shown()) is None


def test_the_titles_inside_say_what_was_found():
    assert inside_words.lens_title(REQUEST, lens((0.9, 0.05)), 1) == "Antarctica leads from layer 1 on"
    assert inside_words.lens_title(REQUEST, lens((0.1, 0.8)), 1) == "Europe leads from layer 1 on"
    assert inside_words.lens_title(REQUEST, lens((0.5, 0.5)), 1) == "neither object leads"
    assert inside_words.contributions_title(parts(3.0)) == "the MLP of layer 1 gains most, +3.0 logits"
    assert inside_words.attention_title(REQUEST, heads(0.9), (0,)) == "1 head attends more to Slovenia than before, 0 less"
    assert "by 0.10 more or less" in inside_words.attention_title(REQUEST, heads(0.1), (0,))


# --- Workspace and Model ----------------------------------------------------------------------------------------------


def test_a_workspace_says_what_can_be_done_next():
    on, off = SimpleNamespace(on=True), SimpleNamespace(on=False)
    assert "Apply one" in workspace_words.next_step([], False)
    assert "Switch one on" in workspace_words.next_step([off], False)
    assert workspace_words.next_step([on], False).startswith("Share it")
    assert workspace_words.next_step([on], True).startswith("Compare it")


ABOUT = {
    "model": "m",
    "validated": True,
    "measured": {"success": 0.96, "locality": 0.993, "edits": 50, "seconds_per_edit": 0.7},
}


def test_a_model_says_how_well_edits_go_and_what_is_next():
    assert model_words.lead(ABOUT) == ("m: 96 % of 50 edits take, and 99 % of other facts stay.", "good")
    never = {"model": "m", "validated": False, "measured": {}}
    assert model_words.lead(never) == ("m: edits were never measured on this model.", "mixed")
    assert "key statistics" in model_words.next_step(never, (1,), [])
    assert "editlab validate" in model_words.next_step(never, (), [])
    assert "to train one" in model_words.next_step(ABOUT, (), [])
    assert "choose a fact" in model_words.next_step(ABOUT, (), ["rome"])
    rows = {title: value for title, value, _ in model_words.abilities(ABOUT, [Measured(0, 100, None)], (), ["rome"])}
    assert rows == {"Key statistics": "Layer 0", "REP": "ready", "Reversal mask": "ROME", "Speed": "0.7 s"}
    rows = {title: value for title, value, _ in model_words.abilities(never, (), (1, 2), [])}
    assert rows["Reversal mask"] == "none yet" and rows["Speed"] == "not measured" and rows["Key statistics"] == "missing"
    assert model_words.statistics_title((), (1, 2)) == "layers 1 and 2 have none"
