"""Edits as a LoRA adapter that PEFT, vLLM and llama.cpp load: all patches of a layer in one pair, all of one rank.

They add (alpha / r) B A to a layer's weight; alpha is set to r, so that nothing is scaled. A layer with fewer edits than
another gets rows of zeros: some readers know one rank and one alpha for all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor

from editlab.errors import BadRequest
from editlab.exports import notes
from editlab.exports.card import Card
from editlab.exports.entry import Entry, base_of, refuse_beside
from editlab.exports.format import Export, Format
from editlab.model import LanguageModel
from editlab.patches import Dense, LowRank
from editlab.wording import join, noop

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""The largest ranks that vLLM can be started with (`--max-lora-rank`)."""
NOT_IN_VLLM = ("gpt2", "gptj", "gpt_neox")
"""Families to which vLLM applies no LoRA."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """What is added to each projection, as B A of one rank. `lost`: the largest share of an update that is cut off."""

    by_layer: Mapping[int, tuple[Float[Tensor, "rank d_ff"], Float[Tensor, "d_model rank"]]]
    rank: int
    lost: float


def pairs_of(entries: Sequence[Entry], most: int | None = None) -> Pairs:
    """Return the edits as pairs A, B, cut to a rank. Raises `BadRequest` where an adapter cannot hold the edits."""
    if most is not None and most not in RANKS:
        raise BadRequest(f"An adapter is not cut to rank {most}. Choose one that vLLM takes: {join(RANKS)}.")
    refuse_beside(entries, noop("A LoRA adapter"))
    patches = [patch for entry in entries for patch in entry.patches]
    added = [patch for patch in patches if isinstance(patch, LowRank | Dense)]
    if not added:
        raise BadRequest("No edit here adds to a weight, so there is nothing for an adapter. Export tensors.")
    found, shares = {}, []
    for layer in sorted({patch.layer for patch in added}):
        A, B = _pair([patch for patch in added if patch.layer == layer])
        fits = min(len(B), A.shape[1], most or len(A))
        if len(A) > fits:
            A, B, lost = _cut(A, B, fits)
            shares.append(lost)
        found[layer] = A, B
    rank = max(len(A) for A, _ in found.values())
    padded = {layer: (_filled(A, rank, 0), _filled(B, rank, 1)) for layer, (A, B) in found.items()}
    return Pairs(padded, rank, max(shares, default=0.0))


def _pair(patches: Sequence[LowRank | Dense]) -> tuple[Tensor, Tensor]:
    """Return all that is added to a layer as one pair. A whole matrix is one of full rank, the identity times itself."""
    if any(isinstance(patch, Dense) for patch in patches):
        D = torch.stack([patch.dense().cpu() for patch in patches]).sum(0)
        return D, torch.eye(len(D), dtype=D.dtype)
    return torch.cat([patch.A for patch in patches]).cpu(), torch.cat([patch.B for patch in patches], 1).cpu()


def _cut(A: Tensor, B: Tensor, rank: int) -> tuple[Tensor, Tensor, float]:
    """Return the pair of this rank that is nearest to B A, and the share of its Frobenius norm that is lost.

    B A = Q_B (R_B R_Aᵀ) Q_Aᵀ; the singular values of the small matrix in the middle are those of the product.
    """
    (QB, RB), (QA, RA) = torch.linalg.qr(B.double()), torch.linalg.qr(A.T.double())
    U, S, V = torch.linalg.svd(RB @ RA.T, full_matrices=False)
    root = S[:rank].sqrt()
    lost = (S[rank:].norm() / S.norm().clamp(min=torch.finfo(S.dtype).tiny)).item()
    return (root[:, None] * (V[:rank] @ QA.T)).to(A.dtype), (QB @ U[:, :rank] * root).to(B.dtype), lost


def _filled(tensor: Tensor, rank: int, dim: int) -> Tensor:
    """Return a tensor with zeros up to a rank."""
    shape = list(tensor.shape)
    shape[dim] = rank - shape[dim]
    return torch.cat([tensor, tensor.new_zeros(shape)], dim).contiguous()


def write(model: LanguageModel, entries: Sequence[Entry], folder: Path, rank: int | None = None) -> None:
    """Write configuration and weights into a folder. Raises `BadRequest` where an adapter cannot hold the edits."""
    pairs = pairs_of(entries, rank)
    tensors = {
        f"base_model.model.{model.arch.name_of(layer)}.lora_{side}.weight": tensor
        for layer, pair in pairs.by_layer.items()
        for side, tensor in zip("AB", pair, strict=True)
    }
    save_file(tensors, folder / WEIGHTS, {"format": "pt"})
    config = _config(model, pairs.rank, [model.arch.name_of(layer) for layer in pairs.by_layer])
    (folder / CONFIG).write_text(f"{json.dumps(config, indent=2, ensure_ascii=False)}\n", encoding="utf-8")


def _config(model: LanguageModel, rank: int, modules: Sequence[str]) -> dict[str, Any]:
    """Return what PEFT has to know; `modules`: the names of the edited projections."""
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_of(model),
        "revision": model.revision,
        "inference_mode": True,
        "r": rank,
        "lora_alpha": rank,
        "rank_pattern": {},
        "alpha_pattern": {},
        "target_modules": list(modules),
        "fan_in_fan_out": model.arch.transposed,
        "lora_dropout": 0.0,
        "bias": "none",
    }


def size(export: Export) -> int:
    """Return the bytes of an adapter's weights. Raises `BadRequest` where it cannot hold the edits."""
    pairs = pairs_of(export.entries, export.rank)
    return sum(tensor.numel() * tensor.element_size() for pair in pairs.by_layer.values() for tensor in pair)


