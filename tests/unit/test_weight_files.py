"""A model folder decides what the model says and runs no code: weights are read from safetensors alone."""

import ast
import json
import pickle
from pathlib import Path

import pytest
import torch
from paths import ROOT
from safetensors.torch import load_file
from tiny_models import save, tiny_model

from editlab import LanguageModel
from editlab.errors import BadModel
from editlab.forensics import Checkpoint
from editlab.model import weights
from editlab.settings import Settings

INDEX = "model.safetensors.index.json"


class Trap:
    """Makes a file where it is unpickled."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self):
        return Path.touch, (self.sprung,)


@pytest.fixture
def folder(tmp_path):
    """A whole model in several shards."""
    model = tiny_model("llama")
    save(model, tmp_path / "m", max_shard_size="100KB")
    return tmp_path / "m"


@pytest.fixture
def unpickled(monkeypatch):
    """What torch.load was asked to read."""
    asked = []
    real = torch.load

    def load(path, *given, **named):
        asked.append(Path(path).name)
        return real(path, *given, **named)

    monkeypatch.setattr(torch, "load", load)
    return asked


def edit_json(path, **fields):
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def renamed_in_index(folder, to):
    """The index with the first shard under another name."""
    index = json.loads((folder / INDEX).read_text())
    first = sorted(set(index["weight_map"].values()))[0]
    index["weight_map"] = {key: to if file == first else file for key, file in index["weight_map"].items()}
    (folder / INDEX).write_text(json.dumps(index))
    return folder / first


def saved_as_pickle(folder, name):
    """All weights in one of PyTorch's files, and the index says so: without a refusal, it would load."""
    shards = sorted(folder.glob("*.safetensors"))
    torch.save({key: tensor for path in shards for key, tensor in load_file(path).items()}, folder / name)
    index = json.loads((folder / INDEX).read_text())
    (folder / INDEX).write_text(json.dumps(index | {"weight_map": dict.fromkeys(index["weight_map"], name)}))


def refused(folder, **settings):
    with pytest.raises(BadModel) as told:
        LanguageModel.load(str(folder), settings=Settings(**settings))
    return str(told.value)


@pytest.mark.parametrize("name", ["weights.bin", "weights.pt", "weights.pkl", "weights.ckpt", "weights"])
def test_an_index_that_names_a_pickle_is_refused_before_anything_is_read(name, folder, unpickled):
    saved_as_pickle(folder, name)
    message = refused(folder)
    assert repr(name) in message and "EDITLAB_UNSAFE_WEIGHTS=1" in message
    assert unpickled == []


@pytest.mark.parametrize("first", ["a.bin", "z.bin"])
def test_an_index_in_which_one_file_is_a_pickle_is_refused(first, folder, unpickled):
    renamed_in_index(folder, first)
    assert repr(first) in refused(folder) and unpickled == []


def test_a_pickle_that_acts_when_it_is_read_is_not_read(folder, unpickled, tmp_path):
    saved_as_pickle(folder, "weights.bin")
    (folder / "weights.bin").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    assert "could run code" in refused(folder)
    assert unpickled == [] and not (tmp_path / "sprung").exists()
    pickle.loads((folder / "weights.bin").read_bytes())
    assert (tmp_path / "sprung").exists(), "the trap of this test works"


def test_the_switch_still_loads_pickles(folder, unpickled):
    saved_as_pickle(folder, "weights.bin")
    model = LanguageModel.load(str(folder), settings=Settings(unsafe_weights=True))
    assert unpickled == ["weights.bin"] and model.checkpoint == tiny_model("llama").checkpoint


@pytest.mark.parametrize("unsafe", [False, True])
@pytest.mark.parametrize("way", ["../other/{}", "{folder}/../other/{}", "sub/{}", "..\\{}", ".."])
def test_an_index_names_files_of_its_own_folder_alone(way, unsafe, folder):
    other = folder.parent / "other"
    other.mkdir()
    (folder / "sub").mkdir()
    shard = sorted(folder.glob("*.safetensors"))[0].name
    to = way.format(shard, folder=folder)
    moved = renamed_in_index(folder, to)
    for place in (other, folder / "sub"):
        (place / shard).write_bytes(moved.read_bytes())
    assert "is no file of that folder" in refused(folder, unsafe_weights=unsafe)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {"a": []}}', '{"weight_map": {"a": 3}}']
)
def test_a_damaged_index_is_a_sentence(text, folder):
    (folder / INDEX).write_text(text)
    message = refused(folder)
    assert INDEX in message and "\n" not in message


