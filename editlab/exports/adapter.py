"""Edits as a LoRA adapter that PEFT loads: the low-rank patches as they are, all edits of a layer in one pair.

PEFT adds (alpha / r) B A to a layer's weight, and B and A are ours; alpha is set to r, so that nothing is scaled.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from editlab.errors import BadRequest
from editlab.exports import notes
from editlab.exports.card import Card
from editlab.exports.entry import Entry, base_of
from editlab.exports.format import Format
from editlab.model import LanguageModel
from editlab.patches import Dense, LowRank
from editlab.wording import noop

FORMAT = Format(
    "peft",
    noop("LoRA adapter for PEFT: the low-rank patches as they are"),
    noop("The low-rank patches as they are; PeftModel.from_pretrained loads them. An adapter cannot hold REP or a mask."),
    lambda export, folder, progress, cancel: write(export.model, export.entries, folder),
    Card("`PeftModel.from_pretrained(base_model, folder)` applies the edits to the base model.", "peft", "adapter"),
    (notes.no_pathways("An adapter"), notes.no_mask("An adapter"), notes.quantised, notes.started),
)
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def write(model: LanguageModel, entries: Sequence[Entry], folder: Path) -> None:
    """Write configuration and weights into a folder. Raises `BadRequest` where an adapter cannot hold the edits."""
    patches = [patch for entry in entries for patch in entry.patches]
    if any(isinstance(patch, Dense) for patch in patches):
        raise BadRequest("An edit here is a whole matrix, which a LoRA adapter cannot hold. Export a checkpoint.")
    low_rank = [patch for patch in patches if isinstance(patch, LowRank)]
    if not low_rank:
        raise BadRequest("No edit here is low-rank, so there is nothing for an adapter. Export tensors.")
    ranks: dict[str, int] = {}
    tensors: dict[str, torch.Tensor] = {}
    for layer in sorted({patch.layer for patch in low_rank}):
        own, name = [patch for patch in low_rank if patch.layer == layer], model.arch.name_of(layer)
        A, B = torch.cat([patch.A for patch in own]), torch.cat([patch.B for patch in own], 1)
        ranks[name] = len(A)
        tensors |= {f"base_model.model.{name}.lora_A.weight": A, f"base_model.model.{name}.lora_B.weight": B}
    save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, folder / WEIGHTS, {"format": "pt"})
    text = json.dumps(_config(model, ranks), indent=2, ensure_ascii=False)
    (folder / CONFIG).write_text(f"{text}\n", encoding="utf-8")


def _config(model: LanguageModel, ranks: dict[str, int]) -> dict[str, Any]:
    """Return what PEFT has to know; `ranks` by the name of each edited projection."""
    most = max(ranks.values())
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_of(model),
        "revision": model.revision,
        "inference_mode": True,
        "r": most,
        "lora_alpha": most,
        "rank_pattern": ranks,
        "alpha_pattern": ranks,
        "target_modules": list(ranks),
        "fan_in_fan_out": model.arch.transposed,
        "lora_dropout": 0.0,
        "bias": "none",
    }
