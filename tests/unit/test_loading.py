"""A model loads whole or not at all, and what is wrong with it is said in a sentence that names what to do."""

import json
import re
import shutil
from fnmatch import fnmatch

import accelerate
import pytest
import torch
from gguf_files import write_gguf
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError
from safetensors.torch import load_file, save_file
from tiny_models import random_view, save, tiny_model

from editlab import EditRequest, LanguageModel, View, methods
from editlab.errors import BadModel, Cancelled, OutOfMemory, TooLarge, UnsupportedArchitecture
from editlab.model import memory, plan
from editlab.model.plan import dtype_for
from editlab.model.source import find
from editlab.model.weights import matrix_of
from editlab.patches import Mask
from editlab.settings import Settings


@pytest.fixture
def folder(tmp_path):
    """A whole model in two shards."""
    model = tiny_model("llama")
    save(model, tmp_path / "m", max_shard_size="100KB")
    return tmp_path / "m"


def refused(folder, error=BadModel, **options):
    with pytest.raises(error) as told:
        LanguageModel.load(str(folder), **options)
    return str(told.value)


def test_a_folder_of_shards_loads(folder):
    assert len(list(folder.glob("*.safetensors"))) > 1
    seen = []
    model = LanguageModel.load(str(folder), progress=lambda fraction, _text: seen.append(fraction))
    assert model.fingerprint == tiny_model("llama").fingerprint
    assert seen == sorted(seen) and seen[-1] == 1.0 and len(seen) > 5


def damage(folder, how):
    shards = sorted(folder.glob("*.safetensors"))
    match how:
        case "no config":
            (folder / "config.json").unlink()
        case "broken config":
            (folder / "config.json").write_text("{")
        case "impossible config":
            config = json.loads((folder / "config.json").read_text()) | {"hidden_size": "wide"}
            (folder / "config.json").write_text(json.dumps(config))
        case "no tokenizer":
            for path in folder.glob("tokenizer*"):
                path.unlink()
        case "broken tokenizer":
            (folder / "tokenizer.json").write_text("{}")
        case "truncated shard":
            shards[0].write_bytes(shards[0].read_bytes()[:-2000])
        case "empty shard":
            shards[0].write_bytes(b"")
        case "missing shard":
            shards[0].unlink()
        case "missing weight":
            for path in shards:
                kept = {k: t for k, t in load_file(path).items() if k != "model.layers.1.mlp.down_proj.weight"}
                save_file(kept, path, {"format": "pt"})
        case "other shape":
            config = json.loads((folder / "config.json").read_text()) | {"intermediate_size": 96}
            (folder / "config.json").write_text(json.dumps(config))
        case "pickle alone":
            for path in shards:
                path.unlink()
            (folder / "model.safetensors.index.json").unlink()
            torch.save({}, folder / "pytorch_model.bin")


DAMAGES = {
    "no config": "no config.json",
    "broken config": "could not be loaded",
    "impossible config": "could not be loaded",
    "no tokenizer": "no tokenizer that can be read",
    "broken tokenizer": "no tokenizer that can be read",
    "truncated shard": "could not be loaded",
    "empty shard": "could not be loaded",
    "missing shard": "could not be loaded",
    "missing weight": "not whole: 1 weights are missing",
    "other shape": "not whole: 12 weights are missing or of another shape",
    "pickle alone": "no weights in safetensors.*EDITLAB_UNSAFE_WEIGHTS",
}


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("quantization", ["none", "4bit"])
def test_a_damaged_folder_is_refused_with_what_is_wrong(folder, how, quantization):
    damage(folder, how)
    message = refused(folder, quantization=quantization)
    assert re.search(DAMAGES[how], message) and str(folder) in message
    assert "Traceback" not in message and "\n" not in message


