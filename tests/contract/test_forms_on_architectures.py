"""Checkpoint, adapter and GGUF file of every family: what other programs look for, and that they answer as the view."""

import copy
import json

import numpy as np
import pytest
import torch
from accelerate import cpu_offload
from gguf import GGUFReader
from peft import PeftModel
from safetensors import safe_open
from safetensors.torch import save_file
from tiny_models import KINDS, SPECIAL, Kind, save, shared_model, tiny_model
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM

from editlab import EditRequest, LanguageModel, View
from editlab.errors import BadRequest
from editlab.exports import Entry, adapter, checkpoint, gguf
from editlab.exports.checkpoint import TOKENIZER, with_old_names
from editlab.patches import LowRank
from editlab.settings import Settings
from editlab.work import never, no_progress

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # PEFT reads it
TEXTS = ("The river runs to", "Ana lives in the house and", "In 1984 he saw")
WRITTEN = ("llama", "qwen2", "qwen2_start", "qwen3", "phi3", "phi4", "gemma2", "gpt2")
"""Kinds that GGUF has a place for; the others are refused below."""
SIX = {"num_hidden_layers": 6, "head_dim": 8, "sliding_window": 6, "query_pre_attn_scalar": 8}


def low_rank(model, layers, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return 0.3 * torch.randn(*shape, generator=generator)

    return tuple(LowRank(layer, normal(1, model.d_ff), normal(model.d_model, 1)) for layer in layers)


def edited(model, layers=(0, 2, 2, 2), seed=0):
    """Three edits in one layer beside one in another, and the view under them."""
    patches = low_rank(model, layers, seed)
    request = EditRequest("{} is in", "Peru", "Asia")
    return [Entry(requests=(request,), method="rome", config={}, layers=layers, patches=patches)], View(patches)


def answers(model, hf):
    return torch.stack([hf(torch.tensor([model.tok.encode(text)])).logits[0, -1] for text in TEXTS]).detach()


def read_weights(folder):
    found = {}
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            found |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return found


# The checkpoint


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_has_the_weights_that_save_pretrained_writes_and_old_names_beside_new_ones(kind, tmp_path):
    model = shared_model(kind)
    entries, view = edited(model)
    save(model, tmp_path / "base")
    checkpoint.write(model, entries, tmp_path / "out", no_progress, never)
    base, found = read_weights(tmp_path / "base"), read_weights(tmp_path / "out")
    assert base.keys() == found.keys()
    changed = {name for name in base if not torch.equal(base[name], found[name])}
    assert changed == {f"{model.arch.name_of(layer)}.weight" for layer in (0, 2)}
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["torch_dtype"] == config["dtype"] == "float32" and config["model_type"] == model.hf.config.model_type
    rope = config.get("rope_parameters")
    if rope:
        assert config["rope_theta"] == rope.get("full_attention", rope)["rope_theta"] and config["rope_scaling"] is None
    if kind == "gemma3":
        assert config["rope_local_base_freq"] == rope["sliding_attention"]["rope_theta"] != config["rope_theta"]
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert getattr(again.config, "rope_parameters", None) == getattr(model.hf.config, "rope_parameters", None)
    assert (answers(model, again) - model.logits(TEXTS, view)).abs().max() < 1e-4 * model.logits(TEXTS, view).abs().max()


def test_a_stretched_rotary_embedding_has_its_old_names_too():
    stretched = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0}
    found = with_old_names({"model_type": "llama", "dtype": "bfloat16", "rope_parameters": stretched})
    assert (found["rope_theta"], found["torch_dtype"]) == (5e5, "bfloat16")
    assert found["rope_scaling"] == {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0}
    long = {"rope_type": "longrope", "rope_theta": 1e4, "partial_rotary_factor": 0.75, "short_factor": [1.0]}
    long |= {"long_factor": [2.0], "original_max_position_embeddings": 4096}
    found = with_old_names({"model_type": "phi3", "dtype": "float16", "rope_parameters": long})
    assert found["rope_scaling"] == {"type": "longrope", "short_factor": [1.0], "long_factor": [2.0]}
    assert (found["original_max_position_embeddings"], found["partial_rotary_factor"]) == (4096, 0.75)


