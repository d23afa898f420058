"""The edited model, or the edits alone as a LoRA, as GGUF files for llama.cpp, written by the package `gguf`.

One weight after another is read, edited, put into llama.cpp's order and written. What a family needs beyond its names is
here; reading such files again is `editlab/model/gguf.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from gguf import (
    GGML_QUANT_SIZES,
    MODEL_ARCH_NAMES,
    GGMLQuantizationType,
    GGUFType,
    GGUFWriter,
    LlamaFileType,
    get_tensor_name_map,
    quant_shape_to_byte_shape,
)
from gguf.constants import Keys
from gguf.quants import quantize
from torch import Tensor
from transformers import PretrainedConfig

from editlab.errors import BadRequest
from editlab.exports import adapter, notes, vocabulary
from editlab.exports.card import Card
from editlab.exports.entry import Entry
from editlab.exports.format import STOPPED, Export, Format
from editlab.exports.merged import Merged
from editlab.model import LanguageModel
from editlab.model.gguf import FAMILIES, LARGEST, ROPE_FACTORS, llama3_factors
from editlab.wording import join, noop
from editlab.work import Cancel, Progress, stop_if

ARCHS = {family: arch for arch, family in FAMILIES.items()} | {"mistral": "llama"}
"""What GGUF calls each family that can be written."""
KINDS = {"F16": LlamaFileType.MOSTLY_F16, "Q8_0": LlamaFileType.MOSTLY_Q8_0}
"""The types in which matrices are written; the rest is F32."""
PATTERNS = {"gemma2": 2, "gemma3_text": 6}
"""How many layers of these families llama.cpp counts up to the one that sees the whole text."""
ACTIVATIONS = {"gemma2": "gelu_pytorch_tanh", "gemma3": "gelu_pytorch_tanh", "gpt2": "gelu_new"}
"""What llama.cpp puts between the halves of an MLP; silu in all other families."""
LARGEST_HALF = torch.finfo(torch.float16).max
ADAPTER = "edits-lora.gguf"
INSTEAD = noop("Export a checkpoint and convert it with llama.cpp (convert_hf_to_gguf.py).")


def arch_of(model: LanguageModel) -> str:
    """Return what GGUF calls a model's family. Raises `BadRequest` for a model that cannot be written so."""
    config = model.hf.config
    if config.model_type not in ARCHS:
        raise BadRequest(
            f"EditLab does not write {config.model_type!r} models as GGUF, only {join(sorted(ARCHS))}. {INSTEAD}"
        )
    rope = getattr(config, "rope_parameters", None) or {}
    parts = [part for part in (rope.get("full_attention", rope), rope.get("sliding_attention")) if part]
    odd = next((p["rope_type"] for p in parts if p["rope_type"] not in ("default", "llama3")), None)
    if odd is not None or (config.model_type != "llama" and any(p["rope_type"] == "llama3" for p in parts)):
        raise BadRequest(
            f"This model stretches its position embedding ({odd or 'llama3'}), which is not written as GGUF here. {INSTEAD}"
        )
    every = PATTERNS.get(config.model_type)
    expected = every and [
        "full_attention" if (n + 1) % every == 0 else "sliding_attention" for n in range(config.num_hidden_layers)
    ]
    windows = getattr(config, "layer_types", None) or []
    narrow = "sliding_attention" in windows or (config.model_type == "mistral" and config.sliding_window)
    if windows != expected if expected else narrow:
        raise BadRequest(
            f"Which of this model's layers see how much of a text is not what llama.cpp takes for it. {INSTEAD}"
        )
    if every and config.query_pre_attn_scalar != _query_scale(config):
        raise BadRequest(f"This model scales its attention otherwise than llama.cpp does. {INSTEAD}")
    arch = ARCHS[config.model_type]
    given = (getattr(config, name, None) for name in ("hidden_activation", "hidden_act", "activation_function"))
    activation = next((name for name in given if name), None)
    if activation != ACTIVATIONS.get(arch, "silu"):
        raise BadRequest(
            f"This model's MLPs compute with {activation}, which llama.cpp does not do in its family. {INSTEAD}"
        )
    return arch


def _query_scale(config: PretrainedConfig) -> float:
    """Return the square of what llama.cpp divides a Gemma's queries by: another number in its largest models alone."""
    largest = config.num_hidden_layers == LARGEST[ARCHS[config.model_type]]
    return config.hidden_size // config.num_attention_heads if largest else config.head_dim


