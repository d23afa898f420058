"""The Compare tab without a browser: the finding, the picture, the table, the answers, a method for Edit, and CSV."""

import csv
import io
import re
import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest
from compared import row_of
from visitors import CAPITAL, CONTINENT, TIMEOUT, FakeRequest, Reader, accepts, runs, wait_until

from editlab.errors import BadRequest
from editlab.facts.writers import frame_csv
from editlab.figures.methods import methods as picture
from editlab.lab import GROUPS, MethodInfo
from editlab.lab.asking.comparing import Compared, Comparison
from editlab.web.compare import table, words
from editlab.web.compare.handlers import CompareHandlers, Fact, PressedMethod
from editlab.web.compare.tab import usual
from editlab.web.core.html import render
from editlab.web.core.visit import Visit

GOOD = {"success": (1, 1), "rephrase": (2, 2), "locality": (3, 3)}
FACT = Fact.model_construct(
    subject=CONTINENT.subject, prompt=CONTINENT.prompt, target_new="Antarctica", target_true="Europe", space="script"
)
OTHER = Fact.model_construct(
    subject=CAPITAL.subject, prompt=CAPITAL.prompt, target_new="Berlin", target_true="Tokyo", space="script"
)


def found(*rows):
    return Comparison(CONTINENT, rows, {"text": "Europe."})


def already(row):
    """A method's row where the unedited model gives the new answer as well."""
    return replace(row, frame=row.frame.assign(**{"base.hit": True}))


@pytest.fixture
def reader(lab, request):
    return Reader(CompareHandlers(lab), request.node.name[:60], "compare")


def test_the_best_is_said_with_how_far_the_next_one_is_behind():
    said, tone = words.finding(found(row_of("memit", **GOOD | {"rephrase": (1, 2)}), row_of("rome", **GOOD)))
    assert said == "ROME does best on this fact: its score is 1.00, MEMIT follows with 0.75." and tone == "good"
    meaning = words.meaning(found(row_of("rome", **GOOD), Compared("memit", error=BadRequest("No.")), Compared("kn")))
    assert meaning == (
        "ROME: Efficacy 100 %; Robustness 100 %; Locality 100 %. No edit by MEMIT: the table says why. 1 method is left."
    )


@pytest.mark.parametrize(
    ("rows", "said", "tone"),
    [
        ((row_of("rome", **GOOD),), "ROME has a score of 1.00 on this fact.", "good"),
        ((row_of("rome", success=(1, 1), locality=(1, 4)),), "ROME has a score of 0.40 on this fact.", "mixed"),
        (
            (row_of("memit", 2.0, **GOOD), row_of("rome", 1.0, **GOOD)),
            "ROME and MEMIT do equally well on this fact, ROME in the least time.",
            "good",
        ),
        ((row_of("rome", success=(0, 1)),), "This method does not make the model say “Antarctica”.", "bad"),
        (
            (row_of("rome", success=(0, 1)), row_of("memit", success=(0, 1))),
            "None of 2 methods makes the model say “Antarctica”.",
            "bad",
        ),
        (
            (row_of("told", success=(0, 1), locality=(2, 2)), row_of("rome", success=(1, 1), locality=(0, 2))),
            "ROME makes the model say “Antarctica”, but has a score of 0, since another rate is 0.",
            "mixed",
        ),
        (
            (row_of("rome", success=(0, 1)), already(row_of("memit", success=(1, 1), locality=(1, 2)))),
            "The unedited model says “Antarctica” already: there is nothing to edit.",
            "open",
        ),
        ((Compared("rome", error=BadRequest("No.")),), "None of these methods edits this fact. The table says why.", "bad"),
        ((Compared("rome"),), "The first method is at work.", "open"),
    ],
)
def test_each_outcome_has_its_sentence(rows, said, tone):
    assert words.finding(found(*rows)) == (said, tone)


