"""Learns a gate: is this key the subject's, said in another way? A small classifier of keys, trained in seconds.

Hardly any token is the subject's, so the loss is weighted; and after a few steps most of the others are no question any
more, so that only the hardest are looked at again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, gelu

from editlab.methods.rep.config import RepConfig
from editlab.methods.rep.lessons import Keys
from editlab.work import Cancel, Progress, never, no_progress, stop_if

HARDEST = 1200
LOOKED_AGAIN = (10, 30, 60, 90, 150, 200)
"""Steps at which the hardest negatives are chosen anew."""


@dataclass(frozen=True, eq=False)
class Gate:
    """sigmoid(w . GELU(H k + h) + c) over plain keys: `H` `[hidden, d_ff]`, `h` and `w` `[hidden]`, `c` `[]`."""

    H: Float[Tensor, "hidden d_ff"]
    h: Float[Tensor, "hidden"]
    w: Float[Tensor, "hidden"]
    c: Float[Tensor, ""]


def learn_gate(lessons: Keys, config: RepConfig, progress: Progress = no_progress, cancel: Cancel = never) -> Gate:
    """Fit the gate by weighted binary cross-entropy and Adam, on standardised keys; the scale is folded into it again."""
    X, y = lessons.keys, lessons.positive.float()
    mean, scale = X.mean(0), (X.std(0) + 1e-3) * math.sqrt(X.shape[1])
    Z = (X - mean) / scale
    H, h, w, c = _first_weights(config, X)
    adam = torch.optim.Adam([{"params": [H]}, {"params": [h, w, c], "lr": config.learning_rate / 2}], config.learning_rate)
    weight = torch.where(lessons.positive, len(y) / (config.caution * y.sum()), 1.0)
    hard = slice(None)
    with torch.enable_grad():
        for step in range(config.steps):
            stop_if(cancel)
            progress(step / config.steps, f"REP: the gate learns, step {step + 1} of {config.steps}")
            if step in LOOKED_AGAIN:
                hard = _hardest(_logits(Z, H, h, w, c).detach(), lessons)
            loss = binary_cross_entropy_with_logits(_logits(Z[hard], H, h, w, c), y[hard], weight[hard], reduction="sum")
            adam.zero_grad()
            (loss / len(y)).backward()
            adam.step()
    folded = H.detach() / scale
    return Gate(folded, h.detach() - folded @ mean, w.detach(), c.detach())


def _first_weights(config: RepConfig, X: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(config.seed)
    H = torch.randn(config.hidden, X.shape[1], generator=generator)
    w = 0.3 * torch.randn(config.hidden, generator=generator)
    weights = H, torch.zeros(config.hidden), w, torch.tensor(-2.0)
    H, h, w, c = (weight.to(X.device).requires_grad_(True) for weight in weights)
    return H, h, w, c


def _logits(Z: Tensor, H: Tensor, h: Tensor, w: Tensor, c: Tensor) -> Tensor:
    return gelu(Z @ H.T + h) @ w + c


def _hardest(logits: Tensor, lessons: Keys) -> Tensor:
    """Return rows of all positives and of the negatives that come nearest to opening the gate."""
    negative = logits.masked_fill(lessons.positive, -math.inf)
    count = min(HARDEST, int((~lessons.positive).sum()))
    return torch.cat([lessons.positive.nonzero()[:, 0], negative.topk(count).indices])