def test_the_bases_tokenizer_goes_along_byte_by_byte(tmp_path):
    base = save(tiny_model("llama"), tmp_path / "base")
    plain = {"tokenizer_class": "LlamaTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "model_max_length": 99}
    (base / "tokenizer_config.json").write_text(json.dumps(plain))
    for name in ("tokenizer.model", "special_tokens_map.json", "chat_template.jinja", "generation_config.json"):
        (base / name).write_bytes(b'{"a":\t1}' if name.endswith("json") else b"\x00\x01 as it is\r\n")
    (base / "secret.json").write_text("{}")
    model = LanguageModel.load(str(base))
    checkpoint.write(model, edited(model)[0], tmp_path / "out", no_progress, never)
    files = {path.name for pattern in TOKENIZER for path in base.glob(pattern)}
    assert len(files) == 6 and all((tmp_path / "out" / name).read_bytes() == (base / name).read_bytes() for name in files)
    assert not (tmp_path / "out" / "secret.json").exists()


def test_what_transformers_5_alone_reads_of_a_tokenizer_is_written_as_4_reads_it(tmp_path):
    base = save(tiny_model("llama"), tmp_path / "base")
    told = {"tokenizer_class": "TokenizersBackend", "backend": "tokenizers", "is_local": True, "bos_token": "<s>"}
    told |= {"extra_special_tokens": ["<pad>"], "eos_token": "</s>"}
    (base / "tokenizer_config.json").write_text(json.dumps(told))
    model = LanguageModel.load(str(base))
    checkpoint.write(model, edited(model)[0], tmp_path / "out", no_progress, never)
    assert json.loads((tmp_path / "out" / "tokenizer_config.json").read_text()) == {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "additional_special_tokens": ["<pad>"],
    }
    model.tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    checkpoint.write(model, edited(model)[0], tmp_path / "spaced", no_progress, never)
    assert json.loads((tmp_path / "spaced" / "tokenizer_config.json").read_text())["add_prefix_space"] is True
    checkpoint.write(shared_model("llama"), edited(shared_model("llama"))[0], tmp_path / "bare", no_progress, never)
    bare = json.loads((tmp_path / "bare" / "tokenizer_config.json").read_text())
    assert bare["tokenizer_class"] == "PreTrainedTokenizerFast" and not {"is_local", "backend"} & bare.keys()
    assert (tmp_path / "bare" / "generation_config.json").exists()


def test_a_model_that_is_partly_elsewhere_is_written_whole_and_never_twice(tmp_path, monkeypatch):
    whole = tiny_model("llama")
    entries, _ = edited(whole)
    monkeypatch.setattr(checkpoint, "SHARD", "20KB")
    checkpoint.write(whole, entries, tmp_path / "whole", no_progress, never)
    model = tiny_model("llama")
    cpu_offload(model.hf, execution_device=torch.device("cpu"))
    assert all(parameter.is_meta for parameter in model.hf.parameters())
    sizes = []

    def counted(tensors, *rest):
        sizes.append(sum(t.numel() * t.element_size() for t in tensors.values()))
        save_file(tensors, *rest)

    monkeypatch.setattr(checkpoint, "save_file", counted)
    checkpoint.write(model, entries, tmp_path / "out", no_progress, never)
    found, expected = read_weights(tmp_path / "out"), read_weights(tmp_path / "whole")
    assert found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)
    assert len(sizes) > 5 and max(sizes) < sum(sizes) / 3
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    assert index["weight_map"].keys() == found.keys() and index["metadata"]["total_size"] == sum(sizes)


# The adapter


