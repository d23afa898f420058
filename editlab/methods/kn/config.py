"""The settings of knowledge neurons."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from editlab.methods._settings import LARGEST, NO_OTHERS, MethodSettings, PromptForm
from editlab.wording import noop

Factor = Annotated[float, Field(ge=0, le=LARGEST)]


@dataclass(frozen=True, config=NO_OTHERS)
class KnConfig(MethodSettings):
    """Named as in the published code, where it has a name; the neurons of all layers are searched."""

    steps: int = Field(
        20,
        ge=1,
        le=1_000,
        title=noop("Steps"),
        description=noop("Steps of the integrated gradients from a silent neuron to its activation. More are more exact."),
    )
    threshold: float = Field(
        0.2,
        gt=0,
        lt=1,
        title=noop("Threshold"),
        description=noop("A neuron is chosen whose attribution is above this share of the largest. Lower: more neurons."),
    )
    remove: Factor = Field(
        2.0,
        title=noop("Old object"),
        description=noop(
            "How often the old object's embedding is taken from each chosen neuron's value. Published: 2, or 1."
        ),
    )
    add: Factor = Field(
        2.0,
        title=noop("New object"),
        description=noop("How often the new object's embedding is added to each chosen neuron's value. Published: 2, or 8."),
    )
    signed: bool = Field(
        True,
        strict=True,
        title=noop("Signs"),
        description=noop(
            "Turn the change round at neurons whose activation is negative, of which gated MLPs have many. Published: no."
        ),
    )
    form: PromptForm = "plain"
