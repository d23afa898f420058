"""The reversal mask's settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from editlab.errors import BadRequest
from editlab.methods._method import setting


@dataclass(frozen=True)
class MaskConfig:
    """Named as in the paper; `published()` has its constants (arXiv 2605.28839 and its code at 166a84a)."""

    recipe: Literal["default", "published"] = setting("default", "Ours, or the paper's losses, schedules and constants.")
    layers: tuple[int, ...] = setting((), "Layers to mask; none named: all that the edits touch.")
    epochs: int = setting(6, "Times that every edit is seen.")
    steps: int = setting(300, "Least steps in all: few edits are seen more often.")
    batch: int = setting(48, "Prompts a step: each edit comes with its own and two paraphrases.")
    learning_rate: float = setting(1e-2, "AdamW's learning rate.")
    margin: float = setting(3.0, "By how much the true object's logit shall lead the new one's.")
    budget: float = setting(0.1, "The share of entries that may be pruned.")
    sparsity: tuple[float, float] = setting(
        (1e-6, 60.0), "Weight of what is pruned beyond the budget, first and last epoch."
    )
    kl: float = setting(3.2552, "Weight of the distance to the unedited model's answer.")
    temperature: tuple[float, float] = setting((2.0, 0.3), "The sigmoid's temperature, first and last epoch.")
    softening: tuple[float, float] = setting((1.643, 4.301), "Temperature of the distance, first and last epoch.")
    threshold: float | None = setting(None, "An entry is kept above this; none: as many are pruned as the budget allows.")
    start: tuple[float, float] = setting((0.85, 0.1), "Mean and standard deviation of the first scores.")
    plain: float = setting(0.5, "Unedited prompts a step, as a share of the edits: the mask shall not change them.")
    seed: int = setting(0, "Seed of the first scores and of the order of the edits.")

    def __post_init__(self) -> None:
        if self.recipe not in ("default", "published"):
            raise BadRequest(f"A mask has no recipe {self.recipe!r}. Choose default or published.")
        if self.epochs < 1 or self.batch < 1:
            raise BadRequest("A training needs at least one epoch and one prompt a step. Set both to 1 or more.")
        if not 0 < self.budget < 1 or not 0 <= self.plain <= 1:
            raise BadRequest("The share that may be pruned lies between 0 and 1, that of unedited prompts from 0 to 1.")

    @classmethod
    def published(cls, method: str = "rome", **changes: object) -> MaskConfig:
        """The paper's constants for edits of a method."""
        own = {"batch": 270, "sparsity": (1e-4, 100.0)} if method == "memit" else {"batch": 150}
        fixed = {
            "recipe": "published",
            "epochs": 301,
            "steps": 0,
            "learning_rate": 1e-3,
            "threshold": 0.9,
            "plain": 0.0,
            "seed": 32,
        }
        return cls(**{**fixed, **own, **changes})
