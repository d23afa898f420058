"""The settings of ROME and of what differs from it by its keys or its layer."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from editlab.methods._settings import (
    NO_OTHERS,
    AfterSolving,
    Anchor,
    Clamp,
    Contexts,
    Energy,
    KlWeight,
    Layers,
    LearningRate,
    MethodSettings,
    PlainBelow,
    Project,
    PromptForm,
    Seed,
    Spare,
    Steps,
    StopBelow,
    WeightDecay,
    Whiten,
)
from editlab.wording import noop

Keys = Literal["consistent", "original", "prompt", "both"]


@dataclass(frozen=True, config=NO_OTHERS)
class RankOneConfig(MethodSettings):
    """Named as in the paper; the published values of each model stand in `presets/models/`."""

    layers: Layers = Field(
        (),
        description=noop(
            "Numbers of the layers to edit, one after the other; 0 is the first. Published: 5 of 32 for 7B Llamas."
        ),
    )
    whiten: Whiten = True
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
    spare: Spare = 0.0
    project: Project = False
    energy: Energy = 0.02
    anchor: Anchor = False
    after: AfterSolving = "nothing"
    form: PromptForm = "plain"
    seed: Seed = 0


@dataclass(frozen=True, config=NO_OTHERS)
class RomeConfig(RankOneConfig):
    """ROME with a choice of keys."""

    keys: Keys = Field(
        "consistent",
        title=noop("Keys"),
        description=noop(
            "The key that the edit answers to. consistent: the mean over the contexts (R-ROME). original: that mean "
            "against the bare prompt's key, as in the first code, which can explode. prompt: the bare prompt's key "
            "(p-ROME). both: the mean and the bare prompt receive the edit alike."
        ),
    )


@dataclass(frozen=True, config=NO_OTHERS)
class ConsistentConfig(RankOneConfig):
    """R-ROME: everything at the mean key over the contexts."""

    keys: ClassVar[Keys] = "consistent"


@dataclass(frozen=True, config=NO_OTHERS)
class PromptConfig(RankOneConfig):
    """p-ROME: everything at the bare prompt's key."""

    keys: ClassVar[Keys] = "prompt"


@dataclass(frozen=True, config=NO_OTHERS)
class WilkeConfig(ConsistentConfig):
    """WilKE: R-ROME at the one of its layers where the update is smallest."""

    layers: Layers = Field(
        (),
        description=noop(
            "Numbers of the layers to try; 0 is the first. Published: all up to the middle of the model, or a quarter."
        ),
    )