def test_what_is_no_model_is_refused(folder, tmp_path):
    config = json.loads((folder / "config.json").read_text()) | {
        "model_type": "mamba",
        "architectures": ["MambaForCausalLM"],
    }
    (folder / "config.json").write_text(json.dumps(config))
    assert "mamba" in refused(folder, UnsupportedArchitecture)
    assert "neither a folder nor a GGUF file here, nor a hub id" in refused(tmp_path / "nothing" / "here")
    assert "no preset 'no-such'" in refused("config:no-such")
    assert "hub id" in refused("owner/")


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (GatedRepoError, "gated. Accept its licence on https://huggingface.co/owner/name"),
        (RepositoryNotFoundError, "The hub has no owner/name"),
        (RevisionNotFoundError, "no such revision"),
        (LocalEntryNotFoundError, "cannot be reached"),
        (ValueError, "could not be fetched from the hub: broken"),
    ],
)
def test_a_hub_model_that_cannot_be_had_says_what_to_do(monkeypatch, raised, said):
    """The hub's own errors, also as they come when another one is wrapped around them."""
    asked = []

    def unreachable(name, **options):
        asked.append((name, options["revision"]))
        error = raised.__new__(raised)
        Exception.__init__(error, "broken")
        if len(asked) == 1:
            raise error
        raise OSError("the library says something long" if raised is not ValueError else "broken") from error

    monkeypatch.setattr("editlab.model.source.snapshot_download", unreachable)
    assert said in refused("owner/name@v1") and said in refused("owner/name@v1")
    assert asked == [("owner/name", "v1")] * 2


def test_a_stopped_load_is_cancelled(folder):
    for name in (str(folder), "config:atlas"):
        looks = iter([False] * 3)
        with pytest.raises(Cancelled, match="Stopped while loading"):
            LanguageModel.load(name, cancel=lambda looks=looks: next(looks, True))


def test_more_than_is_free_is_refused_with_both_numbers_before_any_weight_is_read(monkeypatch):
    monkeypatch.setattr(memory, "free", lambda device: 5_000_000_000)
    message = refused("config:llama-2-7b", TooLarge, quantization="8bit")
    assert re.search(r"needs [0-9.]+ GB .weights [0-9.]+ GB", message)
    assert "5.0 GB are free" in message and "Even in 4 bit" in message
    monkeypatch.setattr(memory, "free", lambda device: 8_000_000_000)
    found = plan("config:llama-2-7b", device="cpu")
    assert not found.fits and "--quantization 4bit" in found.advice
    assert plan("config:llama-2-7b", quantization="4bit", device="cpu").fits
    assert found.total == found.weights + found.statistics + found.kept + max(found.edit, found.cache + found.batch)


