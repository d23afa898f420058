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
from editlab.wording import noop


@dataclass(frozen=True, config=NO_OTHERS)
class RomeConfig(MethodSettings):
    """Named as in the paper; the published values of each model stand in `presets/models/`."""

    layers: Layers = Field((), description=noop("Layers to edit, one after the other. Published: 5 of 32 for 7B Llamas."))
    keys: Literal["consistent", "original", "prompt", "both"] = Field(
        "consistent",
        title=noop("Keys"),
        description=noop(
            "Whose key is written: the mean over contexts everywhere (R-ROME), that mean against the bare prompt's "
            "key (the original code, which can explode), the bare prompt's key alone (p-ROME), or both, so that the mean "
            "and the bare prompt hear the edit alike."
        ),
    )
    whiten: bool = Field(
        True,
        strict=True,
        title=noop("Whiten"),
        description=noop("Spare keys the model already uses (C^-1), where key statistics exist."),
    )
    steps: Steps = Field(25, description=noop("Most optimisation steps for the value."))
    learning_rate: LearningRate = Field(0.5, description=noop("Adam's learning rate for the value."))
    weight_decay: Weight = Field(1e-3, title=noop("Weight decay"), description=noop("How much a long value is penalised."))
    clamp: float = Field(
        4.0,
        gt=0,
        le=LARGEST,
        title=noop("Clamp"),
        description=noop("The value's change may be this many times as long as the value itself."),
    )
    kl: Weight = Field(
        0.0625, title=noop("KL weight"), description=noop("How much the sentence '<subject> is a' may not change.")
    )
    stop_below: Weight = Field(
        5e-2,
        title=noop("Stop below"),
        description=noop("The optimisation ends where the loss is under this; 0 runs all steps."),
    )
    plain_below: float = Field(
        0.1,
        ge=0,
        title=noop("Plain prompt below"),
        description=noop("It does not end before the bare prompt's own loss is under this as well."),
    )
    contexts: Contexts = Field(
        20, description=noop("Texts in front of the prompt under which the value must hold; fewer are faster.")
    )
    form: PromptForm = "plain"
    seed: Seed = Field(0, description=noop("Seed of the context texts that the model writes."))
