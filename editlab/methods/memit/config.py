"""The settings of MEMIT, and those that its relatives share with it."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from editlab.methods._settings import (
    LARGEST,
    NO_OTHERS,
    AfterSolving,
    Anchor,
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
class SpreadConfig(MethodSettings):
    """Named as in the paper; the published values of each model stand in `presets/models/`."""

    spread: ClassVar[int] = 5
    layers: Layers = Field(
        (),
        description=noop(
            "Numbers of the layers that share the edit, bottom first; 0 is the first. Published: 4 to 8 of 32."
        ),
    )
    steps: Steps = 25
    learning_rate: LearningRate = 0.5
    weight_decay: WeightDecay = 1e-3
    clamp: Clamp = Field(
        4.0,
        description=noop(
            "Longest change of the value, in lengths of the residual stream. Higher: stronger, often less local."
        ),
    )
    kl: KlWeight = 0.0625
    stop_below: StopBelow = 5e-2
    plain_below: PlainBelow = 0.1
    contexts: Annotated[Contexts, Field(le=5)] = 5
    anchor: Anchor = False
    after: AfterSolving = "nothing"
    form: PromptForm = "plain"
    seed: Seed = 0


@dataclass(frozen=True, config=NO_OTHERS)
class MemitConfig(SpreadConfig):
    """MEMIT: the keys of text are spared."""

    preserved: float = Field(
        15000.0,
        gt=0,
        le=LARGEST,
        title=noop("Preserved keys"),
        description=noop("Weight λ of the keys to spare, in tokens of text. Higher: weaker, often more local."),
    )
