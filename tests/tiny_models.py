"""Random models of every architecture row, and tokenizers of the kinds that real ones come with: seeded, width 32."""

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from editlab.model import LanguageModel
from editlab.model.start import NONE, Start
from editlab.patches import Dense, LowRank, View

TEXTS = Path(__file__).resolve().parent.parent / "presets" / "texts"
SPECIAL = ["<s>", "</s>", "<pad>"]
BOS, EOS, PAD = range(3)


@dataclass(frozen=True)
class Kind:
    """One model to build: its family, its tokenizer, what differs in its configuration, and what begins its texts.

    `sharpness`: weight of the last norm. Behind norms, the parts of a random model write too little to change what it says.
    """

    family: str
    tokenizer: str = "byte"
    config: dict[str, Any] = field(default_factory=dict)
    start: Start = NONE
    sharpness: float = 1.0


_GEMMA3 = {"head_dim": 8, "sliding_window": 6, "query_pre_attn_scalar": 8, "_sliding_window_pattern": 2}
_GRANITE = {"residual_multiplier": 0.6, "embedding_multiplier": 2.0, "logits_scaling": 0.5, "attention_multiplier": 0.4}
_GPT = {"n_embd": 32, "n_layer": 4, "n_head": 4, "n_inner": 64, "n_positions": 256}

KINDS = {
    "llama": Kind("llama", "byte_bos"),
    "mistral": Kind("mistral", "metaspace"),
    "mistral_window": Kind("mistral", "byte_bos", {"sliding_window": 6}),
    "qwen2": Kind("qwen2"),
    "qwen2_start": Kind("qwen2", start=Start("</s>", space=True)),
    "qwen3": Kind("qwen3", "byte", {"head_dim": 8}),
    "phi3": Kind("phi3", "metaspace"),
    "gpt2": Kind("gpt2", "byte", _GPT),
    "gptj": Kind("gptj", "byte", _GPT | {"rotary_dim": 4}),
    "gpt_neox": Kind("gpt_neox"),
    "gemma2": Kind("gemma2", "metaspace", {"head_dim": 8, "sliding_window": 6, "query_pre_attn_scalar": 8}),
    "gemma3": Kind("gemma3_text", "metaspace", _GEMMA3),
    "olmo2": Kind("olmo2", "metaspace", {"initializer_range": 0.1}, sharpness=3.0),
    "granite": Kind("granite", "byte", _GRANITE),
    "smollm3": Kind("smollm3", "metaspace", {"no_rope_layer_interval": 2}),
    "phi4": Kind("phi3", "metaspace", {"partial_rotary_factor": 0.5, "tie_word_embeddings": True}),
}


def tiny_model(kind: str, dtype: torch.dtype = torch.float32, seed: int = 0) -> LanguageModel:
    """A fresh model. The weights are drawn wider than usual: an untrained model says nearly the same after every prompt."""
    row = KINDS[kind]
    tokenizer = tokenizer_of(row.tokenizer)
    shape = (
        {}
        if row.family in ("gpt2", "gptj")
        else {
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "max_position_embeddings": 256,
        }
    )
    if row.family not in ("gpt2", "gptj", "gpt_neox"):
        shape["num_key_value_heads"] = 2
    config = AutoConfig.for_model(
        row.family,
        vocab_size=len(tokenizer),
        bos_token_id=BOS,
        eos_token_id=EOS,
        pad_token_id=PAD,
        **(shape | {"initializer_range": 0.2} | row.config),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        hf = AutoModelForCausalLM.from_config(config).to(dtype)
    model = LanguageModel(hf, tokenizer, name=f"tiny {kind}", start=row.start)
    hf.get_submodule(model.arch.norm).weight.data *= row.sharpness
    return model


def save(model: LanguageModel, folder: Path, **options: Any) -> Path:
    """Write a model and its tokenizer as `from_pretrained` reads them; returns the folder."""
    model.hf.save_pretrained(folder, **options)
    model.tokenizer.save_pretrained(folder)
    return folder


@cache
def shared_model(kind: str, dtype: torch.dtype = torch.float32) -> LanguageModel:
    """The same, built once for all tests: leave it as it is."""
    return tiny_model(kind, dtype)


def precise_model(kind: str) -> LanguageModel:
    """The same in float64, so that tolerances can be tight; Gemma stays in float32.

    Its attention takes the softmax in float32, where the mask's lowest float64 is minus infinity: padding becomes NaN.
    """
    return shared_model(kind, torch.float32 if kind.startswith("gemma") else torch.float64)


def random_view(model: LanguageModel, seed: int) -> View:
    """Patches of both kinds on three layers, strong enough to change every answer."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return 0.5 * torch.randn(*shape, generator=generator)

    return View(
        (
            LowRank(0, normal(1, model.d_ff), normal(model.d_model, 1)),
            LowRank(2, normal(2, model.d_ff), normal(model.d_model, 2)),
            Dense(1, 0.2 * normal(model.d_model, model.d_ff)),
            LowRank(2, normal(1, model.d_ff), normal(model.d_model, 1)),
        )
    )


def hooks_of(model: LanguageModel) -> int:
    """How many hooks are registered anywhere in the model."""
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.hf.modules())


@cache
def tokenizer_of(kind: str) -> PreTrainedTokenizerFast:
    """`byte`: as GPT-2's, no BOS; `byte_bos`: as Llama-3's; `metaspace`: as Llama-2's, "▁" in front of each word."""
    return _metaspace() if kind == "metaspace" else _byte_level(bos=kind == "byte_bos")


def _byte_level(bos: bool) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False)
    return _as_transformers(_trained(tokenizer, trainer), bos)


def _metaspace() -> PreTrainedTokenizerFast:
    """The normaliser form that Llama-2 and Mistral ship; letters it never saw become byte tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")  # so that no token learns to cross words
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    trained = _trained(tokenizer, trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIAL, show_progress=False))
    learnt = json.loads(tokenizer.to_str())["model"]
    for byte in range(256):
        learnt["vocab"][f"<0x{byte:02X}>"] = len(learnt["vocab"])
    merges = [tuple(pair) for pair in learnt["merges"]]
    trained.model = models.BPE(learnt["vocab"], merges, byte_fallback=True, fuse_unk=True)
    return _as_transformers(trained, bos=True)


def _trained(tokenizer: Tokenizer, trainer: trainers.BpeTrainer) -> Tokenizer:
    tokenizer.train_from_iterator((path.read_text(encoding="utf-8") for path in sorted(TEXTS.glob("*.txt"))), trainer)
    return tokenizer


def _as_transformers(tokenizer: Tokenizer, bos: bool) -> PreTrainedTokenizerFast:
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", BOS)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