def write(
    model: LanguageModel, entries: Sequence[Entry], kind: str, folder: Path, progress: Progress, cancel: Cancel
) -> None:
    """Write the edited model as one file of a type. Raises `BadRequest` for what GGUF or this writer lacks, `Cancelled`."""
    arch, weights = arch_of(model), Merged(model, entries)
    writer = GGUFWriter(folder / f"model-{kind}.gguf", arch)
    try:
        writer.add_type(GGUFType.MODEL)
        writer.add_name(Path(model.name).name)
        writer.add_file_type(KINDS[kind])
        writer.add_quantization_version(2)
        _write_shape(model.hf.config, arch, writer)
        vocabulary.write(model.tokenizer, model.hf.config.vocab_size, writer)
        planned = list(_planned(model, weights, arch, kind))
        for name, shape, chosen, _ in planned:
            as_bytes = quant_shape_to_byte_shape(shape, chosen)
            writer.add_tensor_info(name, as_bytes, np.dtype(np.uint8), _bytes(shape, chosen), chosen)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for number, (name, _, chosen, read) in enumerate(planned):
            stop_if(cancel, STOPPED)
            progress(number / len(planned), f"writing {kind}: weight {number + 1} of {len(planned)}")
            tensor = read().float()
            if chosen is GGMLQuantizationType.F16 and tensor.abs().max() > LARGEST_HALF:
                raise BadRequest(f"{name} has weights that are too large for F16. Export gguf-q8_0, or a checkpoint.")
            writer.write_tensor_data(quantize(tensor.numpy(), chosen))
    finally:
        writer.close()


Planned = tuple[str, tuple[int, ...], GGMLQuantizationType, Callable[[], Tensor]]
"""A tensor of a file: its name, shape, type, and what reads it."""


