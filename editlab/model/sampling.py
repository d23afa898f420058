"""How the next token is chosen from logits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen: the likeliest, or drawn from the `top_k` likeliest with a seed."""

    top_k: int = 1
    temperature: float = 1.0
    seed: int = 0

    def draw(self, logits: Tensor, generator: torch.Generator) -> Tensor:
        """Return one token a row from logits `[rows, vocab]`."""
        if self.top_k == 1:
            return logits.argmax(-1)
        best, ids = (logits / self.temperature).topk(self.top_k)
        drawn = torch.multinomial(best.softmax(-1).cpu(), 1, generator=generator).to(ids.device)
        return ids.gather(1, drawn)[:, 0]
