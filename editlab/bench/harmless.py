"""Copies of a model that were changed without an edit: rounded, disturbed, or tuned on prose by LoRA.

What calls every changed model an edited one is of no use, so a detector is tried on these as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor

from editlab.patches import BASE, Dense, LowRank, View

if TYPE_CHECKING:
    from editlab.model import LanguageModel

AS_IS, ROUNDED, NOISE, TUNED = "as it is", "rounded", "noise", "LoRA"
NOISES = (0.003, 0.03)
"""Noise, as a share of the standard deviation of a weight: the least and the most."""
PRECISIONS = (torch.float16, torch.bfloat16)
RANKS = (4, 8, 16)
STEPS = 10
LEARNING_RATE = 1e-3
ROWS, WIDTH = 4, 64
"""Texts a step of the tuning, and tokens of each."""


@dataclass(frozen=True)
class Copy:
    """One copy: `kind` says what was done to it, `view` makes it when it is asked for."""

    kind: str
    number: int
    view: Callable[[], View]


def copies(model: LanguageModel, texts: Sequence[str], count: int) -> Iterator[Copy]:
    """Yield the model as it is, rounded, and about so many copies, one third of them tuned and the others with noise."""
    yield Copy(AS_IS, 0, lambda: BASE)
    for number, dtype in enumerate(PRECISIONS):
        yield Copy(ROUNDED, number, lambda dtype=dtype: _changed(model, lambda W, _: W.to(dtype).float() - W, 0))
    tuned = count // 3
    for number in range(tuned):
        yield Copy(TUNED, number, lambda number=number: tune(model, texts, RANKS[number % len(RANKS)], number))
    for number in range(count - tuned - 1 - len(PRECISIONS)):
        share = NOISES[number % 2]
        yield Copy(NOISE, number, lambda share=share, number=number: _changed(model, _noise(share), number))


def _noise(share: float) -> Callable[[Tensor, torch.Generator], Tensor]:
    return lambda W, generator: share * W.std() * torch.randn(W.shape, generator=generator).to(W.device)


def _changed(model: LanguageModel, change: Callable[[Tensor, torch.Generator], Tensor], seed: int) -> View:
    generator = torch.Generator().manual_seed(seed)
    return View(tuple(Dense(n, change(model.weight(n), generator)) for n in range(model.n_layers)))


def tune(model: LanguageModel, texts: Sequence[str], rank: int, seed: int, steps: int = STEPS) -> View:
    """Train a LoRA on the MLPs' output projections with prose, and return it as a view; the model stays as it was."""
    arch, hf = model.arch, model.hf
    names = [arch.name_of(layer) for layer in range(model.n_layers)]
    ids = [i for text in texts for i in model.tokenizer(text, add_special_tokens=False)["input_ids"]]
    draw = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=names, fan_in_fan_out=arch.transposed)
        wrapped = get_peft_model(hf, config)
    try:
        weights = [p for p in wrapped.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(weights, LEARNING_RATE)
        for _ in range(steps):
            starts = torch.randint(max(1, len(ids) - WIDTH), (ROWS,), generator=draw).tolist()
            batch = torch.tensor([ids[start : start + WIDTH] for start in starts], device=model.device)
            wrapped(input_ids=batch, labels=batch).loss.backward()
            optimiser.step()
            optimiser.zero_grad()
        patches = []
        for layer, name in enumerate(names):
            module = hf.get_submodule(name)
            A, B = module.lora_A["default"].weight, module.lora_B["default"].weight
            patches.append(LowRank(layer, A.detach().float(), module.scaling["default"] * B.detach().float()))
    finally:
        wrapped.unload()
        hf.requires_grad_(False)
    return View(tuple(patches))
