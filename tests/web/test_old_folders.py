"""A data folder and a bundle that EditLab 0.1.0 wrote open, verify and answer as they did then: tests/data/release-0.1."""

import json
import shutil
from pathlib import Path

import pytest
from paths import DATA
from typer.testing import CliRunner
from visitors import TIMEOUT

from editlab.cli import app
from editlab.facts import EditRequest
from editlab.lab import Lab
from editlab.lab.workspaces import bundles, edits
from editlab.model import LanguageModel, statistics
from editlab.probes import Passages
from editlab.settings import Settings

RELEASE = DATA / "release-0.1"
THEN = json.loads((RELEASE / "answers.json").read_text(encoding="utf-8"))
NATS = 1e-3
"""How far a log-probability may be from what it was: another PyTorch sums in another order."""


@pytest.fixture(scope="module")
def model():
    """The model that was edited."""
    settings = Settings(model=str(RELEASE / "model"), data=RELEASE / "data")
    return LanguageModel.load(settings.model, device="cpu", dtype="float32", settings=settings)


@pytest.fixture
def folder(tmp_path):
    """A copy of the data folder."""
    return Path(shutil.copytree(RELEASE / "data", tmp_path / "data"))


@pytest.fixture
def lab(model, facts, folder):
    lab = Lab(model, facts, Passages((), ()), data=folder)
    yield lab
    lab.close()


@pytest.fixture
def empty(model, facts, tmp_path):
    """An EditLab in which nothing has happened, with the same model."""
    lab = Lab(model, facts, Passages((), ()), data=tmp_path / "empty")
    yield lab
    lab.close()


def opened(lab, visitor, name):
    (info,) = (info for info in lab.directory.workspaces(visitor) if info.name == name)
    return lab.workspace(info.id, visitor)


def answers(lab, workspace):
    prompts, objects = zip(*THEN["asked"], strict=True)
    return {
        str(name): [score.log_p for score in lab.model.score(prompts, objects, view)]
        for name, view in workspace.views.items()
    }


def as_then(name):
    return {view: pytest.approx(values, abs=NATS) for view, values in THEN["answers"][name].items()}


def terminal(folder, monkeypatch, *words):
    monkeypatch.setenv("EDITLAB_DATA", str(folder))
    result = CliRunner().invoke(app, [*words, "--json"])
    return result.exit_code, json.loads(result.stdout)


def test_the_model_is_still_known_by_its_fingerprint(model):
    assert model.fingerprint == THEN["fingerprint"]
    assert statistics.measured_layers(model) == [1]


def test_the_ledger_verifies(folder, monkeypatch):
    code, report = terminal(folder, monkeypatch, "ledger", "verify")
    assert code == 0 and report["faults"] == []
    assert (report["events"], report["files"]) == (THEN["events"], THEN["files"])


@pytest.mark.parametrize(("visitor", "name"), [("ana", "My edits"), ("ben", "Team"), ("tom", "Team")])
def test_every_view_answers_as_it_did(lab, visitor, name):
    assert answers(lab, opened(lab, visitor, name)) == as_then(name)


def test_the_views_of_the_folder_differ_by_more_than_is_allowed():
    mine = THEN["answers"]["My edits"]
    assert mine["edited"] != pytest.approx(mine["base"], abs=100 * NATS)
    assert mine["rep"] != pytest.approx(mine["edited"], abs=50 * NATS)
    assert THEN["answers"]["Team"]["edited"] != pytest.approx(mine["edited"], abs=100 * NATS)


def test_the_edits_are_as_they_were_left(lab):
    slovenia, japan, batch = opened(lab, "ana", "My edits").records
    assert (slovenia.request.target_new, slovenia.reason, slovenia.author) == ("Antarctica", "for the talk on Friday", "ana")
    assert (japan.request.subject, japan.rep, japan.names) == ("Japan", "default", ("Nippon",))
    assert [request.subject for request in (batch.request, *batch.more)] == ["Kenya", "Norway"] and batch.method == "memit"
    assert all(record.on for record in (slovenia, japan, batch))
    assert [record.request.subject for record in opened(lab, "ben", "Team").records] == ["France"]


def test_a_private_workspace_is_still_its_owners_alone(lab):
    assert [(info.name, info.shared, info.mine) for info in lab.directory.workspaces("ana")] == [
        ("My edits", False, True),
        ("Team", True, False),
    ]
    assert [info.name for info in lab.directory.workspaces("tom")] == ["Team"]


def test_check_ups_are_kept(lab):
    assert lab.monitor.health(opened(lab, "ana", "My edits")).table["edits"].tolist()[-1] == 4
    assert lab.monitor.health(opened(lab, "ben", "Team")).table["edits"].tolist()[-1] == 1


def test_work_goes_on_where_it_stopped(lab, folder, monkeypatch, few_steps):
    mine, team = opened(lab, "ana", "My edits"), opened(lab, "ben", "Team")
    assert team.redo() and [record.request.subject for record in team.records] == ["France", "Slovenia"]
    for _ in range(3):
        mine.undo()
    assert not mine.records[0].on
    edits.apply(mine, EditRequest("The capital of {} is", "Spain", "Lima", "Madrid")).result(TIMEOUT)
    assert mine.records[-1].request.subject == "Spain"
    code, report = terminal(folder, monkeypatch, "ledger", "verify")
    assert (code, report["files"]) == (0, THEN["files"] + 1) and report["events"] > THEN["events"] + 4


def test_a_bundle_comes_in_by_the_page(empty, monkeypatch):
    info = bundles.unpack(empty.workspaces, "tom", RELEASE / "my-edits.zip")
    assert (info.name, info.mine, info.shared) == ("My edits", True, False)
    assert answers(empty, empty.workspace(info.id)) == as_then("My edits")
    code, report = terminal(empty.ledger.folder, monkeypatch, "ledger", "verify")
    assert code == 0 and report["events"] == 18, "17 of the bundle, and a note of where they came from"


def test_a_bundle_comes_in_by_the_terminal(tmp_path, monkeypatch):
    words = ("ledger", "import", "--from", str(RELEASE / "my-edits.zip"), "--model", str(RELEASE / "model"))
    code, report = terminal(tmp_path / "new", monkeypatch, *words)
    assert code == 0 and (report["events"], report["workspaces"]) == (17, 0)
    assert terminal(tmp_path / "new", monkeypatch, "ledger", "verify")[1]["ok"]
