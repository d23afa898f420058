"""The HTML of the Edit tab: escaped, and right in its numbers."""

import math
from types import SimpleNamespace

import pandas as pd
import pytest

from editlab.facts import EditRequest
from editlab.figures import sweep
from editlab.lab import CONTROL, Probe
from editlab.web.core import updates
from editlab.web.core.answers import bars, first_clause, headline
from editlab.web.core.html import pieces, render
from editlab.web.edit import answers, gate, probe_table, request_line, score_line, words
from editlab.wording import percent

NASTY = "<script>alert(1)</script>&\"'${1}{{x}}"
REQUEST = EditRequest(f"{NASTY} {{}} is", f"S{NASTY}", f"N{NASTY}", f"T{NASTY}")
SAID = {"top": [[NASTY, 0.9], ["\n", 0.05], ["  ", 0.01]], "p_new": 0.5, "p_true": None, "text": f" {NASTY}. more"}
ROW = {"kind": "rephrase", "domain": "", "text": NASTY, "subject": NASTY, "expected": NASTY, "before": None, "clean": True}
CELLS = {"answer": NASTY, "p_new": 0.5, "p_true": math.nan, "hit": True, "same": 1.0}


def probes(*views: str) -> pd.DataFrame:
    cells = {f"{view}.{name}": value for view in views for name, value in CELLS.items()}
    return pd.DataFrame([ROW | cells | {"base.answer": "something else", "base.hit": False}])


@pytest.mark.parametrize(
    "html",
    [
        answers.at_prompt(REQUEST, {"base": SAID, "edited": SAID}),
        answers.live(NASTY, {"base": SAID}, REQUEST),
        probe_table.probe_table(probes("base", "edited")),
        probe_table.distribution({"base": SAID}, REQUEST),
        request_line.line(NASTY, NASTY, NASTY, NASTY, "rome"),
        render("edit/tokens.html", tokens=[NASTY], said=NASTY),
        render("edit/suggestions.html", objects=[NASTY]),
        render("edit/questions.html", questions={"rephrase": NASTY}),
        gate.tokens(pd.DataFrame([{"token": NASTY, "gate": 0.9, "subject": NASTY, "fires": True}]), "Gates"),
        pieces.message(NASTY, "problem"),
        pieces.progress(NASTY, 0.5, ""),
    ],
)
def test_no_text_becomes_markup(html):
    assert "<script" not in html and "&lt;script" in html


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (1.0, "100 %"),
        (0.973, "97 %"),
        (0.1, "10 %"),
        (0.0431, "4.3 %"),
        (0.00018, "0.018 %"),
        (0.0, "< 0.01 %"),
        (None, "–"),
    ],
)
def test_probabilities_read_as_people_say_them(p, text):
    assert percent(p) == text
    assert percent(math.nan) == "–"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" Europe. The teacher was", "Europe"),
        (" J. K. Rowling. She", "J. K. Rowling"),
        (" the United States, in", "the United States"),
        ("", "(nothing)"),
        (".", "."),
        ("x" * 99, "x" * 47 + "…"),
    ],
)
def test_the_headline_is_the_first_clause(text, shown):
    assert first_clause(text) == shown


def test_white_space_tokens_can_be_seen():
    html = bars(REQUEST, SAID["top"])
    assert "↵" in html and "␣␣" in html


def test_a_bar_is_as_long_as_its_token_is_likely_and_names_the_objects():
    request = EditRequest("{} is in", "Slovenia", "North America", "Europe")
    html = bars(request, [[" North", 0.75], [" Europe", 0.2], [" Asia", 0.05]])
    assert 'class="new"' in html and "width:75.00%" in html and 'class="true"' in html
    assert ">new</span>" in html and ">true</span>" in html, "colour never carries a meaning alone"
    assert html.count("<li") == 5, "missing tokens keep their place"


def test_the_old_answer_is_struck_and_the_new_one_marked_only_where_they_differ():
    request = EditRequest("{} is in", "Slovenia", "Asia", "Europe")
    europe, asia = (
        {"top": [[f" {name}", 0.9]], "text": f" {name}. It", "p_new": 0.1, "p_true": 0.1} for name in ("Europe", "Asia")
    )
    changed = answers.at_prompt(request, {"base": europe, "edited": asia})
    assert "<s>Europe</s>" in changed and ">changed<" in changed
    same = answers.at_prompt(request, {"base": europe, "edited": europe})
    assert "<s>" not in same and ">unchanged<" in same