def test_an_index_of_any_length_is_not_read(folder, monkeypatch):
    monkeypatch.setattr(weights, "MOST_INDEX_BYTES", 10)
    assert "is damaged" in refused(folder)


def test_two_checkpoints_in_one_folder_are_refused_as_verify_refuses_them(folder):
    """transformers would load the whole file and leave the index alone, so that another model answers than was checked."""
    (folder / "model.safetensors").write_bytes(min(folder.glob("*.safetensors")).read_bytes())
    with pytest.raises(BadModel) as told:
        Checkpoint.open(folder)
    message = refused(folder)
    assert message == str(told.value) and "Delete one" in message


def test_links_within_the_folder_are_followed_as_the_hubs_cache_has_them(folder):
    blobs = folder.parent / "blobs"
    blobs.mkdir()
    for number, path in enumerate(sorted(folder.iterdir())):
        path.rename(blobs / str(number))
        path.symlink_to(Path("..", "blobs", str(number)))
    assert LanguageModel.load(str(folder)).checkpoint == tiny_model("llama").checkpoint


def test_a_name_in_the_configuration_leads_to_no_pickle(folder, unpickled):
    """transformers would load this one file, and goes by its name alone."""
    model = tiny_model("llama")
    torch.save(model.hf.state_dict(), folder / "adapter_model.bin")
    edit_json(folder / "config.json", transformers_weights="adapter_model.bin")
    assert "transformers_weights" in refused(folder) and unpickled == []


@pytest.mark.parametrize("whole", [True, False])
def test_an_adapter_beside_the_weights_is_not_loaded_along(whole, folder, unpickled):
    """Where peft is installed, transformers would lay it over the model, from a pickle where there is no other file."""
    from peft import LoraConfig

    LoraConfig(target_modules=["down_proj"], base_model_name_or_path=str(folder)).save_pretrained(str(folder))
    if whole:
        torch.save({}, folder / "adapter_model.bin")
    assert "has an adapter beside its weights" in refused(folder) and unpickled == []


@pytest.mark.parametrize("field", ["attn_implementation", "experts_implementation"])
@pytest.mark.parametrize("kernel", ["kernels-community/flash-attn2", "owner/name@main:kernel", "flash_attention_3"])
def test_a_configuration_brings_no_kernel_from_the_hub(field, kernel, folder):
    edit_json(folder / "config.json", **{field: kernel})
    assert "asks for kernels" in refused(folder)


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_that_a_folder_brings_is_not_run(file, folder, tmp_path):
    (folder / "own.py").write_text(
        f"from pathlib import Path\nPath({str(tmp_path / 'sprung')!r}).touch()\nclass Own: pass\n"
    )
    classes = {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own", "AutoTokenizer": ["own.Own", "own.Own"]}
    edit_json(folder / file, auto_map=classes)
    assert type(LanguageModel.load(str(folder)).hf).__module__.startswith("transformers.")
    assert not (tmp_path / "sprung").exists()


def test_pickles_that_nobody_needs_are_left_alone(folder, unpickled, tmp_path):
    trap = pickle.dumps(Trap(tmp_path / "sprung"))
    names = (
        "training_args.bin",
        "optimizer.pt",
        "scheduler.pt",
        "pytorch_model.bin",
        "adapter_model.bin",
        "vocab.pkl",
        ".metadata",
    )
    for name in names:
        (folder / name).write_bytes(trap)
    (folder / "pytorch_model.bin.index.json").write_text('{"weight_map": {"a": "pytorch_model.bin"}, "metadata": {}}')
    assert LanguageModel.load(str(folder)).checkpoint == tiny_model("llama").checkpoint
    assert unpickled == [] and not (tmp_path / "sprung").exists()


def test_no_module_of_ours_unpickles_or_runs_what_it_reads():
    for path in (ROOT / "editlab").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            imported = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            assert not {"pickle", "marshal", "shelve", "joblib", "dill"} & set(imported), path
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            assert called not in ("torch.load", "np.load", "pd.read_pickle", "eval", "exec", "yaml.load"), path
