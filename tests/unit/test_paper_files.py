"""The papers' files: what is said where they are missing, and how they are made again."""

import hashlib
import json
import os
import re
import runpy
import subprocess
import sys

import pytest
from paths import ROOT
from typer.testing import CliRunner

from editlab.cli import app
from editlab.facts.published import SOURCES

DOCUMENT = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
SUMS = dict(re.findall(r"^\| `([\w.]+)` .*`([0-9a-f]{64})` \|$", DOCUMENT, re.MULTILINE))
RECIPES = json.loads((ROOT / "tools" / "papers.json").read_text(encoding="utf-8"))


def test_the_document_has_every_file_with_its_sum():
    assert {*SUMS, "counterfact.json"} == set(SOURCES)
    assert {name: recipe["sha256"] for name, recipe in RECIPES.items()} == {name: SUMS[name] for name in RECIPES}
    assert all(f"https://{source}" in DOCUMENT for source in SOURCES.values() if "/" in source)


@pytest.mark.parametrize(
    "words",
    [
        ("bench", "robustness", "--data", "FOLDER/rep_valid.json"),
        ("bench", "bounds", "--data", "FOLDER/mask_train.json"),
        ("bench", "mask", "--use", "bundled", "--test", "FOLDER/mask_test.json"),
        ("bench", "robustness", "--data", str(ROOT / "tests/data/rep.json"), "--facts", "FOLDER"),
        ("bench", "robustness", "--data", str(ROOT / "tests/data/rep.json"), "--facts", "FOLDER/counterfact.json"),
    ],
    ids=" ".join,
)
def test_a_command_says_where_a_missing_file_of_the_papers_is_to_be_had(tmp_path, words):
    words = [word.replace("FOLDER", str(tmp_path)) for word in words]
    result = CliRunner().invoke(app, [*words, "--json"])
    told = json.loads(result.stdout)
    assert (result.exit_code, told["error"]) == (2, "BadFile")
    assert re.search(r"It is made from \S+: docs/data\.md says how\.", told["message"])


def test_of_any_other_file_nothing_is_said(tmp_path):
    result = CliRunner().invoke(app, ["bench", "robustness", "--data", str(tmp_path / "own.json"), "--json"])
    assert json.loads(result.stdout)["message"].endswith("own.json is not a file. Check the path.")


@pytest.fixture
def tool(monkeypatch):
    """The tool, for one file of two records of which the second is wanted."""
    namespace = runpy.run_path(str(ROOT / "tools" / "papers.py"))
    wanted = json.dumps([{"case_id": 2, "prompt": "é"}], indent=0, ensure_ascii=False).encode()
    recipe = {"repository": "rep", "paths": ["data/all.json"], "case_ids": [2], "sha256": hashlib.sha256(wanted).hexdigest()}
    monkeypatch.setitem(namespace["main"].__globals__, "RECIPES", {"rep_test.json": recipe})
    return namespace["main"], wanted


def checkout(folder, records):
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "all.json").write_text(json.dumps(records), encoding="utf-8")
    return str(folder)


def test_a_file_is_made_from_a_checkout(tool, tmp_path):
    main, wanted = tool
    source = checkout(tmp_path / "source", [{"case_id": 1, "prompt": "a"}, {"case_id": 2, "prompt": "é"}])
    assert main(["--rep", source, "--to", str(tmp_path / "to")]) == 0
    assert (tmp_path / "to" / "rep_test.json").read_bytes() == wanted


@pytest.mark.parametrize("records", [[{"case_id": 2, "prompt": "b"}], [{"case_id": 1, "prompt": "é"}], [3]])
def test_another_commit_is_refused_and_nothing_is_written(tool, tmp_path, capsys, records):
    main, _ = tool
    assert main(["--rep", checkout(tmp_path / "source", records), "--to", str(tmp_path / "to")]) == 2
    assert "docs/data.md" in capsys.readouterr().err and not list((tmp_path / "to").iterdir())


@pytest.mark.parametrize("given", [None, "somewhere"])
def test_their_tests_are_collected_only_where_they_are_asked_for(given):
    left = {name: value for name, value in os.environ.items() if name != "EDITLAB_SHARED_DATA"}
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "tests/papers"]
    environment = left if given is None else left | {"EDITLAB_SHARED_DATA": given}
    found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert found.stdout.count("test_papers.py::") == (0 if given is None else 20), found.stdout + found.stderr