def test_an_answer_begins_with_its_likeliest_token_before_the_text_is_there():
    partial = {"top": [[" Ant", 0.9]], "text": "", "p_new": 0.5, "p_true": 0.1}
    assert ">Ant</p>" in answers.at_prompt(REQUEST, {"base": partial}) and headline(partial) == "Ant"


@pytest.mark.parametrize("views", [("base",), ("base", "edited"), ("base", "edited", "rep", "masked")])
def test_every_view_becomes_a_column(views):
    said = dict.fromkeys(views, SAID)
    for view in views:
        assert f'id="answer-{view}"' in answers.at_prompt(REQUEST, said)
    assert answers.live("x", said).count("<section") == len(views)
    table = probe_table.probe_table(probes(*views))
    assert f"--views:{len(views)}" in table and table.count('class="said ') == len(views)


def test_probes_that_are_still_to_be_asked_keep_their_places():
    battery = [Probe("rephrase", "", NASTY, NASTY, NASTY), Probe("long", "out", f"{NASTY} again", None)]
    before = probe_table.probe_table(None, battery, ("base", "edited", CONTROL))
    assert before.count('<details class="probe') == before.count("probe waiting") == 2 and before.count('class="said ') == 4
    assert "<script" not in before and "✓" not in before and "p(new)" not in before
    half = probe_table.probe_table(probes("base", "edited"), battery)
    assert half.count('<details class="probe') == 2 and half.count("probe waiting") == half.count("✓") == 1
    assert half.index("✓") < half.index("probe waiting")
    assert "waiting" not in probe_table.probe_table(probes("base", "edited"), battery[:1])


def test_two_edited_views_stand_side_by_side_in_scores_and_rows():
    frame = probes("base", "edited", "rep").assign(**{"edited.hit": False, "edited.answer": "another", "domain": "in"})
    html = score_line.score_line(frame)
    assert "<i>0 →</i> 1 <small>of 1</small>" in html and "Edited model → Edited + REP" in html
    table = probe_table.probe_table(frame)
    assert table.count("✗") == 1 and table.count("✓") == 2 and "missed: " in table and "1 of 1" in table


def test_what_was_not_asked_says_why_and_what_to_do():
    html = score_line.score_line(probes("base", "edited").assign(kind="success"))
    assert "single token, which has no other order" in html and "Write the prompt with one under “Own probes”" in html
    assert "single token" not in score_line.score_line(None, asking=True)
    assert "single token" not in score_line.score_line(probes("base", "edited").assign(kind="success"), asking=True)


WORKED = {"success": (1, 1), "rephrase": (4, 4), "locality": (10, 10)}


@pytest.mark.parametrize(
    ("counts", "tone", "text"),
    [
        (WORKED, "good", "The edit took and holds however it is asked."),
        (WORKED | {"success": (0, 1)}, "bad", "The edit did not take: the model does not give the new answer. Try"),
        (WORKED | {"success": (0, 0)}, "open", "The model gave this answer already"),
        (WORKED | {"rephrase": (1, 4)}, "mixed", "but does not always hold when the subject has another name (1 of 4)."),
        (WORKED | {"locality": (7, 10)}, "mixed", "The edit took, but changed 3 of 10 other subjects."),
        (WORKED | {"propagation": (0, 6)}, "good", "Of what follows from it, 0 of 6 changed."),
    ],
)
def test_the_outcome_is_one_sentence(counts, tone, text):
    said = words.outcome(counts, asking=False)
    assert said[0] == tone and text in said[1]


def test_the_outcome_says_under_what_the_edit_is_judged_and_that_more_comes():
    assert words.outcome(WORKED, False, ("edited", "rep"))[1].startswith("With REP, the edit took")
    assert "More probes are being asked" in words.outcome(WORKED, True)[1]
    assert words.outcome({"success": (0, 0)}, True)[0] == "open"


def gates(*values: float, threshold: float = 0.5) -> pd.DataFrame:
    rows = [{"token": NASTY, "gate": gate, "subject": NASTY, "fires": gate > threshold} for gate in values]
    return pd.DataFrame(rows, columns=["token", "gate", "subject", "fires"])


