"""`editlab verify` and `editlab sign`: one verdict, its exit status, and what each part of it was."""

import json
import shutil
import sqlite3
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from safetensors.torch import load_file, save_file
from signing_keys import make_keys
from typer.testing import CliRunner
from visitors import TIMEOUT

from editlab.cli import app
from editlab.facts import EditRequest
from editlab.lab import Lab
from editlab.lab.ledger import archive
from editlab.lab.ledger.ledger import Ledger
from editlab.lab.model import integrity
from editlab.lab.workspaces import edits
from editlab.model import LanguageModel
from editlab.probes import Passages
from editlab.settings import Settings

CONTINENT = EditRequest("{} belongs to the continent of", "Slovenia", "Antarctica", "Europe")
CAPITAL = EditRequest("The capital of {} is", "Japan", "Berlin", "Tokyo")
DOWN = "model.layers.3.mlp.down_proj.weight"


@pytest.fixture(scope="module")
def place(saved_model, facts, tmp_path_factory):
    """A folder with a ledger (`data`) of two edits of the tiny model, their archive (`all.zip`), and keys."""
    folder = make_keys(tmp_path_factory.mktemp("place"))
    lab = Lab(LanguageModel.load(str(saved_model)), facts, Passages((), ()), data=folder / "data")
    for request in (CONTINENT, CAPITAL):
        edits.apply(lab.workspace(lab.directory.adopt("team").id), request, config={"steps": 2}).result(TIMEOUT)
    archive.export(lab.ledger, folder / "all.zip")
    lab.close()
    return folder


@pytest.fixture
def run(saved_model, place, monkeypatch):
    """Calls the terminal on that data folder; returns the object and the exit status."""
    monkeypatch.setenv("EDITLAB_MODEL", str(saved_model))
    monkeypatch.setenv("EDITLAB_DATA", str(place / "data"))

    def call(*args: object) -> tuple[dict, int]:
        result = CliRunner().invoke(app, [*map(str, args), "--json"])
        return json.loads(result.stdout), result.exit_code

    return call


@pytest.fixture(scope="module")
def exported(saved_model, place):
    """The two edits as signed exports: `checkpoint` and `peft`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDITLAB_MODEL", str(saved_model))
        patch.setenv("EDITLAB_DATA", str(place / "data"))
        for form in ("checkpoint", "peft", "script"):
            given = ["--workspace", "team", "--format", form, "--to", place / form, "--sign", place / "a.pem", "--json"]
            result = CliRunner().invoke(app, ["export", *map(str, given)])
            assert result.exit_code == 0, result.output
            assert [own.rpartition("/")[2] for own in json.loads(result.stdout)["files"]][-2:] == [
                "editlab-manifest.json",
                "model.sig",
            ]
    return place


@pytest.fixture
def copied(exported, tmp_path):
    """A checkpoint of one's own to damage."""
    return shutil.copytree(exported / "checkpoint", tmp_path / "checkpoint")


def test_an_export_is_explained_by_the_ledger_and_signed(run, exported, saved_model):
    for form in ("checkpoint", "peft"):
        found, code = run("verify", exported / form, "--base", saved_model, "--key", exported / "a.pub")
        assert (code, found["code"], found["verdict"]) == (0, 0, "explained")
        assert found["signature"] == {"state": "valid", "files": []} and found["ledger"] == {"ok": True, "faults": []}
        told = found["manifest"]
        assert told["edits"] == ["Slovenia → Antarctica", "Japan → Berlin"] and told["workspace"] == "team"
        assert told["fingerprint"] == found["fingerprint"] and len(told["ledger"]) == 64
        difference = found["difference"]
        assert [own["name"] for own in difference["edits"]] == told["edits"] and difference["explained"] == 1.0
        assert {own["source"][:13] for own in difference["edits"]} == {"ledger, event"}
    assert found["sentence"].endswith("all of it, to the last bit: Slovenia → Antarctica, Japan → Berlin.")


