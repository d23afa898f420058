"""`editlab apply`: a file checked from the terminal, applied, killed, and gone on with."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from paths import DATA
from typer.testing import CliRunner

from editlab.cli import app
from editlab.model import LanguageModel

HEADER = "subject,prompt,target_new"
PLACES = ("Slovenia", "Japan", "France", "Brazil", "Kenya", "Canada", "Norway", "Peru", "Chile", "Cuba", "Spain", "Italy")
ROWS = [f"{place},{{}} belongs to the continent of,Antarctica" for place in PLACES]
BAD = "Peru,Peru is in {} and {},Asia"


@pytest.fixture
def data(saved_model, tmp_path, monkeypatch):
    monkeypatch.setenv("EDITLAB_MODEL", str(saved_model))
    monkeypatch.setenv("EDITLAB_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def written(folder: Path, *lines: str) -> str:
    path = folder / "edits.csv"
    path.write_text("\n".join((HEADER, *lines)), encoding="utf-8")
    return str(path)


def run(*args: str, code: int = 0) -> dict:
    """The object of a call; 3 is the exit status where edits did not take."""
    result = CliRunner().invoke(app, ["apply", *args, "--json"])
    found = json.loads(result.stdout)
    assert result.exit_code == (3 if found.get("took") is False else code), result.output
    return found


def test_one_bad_row_and_nothing_is_edited(data, tmp_path):
    path = written(tmp_path, ROWS[0], BAD, *ROWS[1:3])
    for options in (("--check",), ("--workspace", "anna", "--method", "rome"), ("--check", "--skip-bad")):
        found = run(path, *options, code=2)
        assert (found["rows"], found["applied"], found["error"]) == (4, 0, "BadFile")
        (fault,) = found["faults"]
        assert (fault["row"], fault["column"]) == (3, "prompt") and "2 {}" in fault["reason"]
        advised = "without --check" if "--skip-bad" in options else "--skip-bad"
        assert "line 3" in found["message"] and found["message"].endswith(f"{advised}.")
    assert not data.exists()


def test_without_it_the_rest_is_applied_and_kept(data, tmp_path, few_steps):
    path = written(tmp_path, ROWS[0], BAD, *ROWS[1:3])
    options = ("--workspace", "anna", "--method", "rome", "--batch", "2", "--skip-bad", "--set", "clamp=3")
    found = run(path, *options)
    assert (found["rows"], found["applied"], found["resumed_from"], found["edits"]) == (4, 3, 0, 3)
    assert found["workspace"] == "anna" and 0 <= found["success"] <= 1 and 0 <= found["held"] <= 1 and found["seconds"] > 0
    assert len(found["faults"]) == 1
    again = run(path, *options)
    assert (again["applied"], again["resumed_from"], again["edits"]) == (0, 3, 3)
    assert again["success"] == found["success"]


def test_a_good_file_is_only_looked_over(data, tmp_path):
    found = run(written(tmp_path, *ROWS), "--check")
    assert (found["rows"], found["faults"], found["applied"]) == (12, [], 0) and not data.exists()


def test_a_file_is_looked_over_without_a_model(data, tmp_path, monkeypatch):
    monkeypatch.delenv("EDITLAB_MODEL")
    monkeypatch.setattr(LanguageModel, "load", lambda *given, **more: pytest.fail("the model was loaded"))
    found = run(str(DATA / "mzsre.json"), "--check", code=2)
    assert found["forms"] == {"zsRE (de)": 20, "zsRE (zh)": 20} and found["rows"] == 40
    assert [fault["proposal"] and fault["proposal"]["subject"] for fault in found["faults"]] == [None, "Italiens", "印度"]
    taken = run(str(DATA / "mzsre.json"), "--check", "--take-proposals", code=2)
    assert len(taken["faults"]) == 1 and taken["notes"] == ["2 requests were taken as proposed."]
    shown = CliRunner().invoke(app, ["apply", str(DATA / "mzsre.json"), "--check"], env={"COLUMNS": "200"}).stdout
    assert "Read as 20 records of zsRE (de), 20 records of zsRE (zh)." in shown and "what to do" in shown
    assert "only inside of a longer word or number." in shown and "Write {} where it stands, perhaps for 'Italiens'" in shown
    assert run(str(DATA / "fastedit.json"), "--check")["faults"] == []


def test_which_edits_did_not_take_is_a_field_and_a_status(data, tmp_path, few_steps):
    path = written(tmp_path, *ROWS[:3])
    result = CliRunner().invoke(
        app, ["apply", path, "--workspace", "anna", "--method", "rome", "--set", "clamp=0.01", "--json"]
    )
    found = json.loads(result.stdout)
    assert (result.exit_code, found["took"], found["held"]) == (3, False, 0.0)
    assert [(row["row"], row["subject"]) for row in found["missed"]] == [(2, "Slovenia"), (3, "Japan"), (4, "France")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--workspace NAME"),
        (("--workspace", "anna", "--method", "magic"), "no method 'magic'"),
        (("--workspace", "anna", "--set", "steps=0"), "whole number from 1 to 1,000"),
        (("--workspace", "anna", "--set", "nosuch=1"), "no setting nosuch"),
        (("--workspace", "anna", "--method", "rome", "--set", "layers=[99]"), "Layers must lie between 0 and 3"),
        (("--workspace", "anna", "--batch", "0"), "--batch"),
        (("--workspace", ""), "1 to 60 characters"),
        (("--workspace", "  "), "1 to 60 characters"),
        (("--workspace", "x/y"), "cannot hold '/'"),
    ],
)
def test_bad_options_are_refused_and_nothing_is_made(data, tmp_path, options, message):
    found = run(written(tmp_path, *ROWS), *options, code=2)
    assert found["error"] == "BadRequest" and message in found["message"]
    assert not data.exists()


@pytest.mark.parametrize("model", [True, False], ids=["model", "no model"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--set", "nosuch=1"), "no setting nosuch"),
        (("--set", "steps=abc"), "whole number from 1 to 1,000"),
        (("--set", "steps"), "has no value"),
        (("--method", "told", "--set", "steps=2"), "no setting steps"),
        (("--workspace", "x/y"), "cannot hold '/'"),
        (("--workspace", ""), "1 to 60 characters"),
    ],
)
def test_a_check_refuses_the_options_that_applying_refuses(data, monkeypatch, model, options, message):
    if not model:
        monkeypatch.delenv("EDITLAB_MODEL")
    found = run("nowhere.csv", "--check", *options, code=2)
    assert found["error"] == "BadRequest" and message in found["message"]
    assert not data.exists()


def test_a_check_for_a_model_knows_its_layers(data, tmp_path, monkeypatch):
    options = (written(tmp_path, *ROWS), "--check", "--method", "rome", "--set", "layers=[99]", "--set", "seed=1")
    found = run(*options, code=2)
    assert found["error"] == "BadRequest" and "Layers must lie between 0 and 3" in found["message"]
    monkeypatch.delenv("EDITLAB_MODEL")
    assert run(*options)["rows"] == 12


def test_a_file_without_a_row_to_apply_makes_no_workspace(data, tmp_path):
    found = run(written(tmp_path, BAD), "--workspace", "anna", "--method", "rome", "--skip-bad", code=2)
    assert found["error"] == "BadFile" and "1 of 1 rows cannot be edited" in found["message"]
    assert found["message"].endswith(" Mend them.") and not data.exists()


def test_a_file_that_is_none_is_refused(data, tmp_path):
    assert run(str(tmp_path / "nowhere.csv"), "--check", code=2)["error"] == "BadFile"


@pytest.mark.slow
def test_killed_it_goes_on_behind_the_last_batch(data, tmp_path):
    path = written(tmp_path, *ROWS)
    options = ("--workspace", "anna", "--method", "rome", "--batch", "1", "--set", "clamp=0.01")
    process = subprocess.Popen(
        [sys.executable, "-m", "editlab", "apply", path, *options], stdout=subprocess.DEVNULL, env={**os.environ}
    )
    try:
        end = time.monotonic() + 120
        while _applied(data) < 2:
            assert process.poll() is None and time.monotonic() < end, "it ended before it could be killed"
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    kept = _applied(data)
    assert 2 <= kept < len(ROWS)
    result = CliRunner().invoke(app, ["apply", path, *options, "--json"])
    found = json.loads(result.stdout)
    assert (found["resumed_from"], found["applied"], found["edits"]) == (kept, len(ROWS) - kept, len(ROWS))
    assert result.exit_code == (0 if found["took"] else 3) and _applied(data) == len(ROWS)
    verified = CliRunner().invoke(app, ["ledger", "verify", "--json"])
    assert verified.exit_code == 0 and json.loads(verified.stdout)["ok"]


def _applied(data: Path) -> int:
    """How many batches the ledger has."""
    if not (data / "ledger.sqlite").exists():
        return 0
    connection = sqlite3.connect(data / "ledger.sqlite", timeout=30)
    try:
        return connection.execute("SELECT count(*) FROM events WHERE kind = 'applied'").fetchone()[0]
    except sqlite3.OperationalError:  # the table is yet to come
        return 0
    finally:
        connection.close()
