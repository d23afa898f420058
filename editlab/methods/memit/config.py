"""MEMIT's settings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from editlab.methods._method import setting


@dataclass(frozen=True)
class MemitConfig:
    """Named as in the paper; the published values of each model stand in `presets/models/`."""

    spread: ClassVar[int] = 5
    layers: tuple[int, ...] = setting((), "Layers that share the edit, bottom first. Published: 4 to 8 of 32.")
    preserved: float = setting(15000.0, "Weight of the keys to spare, as a number of tokens (lambda).")
    steps: int = setting(25, "Most optimisation steps for the value.")
    learning_rate: float = setting(0.5, "Adam's learning rate for the value.")
    weight_decay: float = setting(1e-3, "How much a long value is penalised.")
    clamp: float = setting(4.0, "The value's change may be this many times as long as the residual itself.")
    kl: float = setting(0.0625, "How much the sentence '<subject> is a' may not change.")
    stop_below: float = setting(5e-2, "The optimisation ends where the loss is under this; 0 runs all steps.")
    plain_below: float = setting(math.inf, "It does not end before the bare prompt's own loss is under this as well.")
    contexts: int = setting(5, "Texts in front of the prompt under which the value must hold; fewer are faster.")
    form: Literal["plain", "chat"] = setting("plain", "The prompt as it is, or in the model's chat template.")
    seed: int = setting(0, "Seed of the context texts that the model writes.")