def test_all_modules_have_one_rank_and_one_alpha(tmp_path):
    model = shared_model("llama")
    entries, view = edited(model)
    adapter.write(model, entries, tmp_path)
    config, tensors = json.loads((tmp_path / "adapter_config.json").read_text()), read_weights(tmp_path)
    assert config["r"] == config["lora_alpha"] == 3 and config["rank_pattern"] == config["alpha_pattern"] == {}
    assert {tensor.shape[0] for name, tensor in tensors.items() if "lora_A" in name} == {3}
    for layer, laid in view.laid.items():
        A, B = (tensors[f"base_model.model.{model.arch.name_of(layer)}.lora_{side}.weight"] for side in "AB")
        assert torch.equal(B @ A, B[:, : len(laid.A)] @ A[: len(laid.A)])
        assert torch.equal(A[: len(laid.A)], laid.A) and torch.equal(B[:, : len(laid.A)], laid.B), "as they are"


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_adapters_are_combined_exactly(kind, tmp_path, differences):
    model = tiny_model(kind)
    parts = [edited(model, (0, 2, 2), 1), edited(model, (2, 3), 2)]
    save(model, tmp_path / "base")
    for number, (entries, _) in enumerate(parts):
        (tmp_path / str(number)).mkdir()
        adapter.write(model, entries, tmp_path / str(number))
    hf = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tmp_path / "base"), tmp_path / "0", "one")
    hf.load_adapter(tmp_path / "1", "two")
    hf.add_weighted_adapter(["one", "two"], [1.0, 1.0], "both", combination_type="cat")
    hf.set_adapter("both")
    both = View((*parts[0][1].patches, *parts[1][1].patches))
    differences(f"two adapters as one, {kind}", answers(model, hf), model.logits(TEXTS, both), 1e-5)


def test_a_rank_above_the_width_is_cut_without_loss_and_below_it_by_what_is_said():
    model = shared_model("llama")
    patches = low_rank(model, [1] * 40)
    dense = sum(patch.dense().double() for patch in patches)
    entry = Entry(requests=(), method="memit", config={}, layers=(1,), patches=patches)
    whole = adapter.pairs_of([entry])
    A, B = whole.by_layer[1]
    assert whole.rank == model.d_model and whole.lost < 1e-6
    assert (B.double() @ A.double() - dense).abs().max() < 1e-6 * dense.abs().max()
    for rank in (8, 16):
        cut = adapter.pairs_of([entry], rank)
        A, B = cut.by_layer[1]
        error = ((B.double() @ A.double() - dense).norm() / dense.norm()).item()
        assert len(A) == cut.rank == rank and cut.lost == pytest.approx(error, rel=1e-4) and error > 0.1
        best = torch.linalg.svdvals(dense)
        assert error == pytest.approx((best[rank:].norm() / best.norm()).item(), rel=1e-4)
    assert adapter.pairs_of([entry], 64).rank == model.d_model
    with pytest.raises(BadRequest, match=r"rank 12.*8, 16, 32, 64, 128, 256, 320 and 512"):
        adapter.pairs_of([entry], 12)


# GGUF


def written(kind, tmp_path, monkeypatch=None, how="F16"):
    if kind == "gemma3_six":
        monkeypatch.setitem(KINDS, kind, Kind("gemma3_text", "metaspace", SIX))
    if kind == "mistral_wide":
        monkeypatch.setitem(KINDS, kind, Kind("mistral", "metaspace", {"sliding_window": None}))
    model = tiny_model(kind)
    for name, weight in model.hf.named_parameters():
        if "norm" in name or "ln_" in name:
            weight.data += 0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(len(name)))
    entries, view = edited(model)
    gguf.write(model, entries, how, tmp_path, no_progress, never)
    return model, entries, view, tmp_path / f"model-{how}.gguf"


@pytest.mark.parametrize("kind", [*WRITTEN, "gemma3_six", "mistral_wide"])
def test_a_gguf_file_answers_as_the_view_and_splits_texts_as_the_model(kind, tmp_path, monkeypatch, differences):
    model, _, view, path = written(kind, tmp_path, monkeypatch)
    loaded = LanguageModel.load(str(path), settings=Settings(data=tmp_path / "data"), dtype="float32")
    ids = model.tok.pad([model.tok.encode(text) for text in TEXTS], device=model.device)
    differences(f"GGUF in F16, {kind}", loaded.hidden(ids)[ids.mask], model.hidden(ids, view)[ids.mask], 1e-2)
    if not kind.startswith("gemma"):  # transformers' reader begins a Gemma's texts otherwise
        assert loaded.tokenizer(list(TEXTS))["input_ids"] == model.tokenizer(list(TEXTS))["input_ids"]
    names = [tensor.name for tensor in GGUFReader(path).tensors]
    assert len(names) == len(set(names)) and ("output.weight" in names) != model.hf.config.tie_word_embeddings