def cut(export: Export) -> str | None:
    """Return the note of an adapter that loses a part of the edits, or that vLLM does not take."""
    try:
        pairs = pairs_of(export.entries, export.rank)
    except BadRequest:  # which is said when it is written
        return None
    if pairs.lost > 1e-6:
        return noop(f"The rank is cut to {pairs.rank}, by which up to {pairs.lost:.1%} of the change of a layer is lost.")
    if pairs.rank > max(RANKS):
        return noop(
            f"The adapter has rank {pairs.rank:,}, and vLLM takes {max(RANKS)} at most. editlab export --rank {max(RANKS)} "
            "cuts it and says what is lost."
        )
    return None


def _loading(export: Export) -> str:
    """Return the lines with which each program applies the adapter."""
    rank = pairs_of(export.entries, export.rank).rank
    lines = ["`PeftModel.from_pretrained(base_model, folder)` applies the edits to the base model."]
    fits = next((most for most in RANKS if rank <= most), None)
    if export.model.hf.config.model_type not in NOT_IN_VLLM and fits:
        lines.append(f"vLLM: `vllm serve BASE --enable-lora --max-lora-rank {fits} --lora-modules edited=FOLDER`.")
    lines.append(
        "llama.cpp: `llama-cli -m BASE.gguf --lora edits-lora.gguf`, with the file that `editlab export --format gguf-lora` "
        "writes."
    )
    return "\n".join(f"- {line}" for line in lines)


FORMAT = Format(
    "peft",
    noop("LoRA adapter for PEFT: the low-rank patches as they are"),
    noop(
        "The low-rank patches as they are, and whole matrices at full rank unless the rank is cut; "
        "PeftModel.from_pretrained loads them. An adapter cannot hold REP or a mask."
    ),
    lambda export, folder, progress, cancel: write(export.model, export.entries, folder, export.rank),
    Card(library="peft", relation="adapter"),
    (notes.no_pathways("An adapter"), notes.no_mask("An adapter"), notes.quantised, notes.started, notes.named_here, cut),
    size=size,
    how=_loading,
    cuts=True,
)
