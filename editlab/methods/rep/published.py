"""REP as its authors published it: a low-rank projection and a gate, learnt together in ten steps.

Equations 5 and 6 of Yan et al. 2025 (arXiv 2410.09338) with the constants of their script. Two things are as the paper has
them and their code has not: dropout is off once training ends, and the long contexts are really used.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn

from editlab.methods.rep.lessons import Lessons, Named
from editlab.patches import BARE, Form, Pathway, View
from editlab.work import Cancel, never, stop_if

if TYPE_CHECKING:
    from editlab.model import LanguageModel

RANK, ALPHA, DROPOUT = 32, 32, 0.1
GATE_SHARE = 0.1
STEPS, BATCH, LEARNING_RATE = 10, 15, 5e-4
CONSISTENCY = 50_000.0
LONG = 5
"""Long texts in front of each name."""


def learn_pathway(
    model: LanguageModel,
    lessons: Lessons,
    contexts: Sequence[str],
    layer: int,
    target: Float[Tensor, "d_ff"],
    view: View,
    seed: int,
    cancel: Cancel = never,
    form: Form = BARE,
) -> Pathway:
    """Draw the keys of all names towards `target` (`t` of docs/methods.md 3.3), and leave the prompt's own key in place."""
    names = [lessons.subject, *lessons.names]
    before = [*contexts, *(f"{passage} " for passage in lessons.passages[:LONG])]
    rows = [Named.of(lessons.prompt, name, True, context).asked(form) for context in before for name in names]
    located = [model.tok.locate(row.text, row.start, row.stop) for row in rows]
    keys = model.keys(located, [layer], view)[layer]
    torch_seed, rng = torch.Generator().manual_seed(seed), random.Random(seed)
    V, U, H, h, w, c = _first_weights(model.d_ff, keys.device, torch_seed)
    adam = torch.optim.Adam([V, U, H, h, w, c], lr=LEARNING_RATE)
    with torch.enable_grad():
        for _ in range(STEPS):
            stop_if(cancel)
            k = keys[[*rng.sample(range(len(rows)), min(BATCH, len(rows))), 0]]
            kept = (torch.rand(k.shape, generator=torch_seed) >= DROPOUT).to(k.device) / (1 - DROPOUT)
            gate = torch.sigmoid(nn.functional.gelu(k @ H.T + h) @ w + c)
            moved = k + gate[:, None] * ((k * kept) @ V.T @ U.T * (ALPHA / RANK))
            drawn = -(moved / moved.norm(dim=1, keepdim=True) @ target).mean()
            loss = drawn + CONSISTENCY * (moved[-1] - k[-1]).square().mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
    U = U.detach() * (ALPHA / RANK)
    return Pathway(layer, lessons.subject, U, V.detach(), torch.zeros_like(keys[0]), *(x.detach() for x in (H, h, w, c)))


def _first_weights(d_ff: int, device: torch.device, generator: torch.Generator) -> list[Tensor]:
    """Return first weights as PyTorch draws them (uniform within 1 / sqrt(inputs)), the second factor at zero."""
    hidden = int(GATE_SHARE * d_ff)

    def uniform(*shape: int, inputs: int) -> Tensor:
        return (2 * torch.rand(shape, generator=generator) - 1) / math.sqrt(inputs)

    weights = [
        uniform(RANK, d_ff, inputs=d_ff),
        torch.zeros(d_ff, RANK),
        uniform(hidden, d_ff, inputs=d_ff),
        uniform(hidden, inputs=d_ff),
        uniform(hidden, inputs=hidden),
        uniform(inputs=hidden),
    ]
    return [weight.to(device).requires_grad_(True) for weight in weights]
