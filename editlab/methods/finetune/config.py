"""The settings of the three forms of fine-tuning."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from editlab.methods._settings import LARGEST, NO_OTHERS, Layers, MethodSettings, PromptForm, Seed, StopBelow
from editlab.wording import noop

Layer = Annotated[
    Layers,
    Field(
        title=noop("Layer"),
        description=noop(
            "Number of the layer whose MLP output projection is trained; 0 is the first. Published: 21 of 32 for 7B Llamas."
        ),
    ),
]
Rate = Annotated[
    float,
    Field(
        gt=0,
        le=LARGEST,
        title=noop("Learning rate"),
        description=noop("Adam's learning rate for the matrix. Higher: the fact is learnt sooner, and more else changes."),
    ),
]
Passes = Annotated[
    int,
    Field(
        ge=1,
        le=1_000,
        title=noop("Steps"),
        description=noop("Most steps on a fact before the next one is learnt. It ends early once the loss is small enough."),
    ),
]
Constraint = Annotated[
    float,
    Field(
        gt=0,
        title=noop("Norm constraint"),
        description=noop("Largest change of any entry of the matrix by one fact (L∞ norm); inf: any change."),
    ),
]


@dataclass(frozen=True, config=NO_OTHERS)
class FtlConfig(MethodSettings):
    """Named as in the published code; the published values of each model stand in `presets/models/`."""

    depth: ClassVar[float] = 21 / 32
    layers: Layer = ()
    learning_rate: Rate = 5e-4
    steps: Passes = 25
    norm_constraint: Constraint = 5e-4
    stop_below: StopBelow = 1e-2
    form: PromptForm = "plain"


@dataclass(frozen=True, config=NO_OTHERS)
class FtmConfig(FtlConfig):
    """The same without a constraint."""

    norm_constraint: Constraint = math.inf


@dataclass(frozen=True, config=NO_OTHERS)
class LocftConfig(MethodSettings):
    """Named as in the published code; the published values of each model stand in `presets/models/`."""

    depth: ClassVar[float] = 21 / 32
    layers: Layer = ()
    learning_rate: Rate = 5e-4
    epochs: int = Field(
        25,
        ge=1,
        le=1_000,
        title=noop("Epochs"),
        description=noop("Most passes over all facts. It ends early once the mean loss is small enough."),
    )
    batch: int = Field(
        100,
        ge=1,
        le=10_000,
        title=noop("Mini-batch"),
        description=noop("Number of facts a step of the training. Fewer: more steps an epoch, each of a noisier gradient."),
    )
    ending: bool = Field(
        True,
        strict=True,
        title=noop("Ending"),
        description=noop("Learn that the text ends behind the new object, as published. Without it, the model writes on."),
    )
    stop_below: StopBelow = 1e-2
    form: PromptForm = "plain"
    seed: Seed = Field(0, description=noop("Seed of the mini-batches. The same seed gives the same edit."))
