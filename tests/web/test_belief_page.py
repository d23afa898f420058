"""Whether the model believes a fact, on the page: a row for each kind, who wins, and nothing late beside another edit."""

import pytest
from visitors import CONTINENT, Reader, wait_until

from editlab.errors import Cancelled, TooLong
from editlab.lab.asking import belief
from editlab.lab.asking.belief import BeliefAnswers
from editlab.probes.belief import KINDS
from editlab.web.edit import belief_table
from editlab.web.edit.belief_handlers import BeliefHandlers


@pytest.fixture
def reader(lab, request):
    return Reader(BeliefHandlers(lab), request.node.name[:60], "belief")


def row(kind, known=True, **written):
    """A question of a kind; `written`: whether each view's answer follows the new fact."""
    found = {"kind": kind, "text": f"{kind}?", "expected": "Rome", "known": known}
    for view, value in written.items():
        verdict = "new" if value else "old"
        found |= {f"{view}.verdict": verdict, f"{view}.generated": value, f"{view}.said": f"<{view}>", f"{view}.detail": ""}
    return found


def found(*rows, edited="edited", waiting=()):
    return BeliefAnswers(CONTINENT, ("base", "edited", "told", "note"), edited, "", rows, waiting)


def views(base=False, edited=True, told=True, note=True):
    return {"base": base, "edited": edited, "told": told, "note": note}


def test_every_kind_is_asked_under_the_views_and_the_fact_in_the_prompt(reader):
    reader.applies()
    reader.looks_at(CONTINENT)
    page = reader.does("ask_belief")
    html = page["belief"]
    assert [f'data-kind="{kind}"' in html for kind in KINDS] == [True] * len(KINDS)
    assert all(title in html for title in ("Base model", "Edited model", "Fact in the prompt", "Fact retrieved"))
    assert page["progress"] == "" and "One who believes the fact answers:" in html
    again = belief.ask(reader.workspace, CONTINENT).result()
    assert belief_table.table(again) == html


def test_nothing_late_stands_beside_another_edit(reader, lab):
    reader.applies()
    reader.looks_at(CONTINENT)
    answers = belief.ask(reader.workspace, CONTINENT).result()
    assert belief.is_current(reader.workspace, answers) and answers.edited == "edited" and not answers.waiting
    reader.workspace.undo()
    wait_until(lambda: not reader.workspace.busy)
    assert not belief.is_current(reader.workspace, answers)
    assert belief.ask(reader.workspace, CONTINENT).result().edited == ""


def test_what_was_asked_before_a_stop_stays(reader, monkeypatch):
    left = [lambda: None, lambda: None, lambda: None]

    def stop(cancel, text):
        if not left:
            raise Cancelled(text)
        left.pop()

    monkeypatch.setattr(belief, "stop_if", stop)
    reader.looks_at(CONTINENT)
    html = reader.does("ask_belief")["belief"].replace("\N{NO-BREAK SPACE}", " ")
    assert "Stopped after 3 of 10 kinds" in html and html.count("data-kind=") == 3


def test_a_kind_that_is_too_long_for_the_model_is_not_asked_and_the_others_are(reader, monkeypatch):
    def ask(model, asked, *rest):
        if asked[0].kind.name == "letter":
            raise TooLong("The text has 300 tokens.")
        return ask_belief(model, asked, *rest)

    ask_belief = belief.belief.ask
    monkeypatch.setattr(belief.belief, "ask", ask)
    reader.looks_at(CONTINENT)
    html = reader.does("ask_belief")["belief"]
    assert html.count("data-kind=") == len(KINDS) and "its context is too short" in html


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        (
            [row("recall", **views()), row("hops", **views(edited=False, note=False))],
            {},
            "The fact in the prompt wins by 1: “Fact in the prompt” follows the new fact in 2 of 2 answers, “Edited "
            "model” in 1.",
        ),
        (
            [row("recall", **views(told=False, note=False)), row("hops", False, **views())],
            {},
            "The edit wins by 1: “Edited model” follows the new fact in 1 of 1 answers, “Fact in the prompt” in 0.",
        ),
        (
            [row("recall", **views())],
            {},
            "Neither wins: “Edited model” and “Fact in the prompt” follow the new fact in 1 of 1 answers each.",
        ),
        (
            [row("recall", False, **views())],
            {},
            "None of these questions tells anything about this fact: the unedited model does not give the old answer to it, "
            "or not every answer can be judged.",
        ),
        (
            [row("recall", **views()), row("letter", **views(edited=False, told=None))],
            {},
            "Neither wins: “Edited model” and “Fact in the prompt” follow the new fact in 1 of 1 answers each.",
        ),
        (
            [row("recall", **views())],
            {"edited": ""},
            "No edit of this fact is on. “Fact in the prompt”: 1 of 1 answers follow the new fact.",
        ),
        ([], {"waiting": ("recall",)}, "The questions are being asked, one kind after the other."),
    ],
)
def test_who_wins_is_said_in_a_sentence(rows, options, said):
    assert belief_table.winner(found(*rows, **options)) == said


def test_a_row_counts_what_tells_and_shows_the_texts():
    rows = [row("negation", **views(edited=True)), row("negation", **views(edited=False)), row("choice", False, **views())]
    html = belief_table.table(found(*rows)).replace("\N{NO-BREAK SPACE}", " ")
    assert "1 of 2" in html and "◐" in html and "&lt;told&gt;" in html and "<told>" not in html
    assert "The unedited model does not give the old answer to such a question" in html
    assert "There is no such question about this fact" in html


def test_the_word_of_a_kind_is_that_of_the_question_that_tells():
    rows = [row("negation", **views(edited=None)), row("negation", **views(edited=True))]
    html = belief_table.table(found(*rows, waiting=tuple(KINDS)[3:]))
    (group,) = [part for part in html.split("data-kind=") if part.startswith('"negation"')]
    assert "new fact" in group.split("<details")[0].split("</summary>")[0]
