"""ROME's settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from editlab.methods._settings import (
    NO_OTHERS,
    Clamp,
    Contexts,
    KlWeight,
    Layers,
    LearningRate,
    MethodSettings,
    PlainBelow,
    PromptForm,
    Seed,
    Steps,
    StopBelow,
    WeightDecay,
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
    steps: Steps = 25
    learning_rate: LearningRate = 0.5
    weight_decay: WeightDecay = 1e-3
    clamp: Clamp = Field(
        4.0,
        description=noop("Longest change of the value, in lengths of the value itself. Higher: stronger, often less local."),
    )
    kl: KlWeight = 0.0625
    stop_below: StopBelow = 5e-2
    plain_below: PlainBelow = 0.1
    contexts: Contexts = 20
    form: PromptForm = "plain"
    seed: Seed = 0
