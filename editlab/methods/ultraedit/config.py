"""UltraEdit's settings."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from editlab.methods._settings import LARGEST, NO_OTHERS, Layers, MethodSettings, PromptForm, Seed
from editlab.wording import noop


@dataclass(frozen=True, config=NO_OTHERS)
class UltraeditConfig(MethodSettings):
    """Named as in the published code; the published values of each model stand in `presets/models/`."""

    depth: ClassVar[float] = 29 / 32
    spread: ClassVar[int] = 2
    layers: Layers = Field(
        (),
        description=noop(
            "Numbers of the layers to edit, all at once; 0 is the first. Published: 29 and 30 of 32 for Mistral."
        ),
    )
    learning_rate: float = Field(
        1e-6,
        gt=0,
        le=LARGEST,
        title=noop("Learning rate"),
        description=noop("How far values move against their gradients. Higher: stronger, and other answers change more."),
    )
    ridge: float = Field(
        1.0,
        gt=0,
        le=LARGEST,
        title=noop("Ridge"),
        description=noop("Weight of the size of the change in the regression. Higher: weaker, often more local."),
    )
    warm_up: int = Field(
        20,
        ge=0,
        le=20,
        title=noop("Warm-up"),
        description=noop(
            "Number of texts, written by the model itself, that the normalisation begins with; 0 as published."
        ),
    )
    form: PromptForm = "plain"
    seed: Seed = Field(0, description=noop("Seed of the warm-up's texts. The same seed gives the same edit."))
