"""ROME's settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from editlab.methods._settings import (
    LARGEST,
    NO_OTHERS,
    Contexts,
    Layers,
    LearningRate,
    MethodSettings,
    PromptForm,
    Seed,
    Steps,
    Weight,
)


@dataclass(frozen=True, config=NO_OTHERS)
class RomeConfig(MethodSettings):
    """Named as in the paper; the published values of each model stand in `presets/models/`."""

    layers: Layers = Field((), description="Layers to edit, one after the other. Published: 5 of 32 for 7B Llamas.")
    keys: Literal["consistent", "original", "prompt", "both"] = Field(
        "consistent",
        title="Keys",
        description="Whose key is written: the mean over contexts everywhere (R-ROME), that mean against the bare prompt's "
        "key (the original code, which can explode), the bare prompt's key alone (p-ROME), or both, so that the mean "
        "and the bare prompt hear the edit alike.",
    )
    whiten: bool = Field(
        True,
        strict=True,
        title="Whiten",
        description="Spare keys the model already uses (C^-1), where key statistics exist.",
    )
    steps: Steps = Field(25, description="Most optimisation steps for the value.")
    learning_rate: LearningRate = Field(0.5, description="Adam's learning rate for the value.")
    weight_decay: Weight = Field(1e-3, title="Weight decay", description="How much a long value is penalised.")
    clamp: float = Field(
        4.0,
        gt=0,
        le=LARGEST,
        title="Clamp",
        description="The value's change may be this many times as long as the value itself.",
    )
    kl: Weight = Field(0.0625, title="KL weight", description="How much the sentence '<subject> is a' may not change.")
    stop_below: Weight = Field(
        5e-2, title="Stop below", description="The optimisation ends where the loss is under this; 0 runs all steps."
    )
    plain_below: float = Field(
        0.1,
        ge=0,
        title="Plain prompt below",
        description="It does not end before the bare prompt's own loss is under this as well.",
    )
    contexts: Contexts = Field(
        20, description="Texts in front of the prompt under which the value must hold; fewer are faster."
    )
    form: PromptForm = "plain"
    seed: Seed = Field(0, description="Seed of the context texts that the model writes.")