def test_a_token_that_opens_the_gate_says_so():
    html = gate.tokens(gates(0.9, 0.4, 0.001), "Gates")
    assert html.count("<li") == 3 and html.count(">opens<") == 1
    assert ">0.90<" in html and ">0.40<" in html and "--gate:90%" in html and "&lt; 0.01" in html


def test_of_a_long_text_the_end_and_every_open_gate_are_shown():
    many = gates(0.9, *[0.1] * 200)
    html = gate.tokens(many, "Gates")
    assert html.count(">opens<") == 1 and html.count("<li") == gate.SHOWN_TOKENS + 2
    assert f"… {200 - gate.SHOWN_TOKENS} more, all closed" in html


def test_a_threshold_says_what_it_does():
    assert "in 1 of 2 questions" in words.threshold(0.5, [0.9, 0.5])
    closed = words.threshold(0.99, [0.9, 0.5])
    assert "At 0.99 no gate opens" in closed and "Move the slider to the left" in closed and "0.90" in closed
    assert "no gate opens" in words.threshold(0.5, [])
    assert "needs no help" in gate.at_prompt(gates(0.1))
    assert "needs no help" not in gate.at_prompt(gates(0.9))


def test_the_scores_by_threshold_have_a_panel_a_kind_the_point_now_and_all_of_it_as_a_table():
    swept = pd.DataFrame(
        {
            "threshold": [0.1, 1.0],
            "firing": [3, 0],
            "success": [1.0, 0.5],
            "rephrase_in": [0.8, 0.4],
            "rephrase_out": [0.6, 0.4],
        }
    )
    figure = sweep(swept, gate.panels(swept), 0.55, {"success": 0.75, "rephrase_in": 0.8, "rephrase_out": 0.6})
    lines, marks = ([trace for trace in figure.data if trace.mode == mode] for mode in ("lines", "markers"))
    assert [list(line.y) for line in lines] == [[1.0, 0.5], [0.8, 0.4], [0.6, 0.4]]
    assert [(*mark.x, *mark.y) for mark in marks] == [(0.55, 0.75), (0.55, 0.8), (0.55, 0.6)]
    assert [line.line.dash for line in lines] == ["solid", "solid", "dash"], "colour never carries a meaning alone"
    assert sum(line.showlegend for line in lines) == 2
    titles = [annotation.text for annotation in figure.layout.annotations]
    assert titles == ["Efficacy<br><b>75 %</b>", "Rephrase<br><b>in 80 %, out 60 %</b>"]
    html = gate.table(swept)
    assert html.count("<tr>") == 3 and "<td>40 %</td>" in html and "Rephrase (out)" in html


def test_scores_name_every_kind_and_say_what_it_means():
    own = probes("base", "edited")
    both = pd.concat([own, own.assign(domain="in"), own.assign(domain="out")], ignore_index=True)
    html = score_line.score_line(both)
    assert html.count('class="score') >= 8 and html.count('role="tooltip"') == 8
    for half in ("own", "in", "out"):
        assert f"{half}: 1 of 1." in html and f'class="{half}"></em>' in html
    assert "3 <small>of 3</small>" in html
    assert "None asked" in html and "REP never trains on similar texts" in html
    assert "<li" not in score_line.score_line(None) and score_line.score_line(None, asking=True).count("<li") == 8


@pytest.mark.parametrize(
    ("ahead", "own", "said"),
    [(2, False, "2 before you"), (1, True, "1 job of your own comes first"), (2, True, "2 jobs of your own come first")],
)
def test_who_comes_first_is_said(ahead, own, said):
    line = SimpleNamespace(ahead=lambda _job: ahead, own_ahead=lambda _job: own)
    assert f"Waiting for the model; {said}" in updates._progress(line, SimpleNamespace(), 1.0)


@pytest.mark.parametrize(
    ("fraction", "elapsed", "left"),
    [(0.1, 1.38, "about 12 s left"), (0.9, 2.7, "almost done"), (0.1, 0.3, ""), (0, 5, "")],
)
def test_the_time_left_is_estimated(fraction, elapsed, left):
    line, job = SimpleNamespace(ahead=lambda _job: 0), SimpleNamespace(fraction=fraction, text="value: step 3 of 40")
    html = updates._progress(line, job, elapsed)
    assert f'class="left">{left}</span>' in html and "Value: step 3 of 40" in html
