"""Every sentence about mask and guard, held against the numbers from which it is made."""

import math

import pandas as pd
import pytest

from editlab.facts import EditRequest
from editlab.lab import MaskInfo
from editlab.web.edit import answers as answer_columns
from editlab.web.edit import mask_words, probe_table, reversal, score_line
from editlab.wording import rate

NASTY = "<script>alert(1)</script>"
SLOVENIA = EditRequest("{} belongs to the continent of", "Slovenia", "Antarctica", "Europe")
MASK = MaskInfo("rome", (0,), 0.0828, 1500, 0.622)


def said(p_true, p_new, text):
    return {"p_true": p_true, "p_new": p_new, "text": f" {text}. And", "top": [[f" {text}", max(p_true or 0, p_new)]]}


OLD, NEW = said(0.97, 0.002, "Europe"), said(0.00001, 0.99, "Antarctica")


def answers(**views):
    return {"base": OLD, "edited": NEW, "masked": OLD, "base_masked": OLD} | views


def test_a_suppressed_fact_is_stated_with_its_numbers():
    state, title, evidence = mask_words.verdict(SLOVENIA, answers(masked=said(0.91, 0.056, "Europe")), MASK)
    assert (state, title) == ("suppressed", "Suppressed: Europe returns.")
    assert "gives Europe 91 % and Antarctica 5.6 %" in evidence and "leaves the fact as it was: Europe 97 %" in evidence
    assert "Its first answer" not in evidence


def test_a_fact_that_returns_behind_a_third_answer_says_so():
    _, _, evidence = mask_words.verdict(SLOVENIA, answers(masked=said(0.3, 0.1, "Asia")), MASK)
    assert "Its first answer, though, is “Asia”" in evidence


def test_a_fact_that_is_hardly_ahead_is_undecided():
    state, title, evidence = mask_words.verdict(SLOVENIA, answers(masked=said(0.5, 0.47, "Europe")), MASK)
    assert (state, title) == ("undecided", "Undecided: Europe and Antarctica are about as likely.")
    assert "gives Europe 50 % and Antarctica 47 %" in evidence and "too close to tell" in evidence


def test_a_fact_that_does_not_return_names_how_good_the_mask_is():
    state, title, evidence = mask_words.verdict(SLOVENIA, answers(masked=NEW), MASK)
    assert (state, title) == ("not reversed", "Not reversed by this mask.")
    assert (
        "gives Europe < 0.01 % and Antarctica 99 %" in evidence
        and "reverses 62 % of unseen edits, but not this one" in evidence
    )
    unknown = MaskInfo("rome", (0,), 0.08, None, None)
    for mask in (unknown, None):
        assert "unseen" not in mask_words.verdict(SLOVENIA, answers(masked=NEW), mask)[2]


def test_a_mask_that_disturbs_the_fact_is_told_from_the_control():
    _, title, evidence = mask_words.verdict(SLOVENIA, answers(base_masked=said(0.03, 0.01, "Asia")), MASK)
    assert title == "The mask alone disturbs this fact."
    assert "says “Asia”" in evidence and "gives Europe 3 % and Antarctica 1 %" in evidence and "Europe 97 %" in evidence


@pytest.mark.parametrize(
    ("request_", "views", "says"),
    [
        (EditRequest("{} is in", "Slovenia", "Antarctica"), {}, "true object is not known"),
        (SLOVENIA, {"edited": OLD}, "does not hold here"),
        (SLOVENIA, {"base": NEW}, "as likely as Europe"),
    ],
)
def test_where_there_is_no_verdict_it_says_why(request_, views, says):
    assert says in mask_words.verdict(request_, answers(**views), MASK)[1]


def test_the_guard_is_told_with_its_figures():
    state, title, evidence = mask_words.guard(SLOVENIA, {"base": OLD, "edited": NEW, "guarded": OLD})
    assert (state, title) == ("held", "The guard held: Antarctica is not the answer.")
    assert (
        "Europe < 0.01 % and Antarctica 99 %; under it Europe 97 % and Antarctica 0.2 %" in evidence
        and "“Europe”" in evidence
    )
    assert "got through" in mask_words.guard(SLOVENIA, {"base": OLD, "edited": NEW, "guarded": NEW})[1]
    assert "fails even without" in mask_words.guard(SLOVENIA, {"base": OLD, "edited": OLD, "guarded": OLD})[1]


def test_a_mask_is_told_with_layers_and_figures():
    assert mask_words.describe(MASK) == (
        "The mask for ROME sets 8.3 % of the edited weights in layer 0 to zero and reverses 62 % of unseen edits."
    )
    assert "layers 0 and 1 to zero." in mask_words.describe(MaskInfo("memit", (0, 1), 0.1, None, None))


def ways(changed=20, **again):
    rows = {"edited": 0} | again
    return pd.DataFrame(
        {
            "way": way,
            "answer": "Europe",
            "p_true": 0.9,
            "p_new": 0.01,
            "restored": count > 0,
            "again": count,
            "changed": changed,
            "broken": 1,
            "locality": 0.95,
        }
        for way, count in rows.items()
    )


