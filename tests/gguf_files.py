"""Writes tiny models as GGUF files, as llama.cpp's converters do."""

import json
from pathlib import Path

import torch
from gguf import MODEL_ARCH, GGMLQuantizationType, GGUFWriter, get_tensor_name_map
from gguf.quants import quantize

from editlab.model import LanguageModel

ARCHS = {
    "llama": MODEL_ARCH.LLAMA,
    "qwen2": MODEL_ARCH.QWEN2,
    "qwen3": MODEL_ARCH.QWEN3,
    "phi3": MODEL_ARCH.PHI3,
    "gemma2": MODEL_ARCH.GEMMA2,
    "gemma3": MODEL_ARCH.GEMMA3,
    "gpt2": MODEL_ARCH.GPT2,
}


def write_gguf(
    model: LanguageModel, path: Path, arch: str = "llama", kind: str = "F32", label: str = "", **metadata
) -> Path:
    """Matrices in the type `kind`, the rest in float32. `metadata` replace or add to what is written, under their full keys.

    `label`: what the file says its family is, where that is not `arch`.
    """
    config, writer = model.hf.config, GGUFWriter(path, label or arch)
    numbers = {
        "block_count": config.num_hidden_layers,
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "feed_forward_length": getattr(config, "intermediate_size", None) or config.n_inner,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": getattr(config, "num_key_value_heads", config.num_attention_heads),
    }
    if arch == "llama":
        numbers["rope.dimension_count"] = config.head_dim
    if arch in ("qwen3", "gemma2", "gemma3"):
        numbers["attention.key_length"] = config.head_dim
    if arch in ("gemma2", "gemma3"):
        numbers["attention.sliding_window"] = config.sliding_window
    for key, value in numbers.items():
        writer.add_uint32(f"{arch}.{key}", value)
    rms = hasattr(config, "rms_norm_eps")
    epsilon = config.rms_norm_eps if rms else config.layer_norm_epsilon
    writer.add_float32(f"{arch}.attention.layer_norm_{'rms_' if rms else ''}epsilon", epsilon)
    for key, value in metadata.items():
        writer.add_string(key, value) if isinstance(value, str) else writer.add_uint32(key, value)
    _write_tokenizer(model, writer)
    names = get_tensor_name_map(ARCHS[arch], config.num_hidden_layers)
    tied = getattr(model.hf, "all_tied_weights_keys", None) or {}
    for name, tensor in model.hf.state_dict().items():
        if name in tied:
            continue
        module, _, suffix = name.rpartition(".")
        written = _as_llama_cpp_has_it(arch, name, tensor.float(), config).numpy()
        chosen = GGMLQuantizationType[kind if tensor.ndim == 2 else "F32"]
        writer.add_tensor(f"{names.get_name(module)}.{suffix}", quantize(written, chosen), raw_dtype=chosen)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _as_llama_cpp_has_it(arch: str, name: str, tensor: torch.Tensor, config) -> torch.Tensor:
    if arch == "llama" and ("q_proj" in name or "k_proj" in name):
        heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
        return tensor.view(heads, 2, -1, *tensor.shape[1:]).transpose(1, 2).reshape(tensor.shape).contiguous()
    if arch.startswith("gemma") and "norm" in name:
        return tensor + 1
    if arch == "gpt2" and tensor.ndim == 2 and any(part in name for part in ("c_attn", "c_fc", "c_proj")):
        return tensor.T.contiguous()
    return tensor


def _write_tokenizer(model: LanguageModel, writer: GGUFWriter) -> None:
    """A byte-level vocabulary, as GPT-2's."""
    stored = json.loads(model.tokenizer.backend_tokenizer.to_str())
    vocabulary = sorted(stored["model"]["vocab"], key=stored["model"]["vocab"].get)
    special = {token["content"] for token in stored["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(vocabulary)
    writer.add_token_types([3 if token in special else 1 for token in vocabulary])
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in stored["model"]["merges"]])
    writer.add_bos_token_id(model.tokenizer.bos_token_id)
    writer.add_eos_token_id(model.tokenizer.eos_token_id)
    writer.add_unk_token_id(model.tokenizer.pad_token_id)
    writer.add_add_bos_token(False)
