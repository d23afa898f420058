"""Where each model family keeps its parts: a table, so that a new family is a row and nothing else.

Paths are relative to the loaded `...ForCausalLM` module, or to one block. `projection` is the MLP's output projection,
the matrix that locate-and-edit methods write into; its input is the key, its output the value.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import nn

from editlab.errors import UnsupportedArchitecture
from editlab.model.behind import Behind, residual_multiplier


@dataclass(frozen=True)
class Architecture:
    """One model family. `transposed`: the projection's weight is stored `[d_ff, d_model]` (GPT-2's Conv1D).

    `post_attention_norm`, `post_mlp_norm`: norms behind the parts, before the residual stream. `norm_offset`: what a norm
    adds to its weight.
    """

    family: str
    blocks: str = "model.layers"
    mlp: str = "mlp"
    projection: str = "mlp.down_proj"
    attention: str = "self_attn"
    norm: str = "model.norm"
    transposed: bool = False
    post_attention_norm: str | None = None
    post_mlp_norm: str | None = None
    norm_offset: float = 0.0

    def block_list(self, model: nn.Module) -> nn.ModuleList:
        """Return the transformer blocks, bottom first."""
        return model.get_submodule(self.blocks)

    def projection_of(self, model: nn.Module, layer: int) -> nn.Module:
        """Return the MLP's output projection of a layer."""
        return model.get_submodule(self.name_of(layer))

    def name_of(self, layer: int) -> str:
        """Return what the projection of a layer is called in the model."""
        return f"{self.blocks}.{layer}.{self.projection}"

    def behind(self, model: nn.Module, layer: int) -> Behind:
        """Return what stands between the MLP of a layer and the residual stream."""
        block = self.block_list(model)[layer]
        norm = None if self.post_mlp_norm is None else block.get_submodule(self.post_mlp_norm)
        return Behind(norm, self.norm_offset, residual_multiplier(model))

    def mlp_of(self, model: nn.Module, layer: int) -> nn.Module:
        """Return the whole MLP of a layer."""
        return model.get_submodule(f"{self.blocks}.{layer}.{self.mlp}")

    def attention_of(self, model: nn.Module, layer: int) -> nn.Module:
        """Return the whole attention of a layer."""
        return model.get_submodule(f"{self.blocks}.{layer}.{self.attention}")


_LLAMA = Architecture("llama")
_POST_NORM = replace(_LLAMA, post_attention_norm="post_attention_layernorm", post_mlp_norm="post_feedforward_layernorm")
_GPT2 = Architecture(
    "gpt2", blocks="transformer.h", projection="mlp.c_proj", attention="attn", norm="transformer.ln_f", transposed=True
)

ARCHITECTURES = {
    row.family: row
    for row in (
        _LLAMA,
        replace(_LLAMA, family="mistral"),
        replace(_LLAMA, family="qwen2"),
        replace(_LLAMA, family="qwen3"),
        replace(_LLAMA, family="phi3"),
        replace(_LLAMA, family="smollm3"),
        replace(_LLAMA, family="granite"),
        replace(_POST_NORM, family="olmo2"),
        replace(_POST_NORM, family="gemma2", norm_offset=1.0),
        replace(_POST_NORM, family="gemma3_text", norm_offset=1.0),
        _GPT2,
        replace(_GPT2, family="gptj", projection="mlp.fc_out", transposed=False),
        Architecture(
            "gpt_neox",
            blocks="gpt_neox.layers",
            projection="mlp.dense_4h_to_h",
            attention="attention",
            norm="gpt_neox.final_layer_norm",
        ),
    )
}


def architecture_of(family: str) -> Architecture:
    """Return the row of a `config.model_type`. Raises `UnsupportedArchitecture` naming the families that have one."""
    try:
        return ARCHITECTURES[family]
    except KeyError:
        known = ", ".join(sorted(ARCHITECTURES))
        raise UnsupportedArchitecture(
            f"EditLab does not know where a {family!r} model keeps its parts. It knows: {known}. "
            "Another family is one row in editlab/model/architectures.py."
        ) from None