def _planned(model: LanguageModel, weights: Merged, arch: str, kind: str) -> Iterator[Planned]:
    """Yield the tensors of a file, none of them read yet."""
    config = model.hf.config
    names = get_tensor_name_map(_known_as(arch), config.num_hidden_layers)
    for name, tensor in weights.stored.items():
        written = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if written is None:
            raise BadRequest(f"The weight {name} has no place in a GGUF file of {arch}. {INSTEAD}")
        turned = arch == "gpt2" and tensor.ndim == 2 and name.startswith("transformer.h.")
        shape = tuple(tensor.shape[::-1] if turned else tensor.shape)
        chosen = GGMLQuantizationType.F32
        if tensor.ndim == 2 and written != "position_embd.weight":
            chosen = GGMLQuantizationType[
                kind if shape[-1] % GGML_QUANT_SIZES[GGMLQuantizationType[kind]][0] == 0 else "F16"
            ]
        yield written, shape, chosen, partial(_in_order, arch, name, weights, config)
    if arch == "llama" and config.rope_parameters["rope_type"] == "llama3":
        yield ROPE_FACTORS, (config.head_dim // 2,), GGMLQuantizationType.F32, partial(llama3_factors, config)


def _known_as(arch: str) -> int:
    return next(key for key, name in MODEL_ARCH_NAMES.items() if name == arch)


def _in_order(arch: str, name: str, weights: Merged, config: PretrainedConfig) -> Tensor:
    """Return a weight as llama.cpp has it: Llama's queries and keys in pairs, Gemma's norms whole, GPT-2's turned."""
    tensor = weights.precise(name).float()
    if arch == "llama" and (".q_proj." in name or ".k_proj." in name):
        heads = config.num_attention_heads if ".q_proj." in name else config.num_key_value_heads
        return tensor.view(heads, 2, -1, *tensor.shape[1:]).transpose(1, 2).reshape(tensor.shape)
    if arch.startswith("gemma") and name.endswith("norm.weight"):
        return tensor + 1
    return tensor.T if arch == "gpt2" and tensor.ndim == 2 and name.startswith("transformer.h.") else tensor


def _write_shape(config: PretrainedConfig, arch: str, writer: GGUFWriter) -> None:
    """Add the numbers that describe a model, under the names that llama.cpp's own converter gives them."""
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(getattr(config, "intermediate_size", None) or config.n_inner or 4 * config.hidden_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_vocab_size(config.vocab_size)
    if arch == "gpt2":
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
        return
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    rope = config.rope_parameters
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(rope.get("full_attention", rope)["rope_theta"])
    if arch == "phi3":
        writer.add_rope_dimension_count(int(width * rope.get("partial_rotary_factor", 1.0)))
        writer.add_rope_scaling_orig_ctx_len(config.original_max_position_embeddings)
        writer.add_sliding_window(config.sliding_window or 0)
        return
    writer.add_rope_dimension_count(width)
    writer.add_key_length(width)
    writer.add_value_length(width)
    if arch in ("gemma2", "gemma3"):
        writer.add_sliding_window(config.sliding_window)
        if "sliding_attention" in rope:
            writer.add_rope_freq_base_swa(rope["sliding_attention"]["rope_theta"])
        if config.attn_logit_softcapping:
            writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        if config.final_logit_softcapping:
            writer.add_final_logit_softcapping(config.final_logit_softcapping)


def write_lora(model: LanguageModel, entries: Sequence[Entry], folder: Path, rank: int | None = None) -> None:
    """Write the edits as a LoRA in float32. Raises `BadRequest` where an adapter cannot hold them."""
    arch, pairs = arch_of(model), adapter.pairs_of(entries, rank)
    names = get_tensor_name_map(_known_as(arch), model.hf.config.num_hidden_layers)
    writer = GGUFWriter(folder / ADAPTER, arch)
    try:
        writer.add_type(GGUFType.ADAPTER)
        writer.add_string(Keys.Adapter.TYPE, "lora")
        writer.add_float32(Keys.Adapter.LORA_ALPHA, float(pairs.rank))
        for layer, pair in pairs.by_layer.items():
            name = names.get_name(f"{model.arch.name_of(layer)}.weight", try_suffixes=(".weight",))
            for side, tensor in zip("ab", pair, strict=True):
                writer.add_tensor(f"{name}.lora_{side}", tensor.numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def _bytes(shape: tuple[int, ...], kind: GGMLQuantizationType) -> int:
    block, size = GGML_QUANT_SIZES[kind]
    return math.prod(shape) // block * size


def size(export: Export, kind: str) -> int:
    """Return the bytes of the weights of a file. Raises `BadRequest` for a model that cannot be written."""
    arch, weights = arch_of(export.model), Merged(export.model, export.entries)
    return sum(_bytes(shape, chosen) for _, shape, chosen, _ in _planned(export.model, weights, arch, kind))


def _lora_size(export: Export) -> int:
    arch_of(export.model)
    return adapter.size(export)


def spaced(export: Export) -> str | None:
    """Return the note for a tokenizer that llama.cpp follows in all but the space before a text."""
    if vocabulary.prepends_space(export.model.tokenizer):
        return noop("This tokenizer puts a space before each text and llama.cpp does not: begin your texts with one there.")
    return None


def _model_format(kind: str, name: str, title: str, holds: str) -> Format:
    return Format(
        name,
        title,
        holds,
        lambda export, folder, progress, cancel: write(export.model, export.entries, kind, folder, progress, cancel),
        Card(f"`llama-cli -m model-{kind}.gguf` runs the model with the edits in its weights.", "gguf", "finetune"),
        (notes.no_pathways("A GGUF file"), notes.no_mask("A GGUF file"), notes.started, spaced),
        in_demo=False,
        size=lambda export: size(export, kind),
    )


F16 = _model_format(
    "F16",
    "gguf",
    noop("the model with the edits in its weights, for llama.cpp (GGUF, F16)"),
    noop("The model with the edits in its weights as one GGUF file in F16, for llama.cpp. It cannot hold REP or a mask."),
)
Q8_0 = _model_format(
    "Q8_0",
    "gguf-q8_0",
    noop("the same in 8 bit (GGUF, Q8_0)"),
    noop("The model with the edits in its weights as one GGUF file in Q8_0, for llama.cpp. It cannot hold REP or a mask."),
)
LORA = Format(
    "gguf-lora",
    noop("the edits alone as a LoRA for llama.cpp (GGUF)"),
    noop("The low-rank patches as a GGUF file for llama.cpp's --lora. An adapter cannot hold REP or a mask."),
    lambda export, folder, progress, cancel: write_lora(export.model, export.entries, folder, export.rank),
    Card(f"`llama-cli -m BASE.gguf --lora {ADAPTER}` applies the edits to the base model.", "gguf", "adapter"),
    (
        *(notes.no_pathways("An adapter"), notes.no_mask("An adapter"), notes.quantised, notes.started),
        *(spaced, adapter.cut),
    ),
    size=_lora_size,
    cuts=True,
)