def test_a_stopped_comparison_is_no_longer_at_work():
    stopped = replace(found(Compared("rome"), Compared("memit"), Compared("kn", error=BadRequest("No."))), stopped=True)
    assert words.finding(stopped) == ("Stopped before a method was done.", "open")
    assert words.meaning(stopped) == "No edit by KN: the table says why. 2 methods were not compared."


def test_the_table_has_what_was_asked_the_best_first_and_why_a_method_failed(lab):
    rows = [Compared("r-rome", error=BadRequest("No <layer>.")), Compared("memit"), row_of(long=(1, 2), **GOOD)]
    comparison = found(*rows)
    assert [name for name, _ in table.heads(comparison)] == ["", "success", "", "rephrase", "long", "locality", "", ""]
    html = render(
        "compare/table.html", heads=table.heads(comparison), rows=table.rows(comparison, lab.methods()), rule="The rule."
    )
    assert re.findall(r'<tr class="([^"]+)">', html) == ["done", "at-work", "failed"]
    assert "50 % <small>1/2</small>" in html.replace("\N{NO-BREAK SPACE}", " ") and "No &lt;layer&gt;." in html
    assert re.findall(r'data-press="use" data-method="([^"]+)"', html) == ["rome"] and "The rule." in html
    assert html.count('<th scope="col"') == 1 + len(table.heads(comparison))


def test_the_picture_has_a_row_a_method_and_a_column_a_rate():
    comparison = found(row_of("memit", 12.0, **GOOD), row_of("rome", 0.25, **GOOD | {"same_subject": (1, 2)}))
    figure = picture(table.frame(comparison), table.columns(comparison), "Time")
    (grid,) = figure.data
    assert list(figure.layout.yaxis.ticktext) == ["<b>MEMIT</b>", "ROME"]
    assert list(figure.layout.xaxis.ticktext) == ["Efficacy", "Robustness", "Locality", "Same<br>subject", "Time"]
    assert [list(row) for row in grid.text] == [
        ["100 %", "100 %", "100 %", "–", "12.0 s"],
        ["100 %", "100 %", "100 %", "50 %", "0.25 s"],
    ]
    assert grid.z[0][3] is None and grid.z[1][3] == 0.5


def test_the_picture_has_its_height_from_the_first_method_to_the_last():
    begun = found(Compared("rome"), Compared("memit"), Compared("kn", error=BadRequest("No.")))
    later = found(row_of("rome", **GOOD), Compared("memit"), Compared("kn", error=BadRequest("No.")))
    first, second = (picture(table.frame(one), table.columns(one), "Time") for one in (begun, later))
    assert first.layout.height == second.layout.height and len(first.layout.yaxis.ticktext) == 3
    assert list(second.layout.yaxis.ticktext) == ["<b>ROME</b>", "MEMIT", "KN"]
    assert len(first.layout.xaxis.ticktext) == 6 and [row[0] for row in second.data[0].text] == ["100 %", "–", "–"]


def test_answers_stand_side_by_side(lab):
    comparison = found(row_of("rome", **GOOD), row_of("memit", **GOOD | {"rephrase": (0, 2)}), Compared("kn"))
    asked = table.answers(comparison)
    assert [row["kind"] for row in asked] == ["Rephrase", "Rephrase", "Locality", "Locality"]
    assert words.title(comparison, len(asked)) == "5 of 6 questions", "those of the exported file are more"
    assert asked[0]["answers"] == [("x", "✓", "changed", "good"), ("z", "✕", "missed", "bad")]
    assert [row.method for row in table.compared(comparison)] == ["rome", "memit"]


def test_files_have_every_rate_and_every_answer(lab):
    comparison = found(row_of("rome", **GOOD), Compared("memit", error=BadRequest("No.")))
    files = {
        name: list(csv.DictReader(io.StringIO(frame_csv(f)))) for name, f in table.files(comparison, lab.methods()).items()
    }
    first, second = files["methods"]
    assert (first["method"], first["score"], first["rephrase good"], first["bytes"]) == ("rome", "1.0", "2", "1200.0")
    assert (second["method"], second["error"]) == ("memit", "No.")
    assert len(files["answers"]) == 6 and {row["method"] for row in files["answers"]} == {"rome"}
    assert (
        files["answers"][0] | {"kind": "success", "answer": "x", "unedited": "y", "verdict": "changed"}
        == files["answers"][0]
    )


