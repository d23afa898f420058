"""A run of a scenario in a workspace of a tiny model: its steps, its repetitions, its problems, and the terminal."""

import json

import pytest
from paths import PRESETS
from typer.testing import CliRunner

from editlab import probes
from editlab.cli import app
from editlab.lab.scenarios import Run, finish, parse_scenario, read_scenarios

HEAD = """
title = "Slovenia"
shows = "It moves."
source = "a paper"
models = ["atlas"]
"""
EDIT = """
[[steps]]
do = "edit"
subject = "Slovenia"
prompt = "{} belongs to the continent of"
new = "Antarctica"
true = "Europe"
"""
ASK = '[[steps]]\ndo = "ask"\nprompt = "Slovenia lies in"\n'


def switch(to):
    return f'[[steps]]\ndo = "switch"\nto = "{to}"\n'


@pytest.fixture
def run_of(lab, request):
    """`run_of(steps)` begins a run in a new workspace."""
    return lambda steps: Run(lab, lab.workspace(request.node.name[:60]), parse_scenario(HEAD + steps, "mine"))


def test_the_steps_are_performed_in_the_workspace_as_a_visitor_would(run_of, few_steps):
    more = 'also = [{ subject = "Japan", prompt = "The capital of {} is", new = "Berlin" }]\n'
    run = run_of('[[steps]]\ndo = "say"\ntext = "Hello."\n' + EDIT + more + ASK + switch("rep on"))
    say, edit, ask, switched = run
    assert not run.tried and all(result.ok for result in run.results) and say.outcome.answers == {}
    assert [record.request.subject for record in run.workspace.records] == ["Slovenia", "Japan"]
    assert {record.reason for record in run.workspace.records} == {"Slovenia"}
    assert run.workspace.request.subject == "Slovenia" and edit.outcome.text == "Slovenia belongs to the continent of"
    assert set(ask.outcome.answers) == {"base", "edited"} and 0 < ask.outcome.answers["edited"]["p_new"] < 1
    assert set(switched.outcome.answers) == {"base", "edited", "rep"} and run.workspace.records[0].rep_on


def test_what_an_ask_says_is_what_the_page_says(run_of, instant):

    run = run_of(EDIT + '[[steps]]\ndo = "ask"\nprompt = "Slovenia belongs to the continent of"\n')
    _, ask = run
    summaries = probes.summaries(run.lab.model, run.workspace.request, run.workspace.views)
    for view, own in summaries.items():
        assert ask.outcome.answers[view]["text"] == own["text"]
        assert ask.outcome.answers[view]["p_new"] == pytest.approx(own["p_new"], rel=1e-4)


def test_a_text_in_front_is_asked_with_and_without(run_of):
    for front in ('front = "It is so."', "passage = true"):
        (result,) = run_of(ASK + front)
        assert result.outcome.text.endswith(" Slovenia lies in") and result.outcome.alone.keys() == {"base"}


def test_an_edit_is_not_computed_twice_and_an_undo_not_undone(run_of, instant):
    run = run_of(EDIT + EDIT.replace("Slovenia", "Japan").replace("Europe", "Asia") + switch("undo"))
    list(run)
    assert len(run.workspace.records) == 1
    for place in (0, 2):
        assert finish(run.perform(place)).ok and len(run.workspace.records) == 1
    finish(run.perform(1))
    assert len(run.workspace.records) == 2
    run.restart()
    assert run.workspace.records == () and run.results == [None] * 3 and all(result.ok for result in run)


def test_an_edit_of_the_same_fact_with_other_settings_is_made_as_well(run_of, instant):
    steps = [f"{EDIT}settings = {{ layers = [{layer}], steps = 9 }}\n" for layer in (1, 2)]
    run = run_of("".join((*steps, EDIT)) + f"{EDIT}settings = {{ layers = [70] }}\n")
    assert [bool(result.problem) for result in run] == [False, False, False, True]
    layers = [list(record.config["layers"]) for record in run.workspace.records]
    assert layers[:2] == [[1], [2]] and len(layers) == 3
    for place in range(3):
        assert finish(run.perform(place)).ok and len(run.workspace.records) == 3


def test_an_edit_with_rep_for_other_names_is_made_as_well(run_of, few_steps):
    names = [f"{EDIT}rep = 'default'\nnames = {list(own)}\n" for own in ((), ("the land of Lake Bled",))]
    run = run_of(EDIT + "".join(names))
    assert not any(result.problem for result in run)
    assert [record.names for record in run.workspace.records] == [(), (), ("the land of Lake Bled",)]
    assert finish(run.perform(1)).ok and len(run.workspace.records) == 3


