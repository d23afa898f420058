"""REP's settings."""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass

from editlab.methods._settings import LARGEST, NO_OTHERS, Contexts, LearningRate, MethodSettings, Seed, Steps, Weight
from editlab.methods.rep.recipe import Recipe, threshold_of


@dataclass(frozen=True, config=NO_OTHERS)
class RepConfig(MethodSettings):
    """Settings of both recipes. Those of the published one are constants of the paper and stand in `published.py`."""

    recipe: Recipe = Field(
        "default",
        title="Recipe",
        description="Ours: only the gate is learnt, and it also sees what must not open it. Published: the paper's "
        "projection, gate and constants.",
    )
    share: float = Field(
        1.3,
        gt=0,
        le=LARGEST,
        title="Share",
        description="How much of the edit a key hears that heard nothing of it; 1 is what its own key hears.",
    )
    hidden: int = Field(
        8, ge=1, le=1_000, title="Hidden units", description="Hidden units of the gate: they make the pathway's size."
    )
    steps: Steps = Field(100, description="Optimisation steps for the gate.")
    learning_rate: LearningRate = Field(0.05, description="Adam's learning rate for the gate, on standardised keys.")
    caution: Weight = Field(
        30.0, title="Caution", description="How much heavier all negative keys weigh together than all positive ones."
    )
    contexts: Contexts = Field(
        6, description="Texts in front of the prompt under which each name is read, the empty one among them."
    )
    seed: Seed = Field(0, description="Seed of the gate's first weights and of what is drawn.")

    @property
    def threshold(self) -> float:
        """What the gate should exceed to fire."""
        return threshold_of(self.recipe)