@pytest.mark.parametrize("edits_in", ["all.zip", "peft", "script", "data"])
def test_edits_are_taken_from_archives_exports_and_data_folders(run, exported, saved_model, edits_in):
    given = ("--base", saved_model, "--no-ledger", "--edits", exported / edits_in)
    found, code = run("verify", exported / "checkpoint", *given)
    assert (code, found["verdict"]) == (0, "explained"), found["sentence"]


@pytest.mark.parametrize("opened", [False, True])
def test_a_data_folder_that_edits_are_taken_from_is_not_changed(run, exported, saved_model, tmp_path, opened):
    data = shutil.copytree(exported / "data", tmp_path / "theirs")
    shutil.rmtree(data / "running", ignore_errors=True)

    def state() -> dict[str, tuple[int, ...]]:
        paths = [
            own for own in (data, *data.rglob("*")) if not own.name.endswith("-shm")
        ]  # where readers say that they read
        return {str(own): (own.stat().st_mode, own.stat().st_size, own.stat().st_mtime_ns) for own in paths}

    with Ledger(data) if opened else nullcontext():
        data.chmod(0o755)
        before = state()
        found, code = run("verify", exported / "checkpoint", "--base", saved_model, "--no-ledger", "--edits", data)
        assert (code, found["verdict"], state()) == (0, "explained", before)
    (data / "ledger.sqlite").write_bytes(b"no")
    (data / "ledger.sqlite-wal").unlink(missing_ok=True)
    found, code = run("verify", exported / "checkpoint", "--base", saved_model, "--no-ledger", "--edits", data)
    assert code == 2 and f"The ledger in {data} cannot be" in found["message"]


def test_what_no_edit_explains_fails(run, copied, exported, saved_model):
    weights = load_file(copied / "model.safetensors")
    weights[DOWN] = weights[DOWN] + 0.01 * weights[DOWN][:, :1] @ weights[DOWN][:1]
    save_file(weights, copied / "model.safetensors", {"format": "pt"})
    (copied / "editlab-manifest.json").unlink()
    found, code = run("verify", copied, "--base", saved_model)
    assert (code, found["verdict"]) == (1, "unexplained")
    left = [own for own in found["difference"]["changes"] if own["fit"] not in ("exact", "rounding")]
    assert [(own["layer"], own["left"]["rank"], own["fit"]) for own in left] == [(3, 1, "none")]
    assert "layers.3.mlp.down_proj.weight, rank 1" in found["sentence"]
    found, code = run("verify", copied, "--base", saved_model, "--key", exported / "a.pub")
    assert (code, found["verdict"]) == (1, "untrusted") and "model.safetensors" in found["sentence"]
    assert found["difference"] is not None


def test_a_manifest_of_another_model_fails(run, copied, saved_model):
    shutil.copyfile(saved_model / "model.safetensors", copied / "model.safetensors")
    found, code = run("verify", copied, "--base", saved_model)
    assert (code, found["verdict"]) == (1, "untrusted") and "The manifest is of another model" in found["sentence"]


def test_the_same_model_is_clean_and_nothing_to_hold_it_against_is_not(run, exported, saved_model):
    assert run("verify", saved_model, "--base", saved_model)[1] == 0
    found, code = run("verify", saved_model)
    assert (code, found["verdict"]) == (2, "unchecked") and "name its base (--base)" in found["sentence"]
    found, code = run("verify", saved_model, "--base", saved_model, "--key", exported / "a.pub")
    assert code == 1 and "There is no signature" in found["sentence"]
    found, code = run("verify", exported / "checkpoint", "--key", exported / "a.pub")
    assert (code, found["verdict"]) == (0, "clean") and "The signature holds" in found["sentence"]