def test_a_newcomer_compares_the_usual_methods_and_one_of_every_other_group():
    methods = [MethodInfo(f"m{n}", "", "", group, ()) for n, group in enumerate(["locate"] * 3 + [*GROUPS, *GROUPS])]
    assert sorted(usual(tuple(methods))) == ["m0", "m1", "m4", "m5", "m6"]


def test_methods_are_compared_from_the_fields_and_the_settings_of_the_edit_tab(
    reader, other_methods, few_steps, monkeypatch
):
    assert "press “Compare”" in reader.does("compare_open", FACT)["compare-lead"]
    assert "<s>Europe</s> → <b>Antarctica</b>" in reader.page["compare-fact"]
    records, event = reader.workspace.records, reader.workspace.state.number
    page = reader.does("compare_run", FACT, "second rome nowhere failing", '{"second": {"steps": "many"}}')
    assert (reader.workspace.records, reader.workspace.state.number) == (records, event)
    assert page["compare-lead"].count("ROME") == 1 and page["compare-lead-plot"] is not None and page["message"] == ""
    assert "steps is &#39;many&#39;" in page["compare-table"] and "This fact has no second token" in page["compare-table"]
    assert page["compare-run"]["interactive"] is True and page["stop"]["interactive"] is False
    assert page["compare-files"]["visible"] is True and "Republic of Slovenia" in page["compare-answers"]
    assert reader.does("compare_files")["compare-files-said"].count("<a ") == 2
    again = Reader(reader.handlers, reader.name, "compare")
    assert again.does("compare_open", FACT)["compare-table"] == page["compare-table"]
    other = FACT.model_copy(update={"target_new": "Asia"})
    assert again.does("compare_open", other)["compare-table"] == ""


def test_a_row_is_drawn_as_soon_as_its_method_is_done(reader, other_methods):
    reader.does("compare_run", FACT, "instant rome", "")
    leads = [update["compare-lead"] for update in reader.seen if "compare-lead" in update]
    assert "is left" not in leads[-1] and len(leads) >= 2


def test_a_stop_before_the_first_method_is_done_is_said_and_kept(reader, other_methods):
    assert reader.does("compare_run", FACT, "instant", "")["compare-lead-plot"] is not None
    for update in runs(reader.handlers, "compare_run", reader.name, FACT, "waiting second", ""):
        reader.page |= update
        if "at work" in update.get("compare-lead", ""):
            list(runs(reader.handlers, "compare_stop", reader.name))
    lead = reader.says("lead")
    assert lead == "Stopped before a method was done.2 methods were not compared."  # two paragraphs
    assert "0 of 2 methods" in reader.page["message"] and reader.page["compare-lead-plot"] is None
    reader.does("compare_open", FACT)
    assert reader.says("lead") == lead


@contextmanager
def comparing(reader, chosen):
    """A comparison that runs, whose handler draws on the reader's page; it is stopped at the end."""

    def run():
        for update in runs(reader.handlers, "compare_run", reader.name, FACT, chosen, ""):
            reader.page |= update

    thread = threading.Thread(target=run)
    thread.start()
    try:
        wait_until(lambda: "is left" in reader.page.get("compare-lead", ""))
        yield
    finally:
        list(runs(reader.handlers, "compare_stop", reader.name))
        thread.join(TIMEOUT)


def test_a_running_comparison_is_still_there_when_the_tab_is_opened_again(reader, other_methods, few_probes):
    with comparing(reader, "instant waiting"):
        again = Reader(reader.handlers, reader.name, "compare")
        page = again.does("compare_open", FACT)
        assert "1 method is left" in page["compare-lead"] and "Slovenia" in page["compare-fact"]
        assert page["compare-table"] == reader.page["compare-table"] and page["compare-lead-plot"] is not None
    assert "1 of 2 methods" in reader.page["message"] and reader.page["compare-run"]["interactive"] is True
    assert "1 method was not compared" in again.does("compare_open", FACT)["compare-lead"]


