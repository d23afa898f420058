"""GRACE's settings."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from editlab.methods._settings import LARGEST, NO_OTHERS, Layers, LearningRate, MethodSettings, PromptForm, Steps, StopBelow
from editlab.wording import noop


@dataclass(frozen=True, config=NO_OTHERS)
class GraceConfig(MethodSettings):
    """Named as in the paper; the published values of each model stand in `presets/models/`."""

    depth: ClassVar[float] = 27 / 32

    layers: Layers = Field(
        (),
        description=noop("Number of the layer that has the codebook; 0 is the first. Published: 27 of 32 for 7B Llamas."),
    )
    radius: float = Field(
        0.5,
        gt=0,
        le=LARGEST,
        title=noop("Radius"),
        description=noop(
            "How far a key may lie from the edit's own and still be answered by it, in lengths of that key. Higher: other "
            "wordings are answered too, and at last other questions. Published: a length of 1, whatever the model."
        ),
    )
    steps: Steps = 50
    learning_rate: LearningRate = 1.0
    stop_below: StopBelow = 5e-2
    form: PromptForm = "plain"