@pytest.mark.parametrize(("edited", "code"), [(True, 1), (False, 0)])
def test_without_a_base_the_model_is_judged_where_that_is_asked(saved_model, edited, code, monkeypatch):
    found = SimpleNamespace(edited=edited, sentences=("Layer 5 looks", "edited."), notes=(), as_dict=lambda: {"layer": 5})
    monkeypatch.setattr(integrity, "judged", lambda path, *given: found)
    verdict = integrity.check(saved_model, integrity.Evidence(), Settings(), blind=True)
    assert (verdict.code, verdict.word) == (code, "suspicious" if edited else "unremarkable")
    assert (verdict.sentence, verdict.as_json()["findings"]) == ("Layer 5 looks edited.", {"layer": 5})


@pytest.mark.parametrize(
    ("path", "base", "said"),
    [
        ("nowhere", None, "is not there. Give the folder of a model"),
        ("data", None, "has no config.json"),
        ("checkpoint", "config:llama-2-7b", "is made of random numbers"),
        ("checkpoint", "atlas", "they are models of another size"),
    ],
)
def test_what_cannot_be_checked_is_a_sentence_and_status_two(run, exported, path, base, said):
    found, code = run("verify", exported / path, *(() if base is None else ("--base", base)))
    assert (code, set(found)) == (2, {"error", "message"}) and said in found["message"]


def test_a_lora_finds_its_own_base_and_is_explained_by_the_ledger(run, exported):
    found, code = run("verify", exported / "peft")
    assert (code, found["verdict"], found["ledger"]) == (0, "explained", {"ok": True, "faults": []})
    assert found["difference"]["changes"][0]["relative"] > 0


