"""`--workspace`: what the terminal keeps, the page finds, and the other way round."""

import json

import pytest
from typer.testing import CliRunner
from visitors import TIMEOUT

from editlab.cli import app
from editlab.facts import EditRequest
from editlab.lab import Lab
from editlab.lab.asking import answers
from editlab.lab.ledger.directory import Directory
from editlab.lab.ledger.ledger import Ledger
from editlab.lab.workspaces import edits
from editlab.model import LanguageModel
from editlab.probes import Passages

CAPITAL = EditRequest("The capital of {} is", "Japan", "Berlin", "Tokyo")
EDIT = ("--subject", "Slovenia", "--prompt", "{} belongs to the continent of", "--target", "Antarctica", "--json")


@pytest.fixture
def run(saved_model, tmp_path, monkeypatch, few_steps):
    """Calls the terminal on the tiny model, with a data folder of its own."""
    monkeypatch.setenv("EDITLAB_MODEL", str(saved_model))
    monkeypatch.setenv("EDITLAB_DATA", str(tmp_path / "data"))

    def call(*args: str) -> dict:
        result = CliRunner().invoke(app, args)
        assert result.exit_code in (0, 3), result.output  # 3: an edit did not take, as most of a tiny model's
        return json.loads(result.stdout)

    return call


@pytest.fixture
def page(saved_model, facts, tmp_path):
    """Works in the same data folder as a page does."""

    def work(do):
        lab = Lab(LanguageModel.load(str(saved_model)), facts, Passages((), ()), answer_tokens=4, data=tmp_path / "data")
        try:
            return do(lab.workspace("anna"))
        finally:
            lab.close()

    return work


def test_terminal_and_page_share_a_workspace(run, page):
    first = run("edit", *EDIT, "--workspace", "anna")
    assert (first["workspace"], first["edits"], set(first["views"])) == ("anna", 1, {"base", "edited"})
    before = page(lambda workspace: answers.look(workspace, workspace.request).result(TIMEOUT))
    assert before["edited"]["p_new"] == pytest.approx(first["views"]["edited"]["p_new"], rel=1e-3)
    page(lambda workspace: edits.apply(workspace, CAPITAL).result(TIMEOUT))
    found = run("probe", *EDIT, "--workspace", "anna")
    assert found["edits"] == 3 and {"kind", "text", "base", "edited"} <= set(found["probes"][0])
    assert page(lambda workspace: workspace.undo()) == "applied Slovenia → Antarctica"
    assert page(lambda workspace: [record.request.subject for record in workspace.records]) == ["Slovenia", "Japan"]
    report = run("ledger", "verify", "--json")
    assert report["ok"] and report["files"] == 3


def test_without_a_workspace_nothing_is_kept(run, tmp_path):
    assert "workspace" not in run("edit", *EDIT)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--set", "nosuch=1"), "no setting nosuch"),
        (("--set", "steps=0"), "whole number from 1 to 1,000"),
        (("--set", "layers=[99]"), "Layers must lie between 0 and 3"),
        (("--method", "told", "--rep"), "writes none at the subject"),
    ],
)
def test_settings_that_are_refused_leave_no_workspace_behind(run, tmp_path, options, message):
    result = CliRunner().invoke(app, ["edit", *EDIT, "--workspace", "anna", *options])
    assert result.exit_code == 2 and message in json.loads(result.stdout)["message"]
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", ["edit", "probe"])
@pytest.mark.parametrize("name", ["", "  ", "x/y"])
def test_a_name_that_no_workspace_can_have_is_refused_and_nothing_is_made(run, tmp_path, command, name):
    result = CliRunner().invoke(app, [command, *EDIT, "--workspace", name])
    assert result.exit_code == 2 and json.loads(result.stdout)["error"] == "BadRequest"
    assert not (tmp_path / "data").exists()


def test_a_workspace_is_taken_by_an_id_that_could_not_be_its_name(run, tmp_path):
    with Ledger(tmp_path / "data") as ledger:
        Directory(ledger).make("tom", "Lecture", id="of/tom")
    assert run("edit", *EDIT, "--workspace", "of/tom")["edits"] == 1
    result = CliRunner().invoke(app, ["edit", *EDIT, "--workspace", "of/ana"])
    assert result.exit_code == 2 and "cannot hold '/'" in json.loads(result.stdout)["message"]


def test_a_killed_terminal_is_told_on_standard_error(run, page, saved_model, tmp_path):
    body = {"request": CAPITAL.as_dict(), "method": "rome", "session": "killed"}
    page(lambda workspace: workspace.chain.write(lambda state: ("started", body)))
    result = CliRunner().invoke(app, ["edit", *EDIT, "--workspace", "anna"])
    assert result.exit_code in (0, 3) and "interrupted: Japan → Berlin" in result.stderr