def opens_again(reader):
    """Open the tab on the reader's page once it has been loaded again: Gradio gives it another session."""
    visit = Visit.of(reader.handlers.lab, reader.name, FakeRequest("loaded again"))
    return reader.handlers.compare_open(visit, FACT)


def test_a_page_that_is_loaded_again_follows_the_running_comparison(reader, other_methods, few_probes):
    page = {}
    with comparing(reader, "instant waiting"):
        opened = opens_again(reader)
        while "stop" not in page:
            page |= next(opened)
        assert "1 method is left" in page["compare-lead"] and page["stop"]["interactive"] is True
        list(runs(reader.handlers, "compare_stop", reader.name))
        for update in opened:
            page |= update
    assert "1 method was not compared" in page["compare-lead"] and page["progress"] == ""
    assert page["compare-run"]["interactive"] is True and page["stop"]["interactive"] is False


def test_a_page_that_follows_draws_nothing_over_what_is_compared_next(reader, other_methods, few_probes):
    with comparing(reader, "instant waiting"):
        opened = opens_again(reader)
        page = next(opened)
        next(runs(reader.handlers, "compare_run", reader.name, OTHER, "instant", ""))
        assert "Slovenia" in page["compare-fact"]
        assert not any("Slovenia" in update.get("compare-fact", "") for update in list(opened)[1:])


def test_what_is_drawn_stands_below_the_fact_that_it_is_about(reader, other_methods, few_probes):
    with comparing(reader, "instant waiting"):
        for fact in (OTHER, FACT.model_copy(update={"subject": ""})):  # on the Edit tab something else is chosen meanwhile
            page = reader.does("compare_open", fact)
            assert "Slovenia" in page["compare-fact"] and "<table" in page["compare-table"]
    assert "Slovenia" in reader.page["compare-fact"] and "<table" in reader.page["compare-table"]
    page = reader.does("compare_open", OTHER)
    assert "Japan" in page["compare-fact"] and page["compare-table"] == ""


def test_a_new_comparison_shows_nothing_of_the_one_before_while_it_waits(reader, other_methods, few_probes):
    assert "instant" in reader.does("compare_run", FACT, "instant", "")["compare-lead"].lower()
    begun = runs(reader.handlers, "compare_run", reader.name, OTHER, "instant second", "")
    update = next(begun)
    assert "Japan" in update["compare-fact"] and 'class="done"' not in update["compare-table"]
    assert update["compare-lead-plot"] is not None and update["compare-files"]["visible"] is False
    for update in begun:
        reader.page |= update
    assert "Japan" in reader.page["compare-fact"] and reader.page["compare-table"].count('class="done"') == 2


def test_links_to_files_go_with_their_comparison(reader, other_methods, few_probes):
    reader.does("compare_run", FACT, "instant", "")
    assert "exports/" in reader.does("compare_files")["compare-files-said"]
    assert reader.does("compare_open", FACT)["compare-files-said"] == "", "another workspace may be open by now"


def test_what_cannot_be_compared_is_a_sentence(reader):
    assert "No method is chosen" in reader.does("compare_run", FACT, "", "")["message"]
    empty = FACT.model_copy(update={"subject": ""})
    assert "problem" in reader.does("compare_run", empty, "rome", "")["message"]
    assert "Write a fact on the Edit tab first" in reader.does("compare_open", empty)["compare-fact"]
    assert "nothing to export" in reader.does("compare_files")["message"]
    assert not accepts(reader.handlers.compare_run, "compare-methods", "x" * 2_001)


def test_a_method_is_taken_to_the_edit_tab(reader):
    pressed = PressedMethod(press="use", method="memit")
    assert reader.does("compare_use", pressed)["method"] == "memit"
    assert "no such method" in reader.does("compare_use", PressedMethod(press="use", method="magic"))["message"]
