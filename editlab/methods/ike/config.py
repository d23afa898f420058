"""The settings of in-context editing."""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass

from editlab.methods._settings import NO_OTHERS, MethodSettings, PromptForm, Seed
from editlab.wording import noop


@dataclass(frozen=True, config=NO_OTHERS)
class IkeConfig(MethodSettings):
    """How many demonstrations stand before the new fact, and how they are drawn."""

    demonstrations: int = Field(
        16,
        ge=0,
        le=64,
        title=noop("Demonstrations"),
        description=noop(
            "Number of examples, of other facts, of what a new fact changes and what it leaves alone. More make every "
            "question longer. Published: 32."
        ),
    )
    form: PromptForm = "plain"
    seed: Seed = Field(0, description=noop("Seed of the demonstrations. The same seed gives the same edit."))
