"""The Workspace tab's check of a checkpoint: its verdict, its table, and who may not ask for it."""

import re
from types import SimpleNamespace
from typing import Any

import pytest
from instant import Instant
from safetensors.torch import load_file, save_file
from visitors import CAPITAL, CONTINENT, TIMEOUT, FakeRequest, runs

from editlab import methods
from editlab.errors import BadRequest
from editlab.lab import Lab
from editlab.lab.model import blind, integrity
from editlab.lab.workspaces import edits, exports
from editlab.model import LanguageModel
from editlab.probes import Passages
from editlab.settings import Settings
from editlab.web import create_page
from editlab.web.core.turns import Turns
from editlab.web.core.visit import Visit
from editlab.web.edit.display import Display
from editlab.web.workspace.display import WorkspaceDisplay
from editlab.web.workspace.file_handlers import FileHandlers

DOWN = "model.layers.3.mlp.down_proj.weight"


@pytest.fixture(scope="module")
def model(saved_model):
    return LanguageModel.load(str(saved_model))


@pytest.fixture(scope="module")
def place(model, facts, tmp_path_factory):
    """A lab whose visitor has two edits, and a folder with their checkpoint and a copy that somebody changed further."""
    folder = tmp_path_factory.mktemp("place")
    lab = Lab(model, facts, Passages((), ()), data=folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(methods, "get", lambda name: Instant())
        workspace = Visit.of(lab, "ana", FakeRequest("ana")).workspace
        for request in (CONTINENT, CAPITAL):
            edits.apply(workspace, request).result(TIMEOUT)
        for name in ("checkpoint", "changed"):
            exports.export(workspace, "checkpoint", folder / name)
    weights = load_file(folder / "changed" / "model.safetensors")
    weights[DOWN] = weights[DOWN] + 0.01 * weights[DOWN][:, :1] @ weights[DOWN][:1]
    save_file(weights, folder / "changed" / "model.safetensors", {"format": "pt"})
    yield lab, folder
    lab.close()


def checked(lab: Lab, path: object, handler: str = "workspace_check") -> str:
    """What the page shows after a check."""
    handlers = FileHandlers(lab, WorkspaceDisplay(lab, Display(lab, Turns())))
    page: dict[str, Any] = {}
    for update in runs(handlers, handler, "ana", str(path)):
        page |= update
    assert not page.get("stop", {}).get("interactive")
    return str(page.get("workspace-checked") or page["message"])


def test_a_checkpoint_is_held_against_the_model_and_the_edits_here(place, saved_model):
    lab, folder = place
    found = checked(lab, folder / "checkpoint")
    assert 'class="finding"' in found and "Known edits explain all of it" in found
    assert "Slovenia → Antarctica, Japan → Berlin" in found and "Fingerprint: " in found
    assert "Nothing differs: " in checked(lab, saved_model)


def test_what_nobody_knows_is_a_row_with_its_spectrum(place):
    lab, folder = place
    found = checked(lab, f" {folder / 'changed'} ")
    assert 'class="problem"' in found and "What is left: model.layers.3.mlp.down_proj.weight" in found
    row = next(row for row in re.findall(r"<tr>.*?</tr>", found, re.DOTALL) if "layers.3.mlp" in row)
    heights = [int(height) for height in re.findall(r"height:(\d+)%", row)]
    assert heights[0] == 100 and heights == sorted(heights, reverse=True)


@pytest.mark.parametrize(("edited", "kind"), [(True, "problem"), (False, "finding")])
def test_a_checkpoint_without_a_base_is_loaded_beside_the_model_and_judged_in_words(edited, kind, place, monkeypatch):
    lab, folder = place
    loaded = []

    def judge(model, *given, **named):
        loaded.append(model.folder)
        return SimpleNamespace(edited=edited, sentences=("It looks", "like <b>this</b>."), notes=())

    monkeypatch.setattr(blind, "judge", judge)
    page = checked(lab, folder / "changed", "workspace_blind")
    assert f'class="{kind}"' in page and "It looks like &lt;b&gt;this&lt;/b&gt;." in page and "Fingerprint: " in page
    assert loaded == [folder / "changed"] and lab.loaded.in_memory
    assert "Write the folder of a checkpoint or a LoRA first." in checked(lab, "  ", "workspace_blind")


def test_what_cannot_be_checked_is_a_sentence(place, tmp_path):
    lab, folder = place
    assert "Write the folder of a checkpoint or a LoRA first." in checked(lab, "  ")
    assert "is not there. Give the folder of a model" in checked(lab, tmp_path / "<b>")
    assert "<b>" not in checked(lab, tmp_path / "<b>")
    assert "has no config.json" in checked(lab, folder / "data")


@pytest.mark.parametrize("settings", [{"demo": True}, {"host": "0.0.0.0", "trusted_network": True}])
def test_only_who_uses_this_computer_has_folders_read(model, facts, place, settings):
    lab = Lab(model, facts, Passages((), ()), settings=Settings(model=model.name, **settings))
    try:
        page = create_page(lab)
        names = {block.elem_id for block in page.blocks.values()}
        assert "workspace-verify" in names and not {"workspace-check", "workspace-blind", "workspace-checkpoint"} & names
        with pytest.raises(BadRequest, match="Only this computer's user"):
            integrity.start(Visit.of(lab, "tom", FakeRequest("tom")).workspace, place[1] / "checkpoint")
    finally:
        lab.close()
