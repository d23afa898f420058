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

    layers: Layers = Field(
        (),
        description=noop(
            "Numbers of the layers to edit, one after the other; 0 is the first. Published: 5 of 32 for 7B Llamas."
        ),
    )
    keys: Literal["consistent", "original", "prompt", "both"] = Field(
        "consistent",
        title=noop("Keys"),
        description=noop(
            "The key that the edit answers to. consistent: the mean over the contexts (R-ROME). original: that mean "
            "against the bare prompt's key, as in the first code, which can explode. prompt: the bare prompt's key "
            "(p-ROME). both: the mean and the bare prompt receive the edit alike."
        ),
    )
    whiten: bool = Field(
        True,
        strict=True,
        title=noop("Whiten"),
        description=noop(
            "Write along C⁻¹k, where the layer has key statistics C: keys that the model already uses are spared. "
            "Without it, other answers change more."
        ),
    )
    steps: Steps = Field(
        25, description=noop("Most steps of the search for the value. More take longer and may give a likelier answer.")
    )
    learning_rate: LearningRate = Field(
        0.5,
        description=noop("Adam's learning rate for the value. Too high misses the answer, too low needs more steps."),
    )
    weight_decay: Weight = Field(
        1e-3,
        title=noop("Weight decay"),
        description=noop("Weight of the length of the value's change in the loss. Higher: a weaker edit."),
    )
    clamp: float = Field(
        4.0,
        gt=0,
        le=LARGEST,
        title=noop("Clamp"),
        description=noop("Longest change of the value, in lengths of the value itself. Higher: stronger, often less local."),
    )
    kl: Weight = Field(
        0.0625,
        title=noop("KL weight"),
        description=noop("Weight, in the loss, of the change at the sentence '<subject> is a'. Higher: it changes less."),
    )
    stop_below: Weight = Field(
        5e-2,
        title=noop("Stop below"),
        description=noop(
            "Loss, in nats per token, under which the search ends; 0 runs all steps. Lower: a likelier answer."
        ),
    )
    plain_below: float = Field(
        0.1,
        ge=0,
        title=noop("Plain prompt below"),
        description=noop("The search goes on until the bare prompt's own loss, in nats per token, is under this as well."),
    )
    contexts: Contexts = Field(
        20, description=noop("Number of texts in front of the prompt with which the value must hold too; fewer are faster.")
    )
    form: PromptForm = "plain"
    seed: Seed = Field(
        0, description=noop("Seed of the contexts, which the model writes. The same seed gives the same edit.")
    )
