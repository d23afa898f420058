"""Copies of a model that were changed without an edit: rounded, disturbed, or tuned on prose by LoRA.

What calls every changed model an edited one is of no use, so a detector is tried on these as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from editlab.patches import BASE, Dense, LowRank, View

if TYPE_CHECKING:
    from editlab.model import LanguageModel

AS_IS, ROUNDED, NOISE, TUNED = "as it is", "rounded", "noise", "LoRA"
NOISES = (0.003, 0.03)
"""Noise, as a share of the standard deviation of a weight: the least and the most."""
PRECISIONS = (torch.float16, torch.bfloat16)
RANKS = (4, 8, 16)
SCALE = 2.0
"""What an adapter is multiplied with (alpha / rank)."""
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
    """Train a LoRA on the MLPs' output projections with prose, and return it as a view. The model stays as it was."""
    generator = torch.Generator().manual_seed(seed)
    ids = [i for text in texts for i in model.tokenizer(text, add_special_tokens=False)["input_ids"]]
    reach = model.d_ff**-0.5
    A = [(2 * reach * torch.rand(rank, model.d_ff, generator=generator) - reach) for _ in range(model.n_layers)]
    B = [torch.zeros(model.d_model, rank) for _ in range(model.n_layers)]
    weights = [weight.to(model.device).requires_grad_() for weight in (*A, *B)]
    A, B = weights[: model.n_layers], weights[model.n_layers :]
    optimiser = torch.optim.AdamW(weights, LEARNING_RATE)
    with ExitStack() as stack:
        for layer in range(model.n_layers):
            projection = model.arch.projection_of(model.hf, layer)
            stack.callback(projection.register_forward_hook(_adding(A[layer], B[layer])).remove)
        for _ in range(steps):
            starts = torch.randint(max(1, len(ids) - WIDTH), (ROWS,), generator=generator).tolist()
            batch = torch.tensor([ids[start : start + WIDTH] for start in starts], device=model.device)
            model.hf(input_ids=batch, labels=batch).loss.backward()
            optimiser.step()
            optimiser.zero_grad()
    return View(tuple(LowRank(n, A[n].detach(), SCALE * B[n].detach()) for n in range(model.n_layers)))


def _adding(A: Float[Tensor, "rank d_ff"], B: Float[Tensor, "d_model rank"]) -> Callable[..., Tensor]:
    return lambda _module, inputs, output: output + SCALE * ((inputs[0].float() @ A.T) @ B.T).to(output.dtype)
