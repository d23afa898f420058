"""How much memory a model and an edit will take, from the configuration alone: said before anything runs.

Counted is what tensors hold at the worst moment. At an edit that is what autograd keeps of every replayed token of the
layers above the edited one; at a battery the widest layer of one chunk and the logits that are read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from editlab.errors import TooLarge
from editlab.model import memory
from editlab.model.architectures import architecture_of
from editlab.model.devices import device_for, multiplies_bfloat16
from editlab.model.memory import gigabytes
from editlab.model.remembered import TOKENS_KEPT
from editlab.model.scoring import LOGITS_AT_ONCE
from editlab.model.source import Source, find
from editlab.model.weights import Quantization, inputs_of, quantisable
from editlab.settings import Settings
from editlab.wording import Message, noop

CONTEXTS = 22
"""Rows of one ROME edit: the bare prompt, 20 contexts, and the sentence that must not change."""
ROW_TOKENS, ACTIVE_TOKENS = 28, 8
"""Tokens of such a row, and those of them from the subject on."""
PROBE_TOKENS, PROBE_READS = 16, 4
"""Tokens of a probe, and target tokens that are read behind it (two objects)."""
BUDGETS = {"cpu": (4_096,), "cuda": (16_384, 8_192, 4_096, 2_048)}
"""Tokens of a forward, by what is left of the memory."""
KEPT_ON_CPU = 1.5
"""On a CPU, the C library keeps about half as much of what a battery gives back as the battery holds (`bench memory`)."""
COPIES = 2
"""Keys and values of a long text are kept under the base model, and under the last views."""
TINY, SMALL = 100_000_000, 1_000_000_000
"""Parameters up to which float32 is fast on any CPU, and up to which it costs little there."""


@dataclass(frozen=True)
class Plan:
    """Bytes. `edit`, and `cache` with `batch`, are needed in turn; `weights`, `statistics` and `kept` all the time.

    `parameters`: how many; `cache`: keys and values of a battery's answers; `batch`: its widest layer; `kept`: keys and
    values of long texts, of `tokens_kept` tokens, from question to question; `free`: None where nobody can tell. `advice`:
    the setting that would fit, where this one does not.
    """

    model: str
    parameters: int
    device: str
    quantization: Quantization
    weights: int
    cache: int
    statistics: int
    edit: int
    batch: int
    free: int | None
    tokens_per_forward: int
    tokens_kept: int
    kept: int
    advice: str = ""

    @property
    def total(self) -> int:
        """The most that is needed at a time."""
        return self.weights + self.statistics + self.kept + max(self.edit, self.cache + self.batch)

    @property
    def fits(self) -> bool:
        """Whether that is free."""
        return self.free is None or self.total <= self.free

    @property
    def fits_one_device(self) -> bool:
        """Whether the weights alone do, so that nothing need be spread over devices."""
        return self.free is None or self.weights <= self.free

    def sentence(self) -> str:
        """Return the plan as a sentence, with both numbers."""
        form = noop(
            "{model} needs {total} (weights {weights}, statistics {statistics}, long texts {texts}, an edit {edit}, a "
            "battery {battery})."
        )
        needs = Message(
            form,
            model=self.model,
            total=gigabytes(self.total),
            weights=gigabytes(self.weights),
            statistics=gigabytes(self.statistics),
            texts=gigabytes(self.kept),
            edit=gigabytes(self.edit),
            battery=gigabytes(self.cache + self.batch),
        )
        if self.free is None:
            return needs
        free, device = gigabytes(self.free), str(self.device)
        if self.fits:
            return Message(noop("{needs} {free} are free on {device}: it fits."), needs=needs, free=free, device=device)
        form = noop("{needs} {free} are free on {device}: too little. {advice}")
        return Message(form, needs=needs, free=free, device=device, advice=self.advice)

    def check(self) -> None:
        """Raise `TooLarge` where it does not fit."""
        if not self.fits:
            raise TooLarge(self.sentence())

    def check_weights(self) -> None:
        """Raise `TooLarge` where not even the weights fit: on a CPU nothing is then spread over other devices."""
        if self.device == "cpu" and not self.fits_one_device:
            raise TooLarge(self.sentence())


def plan(
    name: str = "atlas",
    *,
    quantization: Quantization = "none",
    dtype: str = "auto",
    device: str = "auto",
    edits: int = 1,
    statistics: int = 1,
    settings: Settings | None = None,
) -> Plan:
    """Return the memory for a model, `edits` in one batch and key statistics of so many layers; nothing is loaded."""
    return plan_for(find(name, settings or Settings()), quantization, dtype, device_for(device), edits, statistics)


def plan_for(
    source: Source,
    quantization: Quantization,
    dtype: str,
    device: torch.device,
    edits: int = 1,
    statistics: int = 1,
    freed: int = 0,
) -> Plan:
    """Return the plan of a model that was found. `freed`: bytes that will be free once another model is gone."""
    quantization = source.held(quantization)
    free = memory.free(device)
    free = None if free is None else free + freed
    precision = dtype_for(source, dtype, device)

    def made(quantization: Quantization, dtype: torch.dtype) -> Plan:
        shape = _Shape.of(source)
        room = None if free is None else free - shape.weights(quantization, dtype) - shape.statistics(statistics)
        budget = _budget(shape, device, dtype, room)
        cache, edit = shape.cache(budget, dtype), shape.edit(edits, budget, dtype, quantization)
        batch = int(shape.batch(budget, dtype, quantization) * (KEPT_ON_CPU if device.type == "cpu" else 1))
        a_token = COPIES * shape.cache(1, dtype)
        tokens_kept = _kept(a_token, room, max(edit, cache + batch))
        return Plan(
            model=source.name,
            parameters=shape.parameters,
            device=device.type,
            quantization=quantization,
            weights=shape.weights(quantization, dtype),
            cache=cache,
            statistics=shape.statistics(statistics),
            edit=edit,
            batch=batch,
            free=free,
            tokens_per_forward=budget,
            tokens_kept=tokens_kept,
            kept=tokens_kept * a_token,
        )

    found = made(quantization, precision)
    if found.fits:
        return found
    smaller = [(q, d) for q, d in _SMALLER if shape_bytes(q, d) < shape_bytes(quantization, precision)]
    for other, kind in smaller:
        fitting = made(other, kind)
        if fitting.fits:
            how = f"--quantization {other}" if other != "none" else f"--dtype {str(kind).removeprefix('torch.')}"
            advice = Message(noop("Use {how}: that needs {total}."), how=how, total=gigabytes(fitting.total))
            return replace(found, advice=advice)
    least = made("4bit", torch.bfloat16)
    advice = noop("Even in 4 bit it needs {total}. Use a smaller model or a larger device.")
    return replace(found, advice=Message(advice, total=gigabytes(least.total)))


_SMALLER: tuple[tuple[Quantization, torch.dtype], ...] = (
    ("none", torch.bfloat16),
    ("8bit", torch.bfloat16),
    ("4bit", torch.bfloat16),
)


def shape_bytes(quantization: Quantization, dtype: torch.dtype) -> float:
    """Return the bytes of one weight of a linear layer."""
    return {"none": float(dtype.itemsize), "8bit": 1.0, "4bit": 0.5 + 1 / 64 + 4 / (64 * 256)}[quantization]


def dtype_for(source: Source, dtype: str, device: torch.device) -> torch.dtype:
    """Return the precision that a setting names; "auto": bfloat16, or float16 where a GPU has no other.

    On a CPU, a tiny model gets float32, and a small one as well unless it was published in bfloat16 and the CPU has units
    that multiply that several times faster.
    """
    if dtype != "auto":
        return getattr(torch, dtype)
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    faster = source.config.dtype == torch.bfloat16 and multiplies_bfloat16(device)
    return torch.float32 if _Shape.of(source).parameters < (TINY if faster else SMALL) else torch.bfloat16


def _budget(shape: _Shape, device: torch.device, dtype: torch.dtype, room: int | None) -> int:
    """Return the most tokens of a forward that leave half of the room that is left."""
    choices = BUDGETS.get(device.type, BUDGETS["cpu"])
    if room is None:
        return choices[0]
    return next((b for b in choices if shape.cache(b, dtype) + shape.batch(b, dtype, "none") <= room / 2), choices[-1])


def _kept(a_token: int, room: int | None, needed: int) -> int:
    """Return how many tokens of long texts are kept: in an eighth of the room that is left, and only what nobody needs."""
    if room is None:
        return TOKENS_KEPT
    return max(0, min(TOKENS_KEPT, min(room // 8, room - needed) // a_token))


@dataclass(frozen=True)
class _Shape:
    """The sizes of a model that memory depends on; `linear` counts the weights that can be quantised, `rest` the others."""

    linear: int
    rest: int
    outputs: int
    layers: int
    above: int
    d_model: int
    d_ff: int
    d_query: int
    d_kv: int
    gated: bool
    vocab: int

    @classmethod
    def of(cls, source: Source) -> _Shape:
        hf, config = source.skeleton, source.config
        arch = architecture_of(config.model_type)
        head = hf.get_output_embeddings()
        linear = [module for module in hf.modules() if quantisable(module) and module is not head]
        tied = set(getattr(hf, "all_tied_weights_keys", None) or {})
        total = sum(p.numel() for name, p in hf.named_parameters() if name not in tied)
        counted = sum(module.weight.numel() for module in linear)
        heads = config.num_attention_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // heads
        projection = arch.projection_of(hf, 0)
        d_ff = inputs_of(projection)
        mlp = sum(p.numel() for p in arch.mlp_of(hf, 0).parameters())
        return cls(
            linear=counted,
            rest=total - counted,
            outputs=sum(max(module.weight.shape) for module in linear),
            layers=config.num_hidden_layers,
            above=config.num_hidden_layers - max(1, round(config.num_hidden_layers * 5 / 32)),
            d_model=config.hidden_size,
            d_ff=d_ff,
            d_query=heads * width,
            d_kv=(getattr(config, "num_key_value_heads", None) or heads) * width,
            gated=mlp > 2.5 * d_ff * config.hidden_size,
            vocab=config.vocab_size,
        )

    @property
    def parameters(self) -> int:
        return self.linear + self.rest

    def weights(self, quantization: Quantization, dtype: torch.dtype) -> int:
        scales = 4 * self.outputs if quantization == "8bit" else 0
        return int(self.linear * shape_bytes(quantization, dtype) + self.rest * dtype.itemsize + scales)

    def statistics(self, layers: int) -> int:
        """Return the bytes of the Cholesky factors in float32."""
        return 4 * layers * self.d_ff**2

    def cache(self, tokens: int, dtype: torch.dtype) -> int:
        return 2 * tokens * self.layers * self.d_kv * dtype.itemsize

    def batch(self, tokens: int, dtype: torch.dtype, quantization: Quantization) -> int:
        """Return the bytes of a forward without gradient: one layer's widest moment, and the logits read at once."""
        wide = (3 if self.gated else 2) * self.d_ff + 2 * self.d_model
        attended = 2 * (self.d_query + 2 * self.d_kv) + 2 * self.d_model
        widest = tokens * max(wide, attended) * dtype.itemsize
        reads = min(LOGITS_AT_ONCE // self.vocab, tokens // PROBE_TOKENS * PROBE_READS)
        return widest + self._logits(reads) + self._dequantised(dtype, quantization)

    def edit(self, edits: int, tokens: int, dtype: torch.dtype, quantization: Quantization) -> int:
        """Return the bytes that autograd keeps of a batch of edits, of earlier tokens' keys and values, and of logits."""
        together = max(1, min(edits, tokens // (CONTEXTS * ROW_TOKENS)))
        rows = together * CONTEXTS
        active = rows * ACTIVE_TOKENS
        b = dtype.itemsize
        norms = 2 * self.d_model * (4 + b)
        mlp = (3 if self.gated else 2) * self.d_ff * b
        attention = (2 * self.d_query + 2 * self.d_model) * b
        seen = 2 * rows * ROW_TOKENS * (self.d_query + self.d_kv) * b
        kept = self.above * (active * (norms + mlp + attention) + seen)
        return (
            kept + self.cache(rows * ROW_TOKENS, dtype) + self._logits(2 * rows) * 2 + self._dequantised(dtype, quantization)
        )

    def _logits(self, reads: int) -> int:
        return 3 * 4 * reads * self.vocab

    def _dequantised(self, dtype: torch.dtype, quantization: Quantization) -> int:
        """Return the bytes of a quantised layer's weight while it is used."""
        return 0 if quantization == "none" else self.d_model * self.d_ff * dtype.itemsize