def test_long_texts_are_kept_in_what_nobody_else_needs_and_planned(monkeypatch):
    a_token = 2 * 2 * 32 * 4096 * 2  # keys and values, twice, of 32 layers, in 16 bits
    for free in (80e9, 24e9, 17e9, 14e9):
        monkeypatch.setattr(memory, "free", lambda device, free=free: int(free))
        found = plan("config:llama-2-7b", dtype="bfloat16", device="cpu")
        left = found.free - found.weights - found.statistics
        needed = max(found.edit, found.cache + found.batch)
        assert found.kept == found.tokens_kept * a_token
        assert found.kept <= max(0, min(left // 8, left - needed))
        assert found.fits == (left >= needed)
        assert "long texts" in found.sentence()


@pytest.mark.parametrize(
    ("name", "published", "units", "chosen"),
    [
        ("config:llama-3.2-1b", "bfloat16", True, "bfloat16"),
        ("config:qwen2.5-0.5b", "bfloat16", True, "bfloat16"),
        ("config:qwen2.5-0.5b", "bfloat16", False, "float32"),
        ("config:qwen2.5-0.5b", "float32", True, "float32"),
        ("config:llama-2-7b", "float32", False, "bfloat16"),
        ("config:atlas", "bfloat16", True, "float32"),
    ],
)
def test_a_processor_with_matrix_units_takes_a_published_16_bit_model_as_it_is(monkeypatch, name, published, units, chosen):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": units})
    source = find(name, Settings())
    source.config.dtype = getattr(torch, published)
    assert dtype_for(source, "auto", torch.device("cpu")) == getattr(torch, chosen)


@pytest.mark.parametrize("quantization", ["none", "8bit", "4bit"])
def test_the_plan_knows_the_weights_to_the_byte(quantization):
    model = LanguageModel.load("config:atlas", quantization=quantization)
    held = {id(p): p for p in model.hf.parameters()}.values()
    stored = sum(p.numel() * p.element_size() for p in held)
    stored += sum(t.numel() * t.element_size() for m in model.hf.modules() for t in _scales(m))
    assert plan("config:atlas", quantization=quantization).weights == pytest.approx(stored, rel=0.01)


def _scales(module):
    state = getattr(getattr(module, "weight", None), "quant_state", None)
    if state is not None:
        return [state.absmax, state.state2.absmax]
    scale = getattr(getattr(module, "weight", None), "SCB", None)
    return [] if scale is None else [scale]


def test_noise_is_the_same_whether_it_is_then_quantised_or_not():
    whole, small = (
        LanguageModel.load("config:atlas", seed=3),
        LanguageModel.load("config:atlas", seed=3, quantization="4bit"),
    )
    assert whole.checkpoint == small.checkpoint == whole.fingerprint and small.fingerprint.endswith("-4bit")
    assert whole.checkpoint != LanguageModel.load("config:atlas", seed=4).checkpoint
    assert 0.05 < (matrix_of_layer(whole) - matrix_of_layer(small)).norm() / matrix_of_layer(whole).norm() < 0.15
    assert not whole.validated and LanguageModel.load("atlas").validated


def matrix_of_layer(model):
    return matrix_of(model.arch.projection_of(model.hf, 1))


def test_a_model_whose_weights_lie_elsewhere_answers_and_is_edited_as_in_memory(tmp_path, differences):
    """Weights on the disk, fetched layer by layer: as accelerate does it for what a GPU cannot hold."""
    here, there = tiny_model("llama"), tiny_model("llama")
    accelerate.disk_offload(there.hf, tmp_path, execution_device=torch.device("cpu"))
    there.origin = here.checkpoint
    assert any(p.is_meta for p in there.hf.parameters())
    kept = torch.rand(here.d_model, here.d_ff, generator=torch.Generator().manual_seed(0)) > 0.2
    texts = ("The river runs to Slovenia", "I saw New France with")
    for view in (View.base(), random_view(here, 0), random_view(here, 0).with_patches([Mask(1, kept)])):
        differences("weights on the disk", there.logits(texts, view), here.logits(texts, view), 1e-5)
    request = EditRequest("The river runs to {}", "Slovenia", "people")
    made = [
        methods.get("rome").edit(m, [request], config=methods.config_for("rome", m, layers=(1,), steps=4))
        for m in (here, there)
    ]
    differences("an edit over weights on the disk", made[1].patches[0].dense(), made[0].patches[0].dense(), 1e-5)


def test_memory_that_runs_out_is_told_as_that():
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**60)
    assert (
        memory.out_of_memory(error.value) and memory.out_of_memory(MemoryError()) and not memory.out_of_memory(ValueError())
    )
    for said in ("CUDA error: out of memory", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"):
        assert memory.out_of_memory(RuntimeError(said))
    told = memory.too_little(error.value, torch.device("cpu"))
    assert isinstance(told, OutOfMemory) and "--quantization 4bit" in str(told)
    assert not memory.poisoned(torch.device("cpu"))


def test_memory_that_runs_out_while_loading_is_told_as_that(folder, monkeypatch):
    def greedy(*_given, **_options):
        torch.empty(2**60)

    monkeypatch.setattr("editlab.model.loading.AutoModelForCausalLM.from_pretrained", greedy)
    assert "Memory ran out on cpu" in refused(folder, OutOfMemory)


def hub_with(files, cache, monkeypatch):
    """A hub that has one model, these files, at a commit; returns what is asked of it."""
    asked = []

    def snapshot_download(name, *, revision, allow_patterns, ignore_patterns):
        asked.append((name, revision, allow_patterns))
        cache.mkdir(parents=True, exist_ok=True)
        for path in files.rglob("*"):
            at = str(path.relative_to(files))
            if any(fnmatch(at, p) for p in allow_patterns) and not any(fnmatch(at, p) for p in ignore_patterns):
                shutil.copy(path, cache / at)
        return str(cache)

    monkeypatch.setattr("editlab.model.source.snapshot_download", snapshot_download)
    return asked


def test_a_revision_is_pinned_to_its_commit(folder, tmp_path, monkeypatch):
    hub_with(folder, tmp_path / "c0ffee", monkeypatch)
    source = find("owner/name@main", Settings())
    assert (source.place, source.revision, source.local) == ("owner/name", "c0ffee", False)


def test_a_gguf_file_of_the_hub_is_named_and_fetched_alone(tmp_path, monkeypatch):
    (tmp_path / "files").mkdir()
    for name in ("m.Q8_0.gguf", "n.Q8_0.gguf"):
        write_gguf(tiny_model("llama"), tmp_path / "files" / name, kind="Q8_0")
    asked = hub_with(tmp_path / "files", tmp_path / "c0ffee", monkeypatch)
    settings = Settings(data=tmp_path / "data")
    source = find("owner/name/m.Q8_0.gguf@main", settings)
    assert asked == [("owner/name", "main", ["m.Q8_0.gguf"])] and source.recipe.of == "dequantised from m.Q8_0.gguf (Q8_0)"
    here = LanguageModel.load(str(tmp_path / "files" / "m.Q8_0.gguf"), settings=settings)
    assert LanguageModel.load("owner/name/m.Q8_0.gguf", settings=settings).checkpoint == here.checkpoint
    with pytest.raises(BadModel, match=r"owner/name has no file o\.gguf on the hub"):
        find("owner/name/o.gguf", settings)
    with pytest.raises(BadModel, match=r"no config.json on the hub. If it holds GGUF files, name one: owner/name/FILE.gguf"):
        find("owner/name", settings)
    for name in ("owner/name/*.gguf", "owner/name/folder/m.gguf", "owner/name/model.safetensors", "owner//m.gguf"):
        with pytest.raises(BadModel, match="nor a hub id"):
            find(name, settings)


@pytest.mark.parametrize("quantization", ["none", "8bit"])
@pytest.mark.parametrize("shards", [True, False])
def test_a_hub_model_is_the_same_as_its_folder_and_only_what_it_needs_is_fetched(
    quantization, shards, folder, tmp_path, monkeypatch
):
    if not shards:
        save_file(
            {k: t for path in folder.glob("*.safetensors") for k, t in load_file(path).items()}, folder / "model.safetensors"
        )
        (folder / "model.safetensors.index.json").unlink()
        for path in folder.glob("model-*"):
            path.unlink()
    for spare in ("consolidated.safetensors", "training_args.bin", "pytorch_model.bin"):
        (folder / spare).write_bytes(b"spare")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "config.json").write_text("{}")
    asked = hub_with(folder, tmp_path / "c0ffee", monkeypatch)
    model = LanguageModel.load("owner/name", quantization=quantization)
    assert [revision for _, revision, _ in asked] == [None, "c0ffee"] and model.revision == "c0ffee"
    brought = {path.name for path in (tmp_path / "c0ffee").iterdir()}
    assert not brought & {"onnx", "consolidated.safetensors", "training_args.bin", "pytorch_model.bin"}
    (folder / "consolidated.safetensors").unlink()
    (folder / "pytorch_model.bin").unlink()
    assert model.fingerprint == LanguageModel.load(str(folder), quantization=quantization).fingerprint


@pytest.mark.parametrize("shards", [True, False])
def test_pickles_are_fetched_from_the_hub_only_with_the_switch(shards, folder, tmp_path, monkeypatch):
    tensors = {k: t for path in folder.glob("*.safetensors") for k, t in load_file(path).items()}
    (folder / "model.safetensors.index.json").unlink()
    for path in folder.glob("*.safetensors"):
        path.unlink()
    torch.save(tensors, folder / ("one.bin" if shards else "pytorch_model.bin"))
    if shards:
        index = {"metadata": {}, "weight_map": dict.fromkeys(tensors, "one.bin")}
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    hub_with(folder, tmp_path / "c0ffee", monkeypatch)
    assert re.search("no weights in safetensors.*EDITLAB_UNSAFE_WEIGHTS", refused("owner/name"))
    assert not list((tmp_path / "c0ffee").glob("*.bin"))
    model = LanguageModel.load("owner/name", settings=Settings(unsafe_weights=True))
    assert model.checkpoint == tiny_model("llama").checkpoint


def test_a_copy_of_a_model_under_another_name_is_the_same_model(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    first, second = LanguageModel.load(str(folder)), LanguageModel.load(str(tmp_path / "copy"), quantization="4bit")
    assert first.checkpoint == second.checkpoint


def test_a_model_that_is_stored_quantised_is_held_as_it_is_stored(folder, tmp_path):
    model = LanguageModel.load(str(folder), quantization="4bit")
    save(model, tmp_path / "small")
    again = LanguageModel.load(str(tmp_path / "small"))
    assert again.quantization == "4bit" and again.fingerprint.endswith("-4bit")
    torch.testing.assert_close(
        again.logits(["The river runs to"]), model.logits(["The river runs to"]), rtol=1e-4, atol=1e-4
    )
    assert plan(str(tmp_path / "small")).weights == plan(str(folder), quantization="4bit").weights
    assert "stored in 4bit" in refused(tmp_path / "small", quantization="8bit")
    config = json.loads((tmp_path / "small" / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (tmp_path / "small" / "config.json").write_text(json.dumps(config))
    assert "stored in gptq" in refused(tmp_path / "small")