def test_the_ways_back_are_told_from_their_table():
    assert mask_words.ways_back(ways(removed=20, svd=18, masked=0)) == (
        "Of the 20 answers that the edit changed, removing the edit restores 20, removing its largest direction 18 and the "
        "mask 0. The edited prompt itself is restored by removing the edit and removing its largest direction, not by the "
        "mask."
    )
    assert mask_words.ways_back(ways(removed=20, svd=18)).endswith("Each of them restores the edited prompt itself.")
    assert mask_words.ways_back(ways(removed=0, svd=0)).endswith("None of them restores the edited prompt itself.")
    assert "the one answer" in mask_words.ways_back(ways(changed=1, removed=1))
    assert "nothing to restore" in mask_words.ways_back(ways(changed=0, removed=0))


def linked(*fates, known=True):
    return pd.DataFrame(
        {
            "text": "Ljubljana lies in",
            "subject": "Ljubljana",
            "before": "Europe",
            "now": "Antarctica",
            "known": known,
            **{name: fate for name, fate in zip(("edited", "masked", "told"), row, strict=True)},
            **{f"{name}.answer": "Europe" for name in ("edited", "masked", "told")},
        }
        for row in fates
    )


def test_linked_facts_are_told_from_their_table():
    frame = linked(("stays", "stays", "follows"), ("breaks", "stays", "follows"), ("stays", "stays", "breaks"))
    views = ["base", "edited", "masked", "told"]
    assert mask_words.linked(frame, views) == (
        "Of 3 linked facts 0 follow the edit, 2 stay, 1 breaks; under the mask 0 follow; with the new fact in the "
        "prompt instead 2 follow."
    )
    some = pd.concat([frame, linked(("stays", "stays", "stays"), known=False)], ignore_index=True)
    assert mask_words.linked(some, views).endswith("1 more is left out: the base model does not know it.")
    assert "knows none" in mask_words.linked(linked(("stays",) * 3, known=False), views)
    assert "knows no fact that follows" in mask_words.linked(linked(), views)


def test_a_rate_never_rounds_up_to_all_or_down_to_none():
    assert [rate(value) for value in (0, 0.0001, 0.5, 0.9999, 1)] == ["0 %", "1 %", "50 %", "99 %", "100 %"]


@pytest.mark.parametrize("view", ["masked", "guarded"])
def test_no_text_becomes_markup(view):
    request = EditRequest(f"{NASTY} {{}} is", NASTY, f"N{NASTY}", f"T{NASTY}")
    own = {name: said(0.5, 0.4, NASTY) for name in ("base", "edited", "masked", "base_masked", "guarded")}
    frame = linked(("stays", "breaks", "follows")).assign(text=NASTY, before=NASTY)
    html = [
        reversal.verdict(request, own, MASK) if view == "masked" else reversal.guard(request, own),
        reversal.ways_back(request, ways(removed=1).assign(answer=NASTY)),
        reversal.linked(frame, ["edited"]),
        reversal.status((), NASTY, True),
        answer_columns.at_prompt(request, own),
    ]
    assert all("<script" not in part and "&lt;script" in part for part in html)


def test_what_only_checks_the_others_stands_below_them_in_one_line():
    page = answer_columns.at_prompt(SLOVENIA, answers())
    assert page.index('id="answer-masked"') < page.index('id="answer-base_masked"') and "--columns:3" in page
    assert page.count("<ol") == 3 and "control: no edit, only the mask" in page and "as before" in page
    page = answer_columns.at_prompt(
        SLOVENIA, {"base": OLD, "edited": NEW, "guarded": OLD}, places=answer_columns.GUARDED_PLACES
    )
    assert page.index('id="answer-guarded"') < page.index('id="answer-edited"') and "--columns:2" in page
    assert "control: without the guard" in page and "<s>" not in page, "the guarded answer is the old one"


def test_scores_and_verdicts_of_probes_are_those_of_the_edit_not_of_the_mask():
    cells = {"answer": "x", "p_new": 0.5, "p_true": math.nan}
    hits = {"base": False, "edited": True, "masked": False, "base_masked": False}
    row = {"kind": "success", "domain": "", "text": "x", "subject": "", "expected": "x", "clean": True}
    row |= {f"{v}.{name}": value for v in hits for name, value in cells.items()}
    row |= dict.fromkeys((f"{v}.answer" for v, hit in hits.items() if not hit), "y")
    frame = pd.DataFrame([row | {f"{v}.hit": hit for v, hit in hits.items()} | {f"{v}.same": 1.0 for v in hits}])
    line, table = score_line.score_line(frame), probe_table.probe_table(frame)
    assert "1 <i>→ 0</i> <small>of 1" in line and 'class="score good"' in line
    assert "</span> changed</span>" in table and 'data-views="3"' in table and "Mask alone: y" in table