def test_a_problem_is_a_sentence_and_leaves_the_edits_as_they_are(run_of, instant):
    views = '[[steps]]\ndo = "ask"\nprompt = "Slovenia lies in"\nviews = ["rep"]\n'
    battery = '[[steps]]\ndo = "look"\ntab = "edit"\nnotice = "See."\nprobes = ["success"]\n'
    run = run_of(switch("undo") + battery + EDIT + views + switch("mask on") + ASK + "chat = true\n" + ASK)
    problems = [result.problem for result in run]
    assert problems[0].startswith("There is nothing to undo.") and problems[1].startswith("There is no edit yet.")
    assert problems[3].startswith("There is no view 'rep' here, only base, edited.") and "mask" in problems[4]
    assert "chat template" in problems[5] and problems[2] == problems[6] == ""
    assert len(run.workspace.records) == 1 and [result.ok for result in run.results if result.problem] == [False] * 5


def test_an_expectation_that_holds_without_the_edit_is_found(run_of, instant):
    never = "expect = [{ is_not = 'quite another thing' }, { is_not = 'quite another thing', unlike = 'before' }]\n"
    edit, ask = run_of(EDIT + never + ASK + never)
    assert not edit.ok and [one.verdict for one in edit.checks] == ["met anyway", "not met"]
    assert edit.checks[0].contrast.startswith("base: ") and edit.checks[1].contrast.startswith("before: No step")
    assert not ask.ok and [one.verdict for one in ask.checks] == ["met anyway"] * 2


def test_a_look_asks_probes_and_a_check_up(run_of, instant):
    look = (
        '[[steps]]\ndo = "look"\ntab = "edit"\nnotice = "See."\nprobes = ["success", "rephrase"]\nmost = 1\ncheckup = true\n'
    )
    _, result = run_of(EDIT + look + "expect = [{ metric = 'relative_norm', at_least = 1e-6 }]")
    assert result.ok and result.checks[0].contrast == "without edits: 0"
    assert (
        set(result.outcome.probes["kind"]) == {"success", "rephrase"} and result.outcome.tally("edited", "rephrase")[1] == 2
    )
    assert result.outcome.metrics["loss_base"] > 0


def test_a_run_hands_over_every_job_so_that_it_can_be_followed_and_stopped(run_of, instant):
    run, jobs = run_of(EDIT), []

    def stop(job):
        jobs.append(job)
        job.cancel()
        job.wait()

    result = finish(run.perform(0), stop)
    assert result.problem.startswith("Stopped") and len(jobs) == 1 and run.workspace.records == ()
    assert finish(run.perform(0)).ok


# --- The terminal ---------------------------------------------------------------------------------------------------


def terminal(*args, code=0):
    result = CliRunner().invoke(app, ["scenario", *args, "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout) if result.stdout else {}


def test_the_terminal_lists_and_checks(tmp_path):
    listed = terminal("list")["scenarios"]
    assert [one["name"] for one in listed] == [one.name for one in read_scenarios(PRESETS / "scenarios")]
    assert terminal("check", str(PRESETS / "scenarios" / "letter.toml"))["title"] == "A letter from the capital of France"
    (tmp_path / "bad.toml").write_text(HEAD + "[[steps]]\ndo = 'sing'")
    found = CliRunner().invoke(app, ["scenario", "check", str(tmp_path / "bad.toml")])
    assert "step 1: 'sing' is no kind of step" in found.output


def test_the_terminal_runs_a_file_and_fails_where_an_expectation_is_not_met(saved_model, tmp_path):
    file, given = tmp_path / "mine.toml", ("--model", str(saved_model))
    file.write_text(HEAD + ASK + 'expect = [{ view = "base", is_not = "Europe" }]')
    found = terminal("run", str(file), *given)
    assert found["ok"] and not found["tried"] and found["steps"][0]["checks"][0]["verdict"] == "met"
    file.write_text(HEAD + ASK + 'expect = [{ is_not = "Europe" }]')
    found = terminal("run", str(file), *given, code=1)
    assert found["steps"][0]["checks"][0] | {"actual": ""} == {
        "expected": "edited: does not say “Europe”",
        "verdict": "met anyway",
        "actual": "",
        "contrast": found["steps"][0]["checks"][0]["contrast"],
    }
    assert "✗ also without the edit" in CliRunner().invoke(app, ["scenario", "run", str(file), *given]).stdout
    assert "There is no scenario 'none'" in CliRunner().invoke(app, ["scenario", "run", "none"]).output


def test_the_terminal_writes_a_report_that_holds_everything(saved_model, tmp_path):
    file, given = tmp_path / "mine.toml", ("--model", str(saved_model))
    file.write_text(HEAD + ASK + 'expect = [{ view = "base", is = "<b>" }]')
    found = terminal("run", str(file), "--report", str(tmp_path / "report.html"), *given, code=1)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert found["report"] == str(tmp_path / "report.html")
    assert "Base model: says “&lt;b&gt;”" in html and "<b>✗ not met</b>" in html and "0 of 1 expectation met." in html
    assert "editlab scenario run mine.toml" in html and "EDITLAB_MODEL=" in html and "The scenario’s file, mine.toml" in html
    assert len(html) < 100_000, "without a figure it needs no plotly.js"
    wrong = CliRunner().invoke(app, ["scenario", "run", str(file), "--report", str(tmp_path), *given])
    assert wrong.exit_code == 2 and "cannot be written" in wrong.output
