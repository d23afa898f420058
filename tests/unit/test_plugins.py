"""Methods that other packages bring by the entry point `editlab.methods`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from editlab import methods
from editlab.methods import installed

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "tests" / "data" / "plugin"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """A new process that finds the package."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(PLUGIN)))}
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, env=environment, cwd=ROOT, check=False)


def test_a_method_of_another_package_edits_like_any_other_and_a_broken_one_is_left_out():
    fact = ("--subject", "Slovenia", "--prompt", "{} belongs to the continent of", "--target", "Antarctica")
    done = run("-m", "editlab", "edit", *fact, "--method", "echo", "--set", "steps=2", "--json")
    found = json.loads(done.stdout)
    assert found["method"] == "echo", found
    assert "broken" in done.stderr and "lost" in done.stderr and "Traceback" not in done.stderr


def test_what_is_installed_is_named_once_and_never_takes_a_methods_place(monkeypatch, caplog):
    monkeypatch.syspath_prepend(str(PLUGIN))
    assert [method.name for method in installed(methods.METHODS)] == ["echo"]
    assert "is no Method" in caplog.text and "editlab_nowhere" in caplog.text
    assert list(installed({"echo"})) == [] and "there is a method 'echo' already" in caplog.text


def test_a_method_that_is_not_installed_is_named_with_those_that_are():
    with pytest.raises(methods.BadRequest, match="no method 'echo'"):
        methods.get("echo")
