"""`editlab export`: whole or not at all, and what repeats the run makes the same edits."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from paths import PRESETS
from safetensors import SafetensorError
from typer.testing import CliRunner
from visitors import TIMEOUT

from editlab import exports
from editlab.cli import app
from editlab.errors import BadFile, BadRequest, Cancelled
from editlab.facts import EditRequest, read_cases
from editlab.lab import Lab, read_edit_file
from editlab.lab.workspaces import edits
from editlab.lab.workspaces.exports import entries, export, notes
from editlab.lab.workspaces.exports import size as exports_size
from editlab.model import LanguageModel
from editlab.probes import passages

CAPITAL = EditRequest("The capital of {} is", "Japan", "Berlin", "Tokyo")
CONTINENT = EditRequest("{} belongs to the continent of", "Slovenia", "Antarctica", "Europe")
ROWS = "subject,prompt,target_new\nPeru,{} is in,Asia\nKenya,{} is in,Europe\n"
FILES = {
    "peft": ["README.md", "adapter_config.json", "adapter_model.safetensors"],
    "gguf-lora": ["README.md", "edits-lora.gguf"],
    "counterfact": ["counterfact.json"],
    "easyedit": ["easyedit.json"],
    "csv": ["edits.csv"],
    "script": ["batch-2.json", "patches.safetensors", "repeat.py", "repeat.sh"],
    "notebook": ["patches.safetensors", "repeat.ipynb"],
    "tensors": ["README.md", "edits.safetensors", "load.py", "pathways.safetensors"],
    "card": ["README.md"],
    "report": ["report.html"],
}


@pytest.fixture(scope="module")
def lab(saved_model, facts, tmp_path_factory):
    """Works in a data folder of its own, on a workspace with an edit, a batch, an edit with REP, and one that is off."""
    data = tmp_path_factory.mktemp("data")
    model = LanguageModel.load(str(saved_model))
    lab = Lab(model, facts, passages(model, PRESETS / "texts"), data=data)
    anna, config = lab.workspace("anna"), {"steps": 2}
    edits.apply(anna, CAPITAL, config=config, reason="a demo").result(TIMEOUT)
    (data / "edits.csv").write_text(ROWS, encoding="utf-8")
    edits.apply_many(anna, read_edit_file(model, data / "edits.csv"), "rome", config).result(TIMEOUT)
    edits.apply(anna, CONTINENT, config=config, recipe="default").result(TIMEOUT)
    anna.switch(edits.apply(anna, EditRequest("{} is in", "Chile", "Africa"), config=config).result(TIMEOUT).id, False)
    yield lab
    lab.close()


@pytest.fixture
def run(saved_model, lab, monkeypatch):
    """Calls the terminal on the same model and data folder."""
    monkeypatch.setenv("EDITLAB_MODEL", str(saved_model))
    monkeypatch.setenv("EDITLAB_DATA", str(lab.ledger.folder))

    def call(*args: str, code: int = 0) -> dict:
        result = CliRunner().invoke(app, ["export", *args, "--json"])
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    return call


def test_every_format_from_the_terminal(run, tmp_path):
    for form, files in FILES.items():
        found = run("--workspace", "anna", "--format", form, "--to", str(tmp_path / form))
        assert (found["path"], found["workspace"], found["format"]) == (str(tmp_path / form), "anna", form)
        assert found["files"] == [str(tmp_path / form / name) for name in files]
        assert all(Path(file).stat().st_size for file in found["files"])
        assert bool(found["notes"]) == (form != "tensors" and form != "card"), found["notes"]
        if form in ("counterfact", "easyedit", "csv"):
            (file,) = found["files"]
            subjects = [case.request.subject for case in read_cases(file)]
            assert subjects == ["Japan", "Peru", "Kenya", "Slovenia"], "the edit that is off is left out"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)
    text = (tmp_path / "card" / "README.md").read_text(encoding="utf-8")
    assert "a demo" in text and "Chile" not in text


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--workspace", "anna", "--format", "magic"), "BadRequest"),
        (("--workspace", "nobody", "--format", "peft"), "BadRequest"),
    ],
)
def test_what_cannot_be_exported_is_refused(run, tmp_path, options, error):
    assert run(*options, "--to", str(tmp_path / "out"), code=2)["error"] == error
    assert list(tmp_path.iterdir()) == []


def test_without_a_ledger_nothing_is_made(run, tmp_path, monkeypatch):
    monkeypatch.setenv("EDITLAB_DATA", str(tmp_path / "none"))
    assert run("--workspace", "anna", "--format", "csv", "--to", str(tmp_path / "out"), code=2)["error"] == "BadFile"
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_holds_something_or_cannot_be_written_is_refused(lab, tmp_path):
    anna, file = lab.workspace("anna"), tmp_path / "file"
    file.write_text("mine", encoding="utf-8")
    for target in (tmp_path, file, file / "below", Path("/proc/nowhere/out")):
        with pytest.raises(BadFile, match="new folder"):
            export(anna, "csv", target)
    assert file.read_text(encoding="utf-8") == "mine" and list(tmp_path.iterdir()) == [file]
    (tmp_path / "empty").mkdir()
    assert export(anna, "csv", tmp_path / "empty") == [tmp_path / "empty" / "edits.csv"]


def test_a_full_disk_or_a_stop_leaves_nothing(lab, tmp_path, monkeypatch):
    anna = lab.workspace("anna")
    monkeypatch.setattr(exports.checkpoint, "SHARD", "40KB")
    for form, looks in (("card", 1), ("csv", 2), ("checkpoint", 1), ("checkpoint", 3)):  # at the end, and between two parts
        answers = iter([*[False] * (looks - 1), True])
        with pytest.raises(Cancelled):
            export(anna, form, tmp_path / "out", cancel=answers.__next__)
        assert list(tmp_path.iterdir()) == []

    def full(*_args: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(exports.adapter, "save_file", full)
    with pytest.raises(BadFile, match="No space left on device"):
        export(anna, "peft", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_large_exports_take_is_said_before_and_must_fit_the_disk(lab, run, tmp_path, monkeypatch):
    anna = lab.workspace("anna")
    for form, file in {"checkpoint": "model.safetensors", "gguf": "model-F16.gguf", "gguf-lora": "edits-lora.gguf"}.items():
        told = run("--workspace", "anna", "--format", form, "--to", str(tmp_path / form))["bytes"]
        assert told == exports_size(anna, form) <= (tmp_path / form / file).stat().st_size < 1.6 * told + 40_000
    assert run("--workspace", "anna", "--format", "csv", "--to", str(tmp_path / "csv"))["bytes"] is None
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=1_000))
    with pytest.raises(BadFile, match=r"needs .* kB, and .* has 1\.0 kB free") as told:
        export(anna, "gguf-q8_0", tmp_path / "full" / "out")
    assert "\n" not in str(told.value) and not (tmp_path / "full").exists()
    assert export(anna, "csv", tmp_path / "small")


def test_a_rank_is_cut_where_there_is_one(run, tmp_path):
    found = run("--workspace", "anna", "--format", "peft", "--rank", "8", "--to", str(tmp_path / "peft"))
    assert json.loads((tmp_path / "peft" / "adapter_config.json").read_text())["r"] <= 8 and len(found["notes"]) == 1
    for options in (("peft", "--rank", "12"), ("csv", "--rank", "8")):
        told = run("--workspace", "anna", "--format", *options, "--to", str(tmp_path / "out"), code=2)
        assert told["error"] == "BadRequest" and "\n" not in told["message"]
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_of_several_files_is_loaded_as_one_model(lab, tmp_path, monkeypatch, differences):
    monkeypatch.setattr(exports.checkpoint, "SHARD", "40KB")
    anna, texts, told = lab.workspace("anna"), [CAPITAL.text, CONTINENT.text], []
    files = export(anna, "checkpoint", tmp_path / "out", lambda fraction, text: told.append((fraction, text)))
    shards = [path.name for path in files if path.suffix == ".safetensors"]
    assert len(shards) > 1 and len([text for _, text in told if "writing weights" in text]) == len(shards)
    merged = LanguageModel.load(str(tmp_path / "out"))
    differences("merged checkpoint in several files", merged.logits(texts), lab.model.logits(texts, anna.view), 1e-4)


def test_script_and_notebook_make_the_same_edits(lab, tmp_path, monkeypatch, capsys):
    anna = lab.workspace("anna")
    export(anna, "script", tmp_path / "script")
    runpy.run_path(str(tmp_path / "script" / "repeat.py"))
    said = capsys.readouterr().out
    assert said.count("away from the exported one") == 3 and "All edits are the exported ones." in said
    ((top, p),) = lab.model.top(CONTINENT.text, anna.robust, 1)
    assert f"{CONTINENT.text} ->{top!r} ({p:.0%}; the new object: 'Antarctica')" in said

    export(anna, "notebook", tmp_path / "book")
    monkeypatch.chdir(tmp_path / "book")
    cells = [cell.source for cell in nbformat.read("repeat.ipynb", 4).cells if cell.cell_type == "code"]
    cells = [cell.replace("'steps': 2", "'steps': 3", 1) for cell in cells]
    with pytest.raises(SystemExit, match="These are not the exported edits"):
        exec("\n".join(cells), {"__name__": "__main__"})


@pytest.mark.parametrize("method", ["told", "note", "ike", "grace"])
def test_a_script_that_makes_another_edit_beside_the_weights_says_so(lab, tmp_path, capsys, method):
    ben = lab.workspace(f"ben {method}")
    edits.apply(ben, CONTINENT, method, {"steps": 2} if method == "grace" else {}).result(TIMEOUT)
    export(ben, "script", tmp_path / "out")
    path = tmp_path / "out" / "repeat.py"
    runpy.run_path(str(path))
    assert "All edits are the exported ones." in capsys.readouterr().out
    path.write_text(path.read_text(encoding="utf-8").replace("'Antarctica'", "'Africa'"), encoding="utf-8")
    with pytest.raises(SystemExit, match="These are not the exported edits"):
        runpy.run_path(str(path))


def test_the_terminal_lines_make_the_same_edits(lab, run, tmp_path, monkeypatch):
    export(lab.workspace("anna"), "script", tmp_path / "out")
    told = (
        "import json, os, sys; print(json.dumps([sys.argv[1:], {k: v for k, v in os.environ.items() if 'EDITLAB_' in k}])); "
        "sys.exit(3)"  # an edit that did not take does not end the script
    )
    (tmp_path / "editlab").write_text(f"#!{sys.executable}\n{told}\n", encoding="utf-8")
    (tmp_path / "editlab").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    done = subprocess.run(["sh", str(tmp_path / "out" / "repeat.sh"), "again"], capture_output=True, check=True)
    for line in done.stdout.splitlines():
        args, env = json.loads(line)
        result = CliRunner().invoke(app, [*args, "--json"], env=env)
        assert result.exit_code in (0, 3), result.output
    kept, made = (entries(lab.workspace(name)) for name in ("anna", "again"))
    assert [entry.requests for entry in made] == [entry.requests for entry in kept]
    for one, other in zip(made, kept, strict=True):
        assert one.config == other.config
        pair = (exports.named(0, (*entry.patches, *entry.pathways)) for entry in (one, other))
        assert exports.apart(*pair) < 1e-5


def test_an_export_at_the_button_is_a_job_and_says_what_it_leaves_out(lab, tmp_path):
    anna = lab.workspace("anna")
    job = anna.submit(lambda progress, cancel: export(anna, "peft", tmp_path / "out", progress, cancel))
    assert [path.name for path in job.result(TIMEOUT)] == FILES["peft"]
    assert any("pathways" in note for note in notes(anna, "peft"))
    with pytest.raises(BadRequest, match="no export"):
        notes(anna, "magic")
    assert set(FILES) | {"checkpoint", "gguf", "gguf-q8_0", "pdf"} == set(exports.FORMATS)
