"""MEMIT's settings."""

from __future__ import annotations

from typing import ClassVar

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
class MemitConfig(MethodSettings):
    """Named as in the paper; the published values of each model stand in `presets/models/`."""

    spread: ClassVar[int] = 5
    layers: Layers = Field(
        (),
        description=noop(
            "Numbers of the layers that share the edit, bottom first; 0 is the first. Published: 4 to 8 of 32."
        ),
    )
    preserved: float = Field(
        15000.0,
        gt=0,
        le=LARGEST,
        title=noop("Preserved keys"),
        description=noop("Weight λ of the keys to spare, in tokens of text. Higher: weaker, often more local."),
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
        description=noop(
            "Longest change of the value, in lengths of the residual stream. Higher: stronger, often less local."
        ),
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
        5, description=noop("Number of texts in front of the prompt with which the value must hold too; fewer are faster.")
    )
    form: PromptForm = "plain"
    seed: Seed = Field(
        0, description=noop("Seed of the contexts, which the model writes. The same seed gives the same edit.")
    )