def test_a_gguf_file_in_8_bit_is_half_as_large_and_near(tmp_path):
    model, entries, _, path = written("llama", tmp_path, how="Q8_0")
    gguf.write(model, entries, "F16", tmp_path, no_progress, never)
    tensors = {tensor.name: tensor for tensor in GGUFReader(path).tensors}
    assert tensors["blk.2.ffn_down.weight"].tensor_type.name == "Q8_0"
    assert tensors["blk.2.ffn_norm.weight"].tensor_type.name == "F32"
    loaded = LanguageModel.load(str(path), settings=Settings(data=tmp_path / "data"))
    W = model.weight(2) + edited(model)[1].laid[2].dense()
    assert (loaded.weight(2) - W).norm() < 2e-2 * W.norm()
    sizes = [sum(t.n_bytes for t in GGUFReader(tmp_path / f"model-{how}.gguf").tensors) for how in ("Q8_0", "F16")]
    assert 0.5 < sizes[0] / sizes[1] < 0.6


def test_what_llama_cpp_looks_for_is_in_the_file(tmp_path):
    *_, path = written("gemma2", tmp_path)
    fields = {name: field.contents() for name, field in GGUFReader(path).fields.items()}
    assert fields["general.architecture"] == "gemma2" and fields["general.file_type"] == 1
    assert fields["gemma2.attention.sliding_window"] == 6 and fields["gemma2.attn_logit_softcapping"] == 50.0
    assert fields["tokenizer.ggml.model"] == "llama" and fields["tokenizer.ggml.add_bos_token"] is True
    kinds = dict(zip(fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"], strict=True))
    assert {kinds[piece] for piece in SPECIAL} == {3} and kinds["<0x41>"] == 6 and kinds["e"] == 1
    scores = dict(zip(fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.scores"], strict=True))
    assert max(scores.values()) == 0 and scores["<0x41>"] < min(s for s in scores.values() if s > -1e4)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_lora_as_gguf_has_one_rank_and_adds_what_the_view_adds(kind, tmp_path):
    model = shared_model(kind)
    entries, view = edited(model)
    gguf.write_lora(model, entries, tmp_path)
    reader = GGUFReader(tmp_path / gguf.ADAPTER)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    assert (fields["general.type"], fields["adapter.type"]) == ("adapter", "lora")
    tensors = {tensor.name: np.array(tensor.data) for tensor in reader.tensors}
    assert len(tensors) == 4
    for layer, laid in view.laid.items():
        A, B = (tensors[f"blk.{layer}.ffn_down.weight.lora_{side}"] for side in "ab")
        added = fields["adapter.lora.alpha"] / B.shape[1] * (B @ A)
        np.testing.assert_allclose(added, laid.dense().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {*WRITTEN, "mistral", "gemma3"}))
def test_a_family_without_a_place_in_gguf_is_refused_in_one_sentence(kind, tmp_path):
    model = shared_model(kind)
    for write in (gguf.write_lora, lambda *given: gguf.write(*given[:2], "F16", given[2], no_progress, never)):
        with pytest.raises(BadRequest, match="Export a checkpoint and convert it") as told:
            write(model, edited(model)[0], tmp_path)
        assert "\n" not in str(told.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hidden_activation": "relu"}, "compute with relu"),
        ({"query_pre_attn_scalar": 99}, "scales its attention otherwise"),
        ({"layer_types": ["full_attention"] * 4}, "Which of this model's layers"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 2.0}}, r"position embedding \(yarn\)"),
    ],
)
def test_what_a_file_would_not_say_is_refused(change, said, tmp_path):
    model = tiny_model("gemma2")
    for key, value in change.items():
        setattr(model.hf.config, key, value)
    with pytest.raises(BadRequest, match=said):
        gguf.write(model, edited(model)[0], "F16", tmp_path, no_progress, never)


def test_a_weight_too_large_for_half_precision_and_an_unknown_tokenizer_are_refused(tmp_path):
    model = tiny_model("llama")
    model.hf.get_input_embeddings().weight.data[3, 3] = 1e6
    with pytest.raises(BadRequest, match="too large for F16"):
        gguf.write(model, edited(model)[0], "F16", tmp_path, no_progress, never)
    model = tiny_model("llama")
    model.tokenizer = copy.deepcopy(model.tokenizer)
    model.tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(BadRequest, match="This tokenizer splits texts"):
        gguf.write(model, edited(model)[0], "F16", tmp_path, no_progress, never)
