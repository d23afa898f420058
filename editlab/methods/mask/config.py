"""The reversal mask's settings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from editlab.methods._settings import LARGEST, NO_OTHERS, Layers, LearningRate, MethodSettings, Seed, Weight

Schedule = tuple[Weight, Weight]
"""A value at the first epoch and at the last."""
Positive = Annotated[float, Field(gt=0, le=LARGEST)]
Temperature = tuple[Positive, Positive]
FINITE = ConfigDict(**NO_OTHERS, allow_inf_nan=False)


@dataclass(frozen=True, config=FINITE)
class MaskConfig(MethodSettings):
    """Named as in the paper; `published()` has its constants (arXiv 2605.28839 and its code at 166a84a)."""

    recipe: Literal["default", "published"] = Field(
        "default", description="Ours, or the paper's losses, schedules and constants."
    )
    layers: Layers = Field((), description="Layers to mask; none named: all that the edits touch.")
    epochs: int = Field(6, ge=1, description="Times that every edit is seen.")
    steps: int = Field(300, ge=0, description="Least steps in all: few edits are seen more often.")
    batch: int = Field(48, ge=1, description="Prompts a step: each edit comes with its own and two paraphrases.")
    learning_rate: LearningRate = Field(1e-2, description="AdamW's learning rate.")
    margin: float = Field(3.0, description="By how much the true object's logit should lead the new one's.")
    budget: float = Field(0.1, gt=0, lt=1, description="The share of entries that may be pruned.")
    sparsity: Schedule = Field((1e-6, 60.0), description="Weight of what is pruned beyond the budget, first and last epoch.")
    kl: Weight = Field(3.2552, description="Weight of the distance to the unedited model's answer.")
    temperature: Temperature = Field((2.0, 0.3), description="The sigmoid's temperature, first and last epoch.")
    softening: Temperature = Field((1.643, 4.301), description="Temperature of the distance, first and last epoch.")
    threshold: float | None = Field(
        None, ge=0, le=1, description="An entry is kept above this; none: as many are pruned as the budget allows."
    )
    start: tuple[float, float] = Field((0.85, 0.1), description="Mean and standard deviation of the first scores.")
    plain: float = Field(
        0.5, ge=0, le=1, description="Unedited prompts a step, as a share of the edits: the mask should not change them."
    )
    seed: Seed = Field(0, description="Seed of the first scores and of the order of the edits.")

    @classmethod
    def published(cls, method: str = "rome", **changes: object) -> MaskConfig:
        """Return the paper's constants for edits of a method."""
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