@pytest.fixture
def alone(exported, tmp_path, monkeypatch):
    """A copy of the LoRA whose base is a hub id, with an empty cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    folder = shutil.copytree(exported / "peft", tmp_path / "peft", ignore=shutil.ignore_patterns("model.sig"))
    told = json.loads((folder / "adapter_config.json").read_bytes()) | {"base_model_name_or_path": "a/tiny"}
    (folder / "adapter_config.json").write_text(json.dumps(told))
    (folder / "editlab-manifest.json").unlink()
    return folder


def test_a_lora_whose_base_is_not_here_is_as_it_was_signed_or_unchecked(run, exported, alone, saved_model):
    found, code = run("verify", alone)
    assert (code, found["verdict"]) == (2, "unchecked") and found["difference"]["changes"]
    assert "its base a/tiny is not here. Name it (--base)" in found["sentence"]
    assert run("verify", alone, "--edits", exported / "peft")[0]["verdict"] == "explained"
    assert run("verify", alone, "--base", saved_model)[0]["verdict"] == "explained"
    assert run("sign", alone, "--key", exported / "a.pem")[1] == 0
    found, code = run("verify", alone, "--key", exported / "a.pub")
    assert (code, found["verdict"]) == (0, "clean") and "The signature holds" in found["sentence"]


def test_a_lora_finds_its_base_in_the_cache_of_the_hub(run, alone, saved_model, tmp_path):
    place = tmp_path / "cache" / "models--a--tiny"
    shutil.copytree(saved_model, place / "snapshots" / "0123")
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("0123")
    found, code = run("verify", alone)
    assert (code, found["verdict"], found["difference"]["base"]) == (0, "explained", "a/tiny")
    (place / "snapshots" / "0123" / "model.safetensors").unlink()
    assert run("verify", alone)[0]["verdict"] == "unchecked"


@pytest.mark.parametrize(
    ("path", "more", "said"),
    [
        ("peft", (), "is a LoRA, and only a whole model can be looked through"),
        ("all.zip", (), "of which only a signature can be checked"),
        ("checkpoint", ("--base", "atlas"), "Leave out --blind, or --base"),
    ],
)
def test_what_cannot_be_looked_through_without_a_base_says_so(run, exported, path, more, said):
    found, code = run("verify", exported / path, "--blind", *more)
    assert code == 2 and said in found["message"]


def test_edits_need_a_base_and_a_file_has_none(run, exported, saved_model):
    found, code = run("verify", saved_model, "--edits", exported / "peft")
    assert code == 2 and "name that (--base)" in found["message"]
    found, code = run("verify", exported / "all.zip", "--base", saved_model)
    assert code == 2 and "of which only a signature can be checked" in found["message"]
    found, code = run("verify", saved_model, "--base", saved_model, "--edits", exported / "a.pem")
    assert code == 2 and "holds no edits. Give an export as peft, tensors or script" in found["message"]


def test_a_workspace_without_a_ledger_to_look_in_is_refused(run, exported, saved_model, tmp_path, monkeypatch):
    checkpoint, one = ("verify", exported / "checkpoint"), ("--workspace", "team")
    based = (*checkpoint, "--base", saved_model, *one)
    for given in (
        (*based, "--no-ledger"),
        (*based, "--no-ledger", "--edits", exported / "peft"),
        (*checkpoint, "--blind", *one),
    ):
        found, code = run(*given)
        assert (code, found["error"]) == (2, "BadRequest") and "leave out --workspace" in found["message"]
    found, code = run(*based, "--no-ledger", "--edits", exported / "data")
    assert (code, found["verdict"]) == (0, "explained")
    monkeypatch.setenv("EDITLAB_DATA", str(tmp_path / "nowhere"))
    found, code = run(*based)
    assert (code, found["error"]) == (2, "BadRequest") and "leave out --workspace" in found["message"]


def test_a_manifest_that_names_another_base_is_noted(run, copied, saved_model):
    told = json.loads((copied / "editlab-manifest.json").read_bytes())
    (copied / "editlab-manifest.json").write_text(json.dumps(told | {"base": "gpt2", "base_fingerprint": "0" * 16}))
    found, code = run("verify", copied, "--base", saved_model)
    assert (code, found["notes"]) == (0, ["The manifest names another base: gpt2."])


def test_a_signed_archive_is_checked_event_by_event(run, exported, tmp_path):
    file = shutil.copyfile(exported / "all.zip", tmp_path / "all.zip")
    signed, code = run("sign", file, "--key", exported / "a.pem")
    assert code == 0 and signed["signature"] == f"{file}.sig"
    found, code = run("verify", file, "--key", exported / "a.pub")
    assert (code, found["ledger"]) == (0, {"ok": True, "faults": []})
    found, code = run("verify", exported / "all.zip", "--key", exported / "a.pub")
    assert code == 1 and "There is no signature (all.zip.sig)" in found["sentence"]


def test_signing_a_folder_again_keeps_its_manifest_unless_it_is_of_another_model(run, copied, exported, saved_model):
    before = (copied / "editlab-manifest.json").read_bytes()
    assert run("sign", copied, "--key", exported / "b.pem")[1] == 0
    assert (copied / "editlab-manifest.json").read_bytes() == before
    assert run("verify", copied, "--key", exported / "b.pub")[1] == 0
    shutil.copyfile(saved_model / "model.safetensors", copied / "model.safetensors")
    found, code = run("sign", copied, "--key", exported / "b.pem")
    assert code == 2 and "is of another model" in found["message"]


def test_a_ledger_that_was_changed_fails(run, exported, saved_model, tmp_path, monkeypatch):
    shutil.copytree(exported / "data", tmp_path / "data")
    with sqlite3.connect(tmp_path / "data" / "ledger.sqlite") as connection:
        connection.execute("UPDATE events SET body = replace(body, 'Antarctica', 'Australia') WHERE kind = 'applied'")
    connection.close()
    monkeypatch.setenv("EDITLAB_DATA", str(tmp_path / "data"))
    found, code = run("verify", exported / "checkpoint", "--base", saved_model)
    assert code == 1 and "The ledger is not as it was written" in found["sentence"] and not found["ledger"]["ok"]


def test_people_read_the_same(exported, saved_model, monkeypatch):
    monkeypatch.setenv("EDITLAB_DATA", str(exported / "data"))
    result = CliRunner().invoke(app, ["verify", str(exported / "checkpoint"), "--base", str(saved_model)])
    assert result.exit_code == 0 and result.stdout.startswith("explained: ")
    assert "Weights that differ" in result.stdout and "Known edits that are in it" in result.stdout
