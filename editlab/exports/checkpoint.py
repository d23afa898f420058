"""The model with its edits written into the weights, as transformers 4 and 5, vLLM and llama.cpp read any model.

One shard after another: only the matrices of one shard are copied. The base's tokenizer is copied as it is.
"""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import save_file
from transformers.core_model_loading import revert_weight_conversion

from editlab.exports import notes, vocabulary
from editlab.exports.card import Card
from editlab.exports.entry import Entry
from editlab.exports.format import STOPPED, Format
from editlab.exports.merged import Merged
from editlab.model import LanguageModel
from editlab.wording import noop
from editlab.work import Cancel, Progress, stop_if

SHARD = "4GB"
FORMAT = Format(
    "checkpoint",
    noop("the model with the edits in its weights, for transformers"),
    noop("The model with the edits in its weights, for transformers. A checkpoint cannot hold REP or a mask."),
    lambda export, folder, progress, cancel: write(export.model, export.entries, folder, progress, cancel),
    Card(
        "`AutoModelForCausalLM.from_pretrained(folder)` loads the model with the edits in its weights; `vllm serve folder` "
        "serves it, and llama.cpp's `convert_hf_to_gguf.py folder` makes a GGUF file of it.",
        "transformers",
        "finetune",
    ),
    (notes.no_pathways("A checkpoint"), notes.no_mask("A checkpoint"), notes.rounded, notes.started),
    in_demo=False,
    size=lambda export: Merged(export.model, export.entries).bytes,
)
TOKENIZER = (
    *("tokenizer*", "vocab.*", "merges.txt", "special_tokens_map.json", "added_tokens.json", "*.model"),
    *("chat_template*", "additional_chat_templates", "generation_config.json"),
)
"""The files of a model that say how texts become tokens, how a chat is written and how it generates."""
NEWER = ("backend", "is_local", "local_files_only")
"""What transformers 5 adds to a tokenizer's settings; 4 passes them on to the tokenizer, which does not know them."""


def write(model: LanguageModel, entries: Sequence[Entry], folder: Path, progress: Progress, cancel: Cancel) -> None:
    """Write weights, configuration and tokenizer into a folder. Raises `BadRequest` for a quantised model, `Cancelled`."""
    weights = Merged(model, entries)
    folder.mkdir(exist_ok=True)
    names_within = _names_within(model, weights)
    plan = split_torch_state_dict_into_shards(
        {name: weights.stored[within] for name, within in names_within.items()}, max_shard_size=SHARD
    )
    for number, (file, names) in enumerate(plan.filename_to_tensors.items()):
        stop_if(cancel, STOPPED)
        progress(
            number / len(plan.filename_to_tensors),
            f"writing weights: file {number + 1} of {len(plan.filename_to_tensors)}",
        )
        save_file({name: weights[names_within[name]] for name in names}, folder / file, {"format": "pt"})
    if plan.is_sharded:
        index = {"metadata": plan.metadata, "weight_map": dict(sorted(plan.tensor_to_filename.items()))}
        _write_json(folder / "model.safetensors.index.json", index)
    config = copy.deepcopy(model.hf.config)
    config.architectures, config.dtype = [type(model.hf).__name__], model.dtype
    _write_json(folder / "config.json", with_old_names(json.loads(config.to_json_string())))
    write_tokenizer(model, folder)


def _names_within(model: LanguageModel, weights: Merged) -> dict[str, str]:
    """Return what each weight is called in the model, by what files call it: transformers 5 renamed some of GPT-NeoX's."""
    numbers = {name: torch.tensor(number) for number, name in enumerate(weights.stored)}
    within = list(weights.stored)
    return {name: within[int(number)] for name, number in revert_weight_conversion(model.hf, numbers).items()}


def with_old_names(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration of transformers 5 in which 4, vLLM and llama.cpp find the names that they know as well."""
    found = {key: value for key, value in config.items() if key != "_name_or_path"}
    found["torch_dtype"] = found.get("dtype")
    if "n_positions" in found:
        found["n_ctx"] = found["n_positions"]
    rope: Mapping[str, Any] = found.get("rope_parameters") or {}
    local: Mapping[str, Any] = rope.get("sliding_attention") or {}
    rope = rope.get("full_attention", rope)
    if local:
        found["rope_local_base_freq"] = local["rope_theta"]
    if not rope:
        return found
    found["rope_theta"] = rope["rope_theta"]
    if "partial_rotary_factor" in rope:
        found["partial_rotary_factor"] = rope["partial_rotary_factor"]
    if found["model_type"] == "gpt_neox":
        found |= {"rotary_emb_base": rope["rope_theta"], "rotary_pct": rope.get("partial_rotary_factor", 1.0)}
    stretched = {key: value for key, value in rope.items() if key not in ("rope_theta", "partial_rotary_factor")}
    if found["model_type"] == "phi3":  # where 4 wants three settings and no more
        found["original_max_position_embeddings"] = stretched.pop(
            "original_max_position_embeddings", found.get("original_max_position_embeddings")
        )
        stretched["type"] = stretched.pop("rope_type")
    found["rope_scaling"] = None if (stretched.get("rope_type") or stretched.get("type")) == "default" else stretched
    return found


def write_tokenizer(model: LanguageModel, folder: Path) -> None:
    """Write what goes with the weights: the base's own files, byte by byte, or where there are none the tokenizer's."""
    own = [] if model.folder is None else [path for pattern in TOKENIZER for path in model.folder.glob(pattern)]
    for path in own:
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, folder / path.name)
    if not (folder / "tokenizer.json").exists():
        model.tokenizer.save_pretrained(folder)
    if not (folder / "generation_config.json").exists() and model.hf.generation_config is not None:
        model.hf.generation_config.save_pretrained(folder)
    settings = folder / "tokenizer_config.json"
    if settings.exists():
        told = json.loads(settings.read_bytes())
        known = _as_before(told, vocabulary.prepends_space(model.tokenizer))
        if known != told:
            _write_json(settings, known)


def _as_before(told: Mapping[str, Any], spaced: bool) -> dict[str, Any]:
    """Return a tokenizer's settings as transformers 4 reads them, too; those that it wrote come back as they are.

    `spaced`: whether a space is put before each text, which 4 takes from here and not from tokenizer.json.
    """
    known = {key: value for key, value in told.items() if key not in NEWER}
    if known.get("tokenizer_class") in ("TokenizersBackend", "PreTrainedTokenizerFast"):
        known |= {"tokenizer_class": "PreTrainedTokenizerFast"} | ({"add_prefix_space": True} if spaced else {})
    if isinstance(known.get("extra_special_tokens"), list):
        known["additional_special_tokens"] = known.pop("extra_special_tokens")
    return known


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(f"{json.dumps(content, indent=2, ensure_ascii=False)}\n", encoding="utf-8")
