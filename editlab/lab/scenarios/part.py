"""What all parts of a scenario share: they are frozen, and know no field but their own."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Sentence = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
"""A text that somebody reads."""
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""A subject, an object, a model or another name."""


class Part(BaseModel):
    """A part of a scenario."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PartForModels(Part):
    """A part that may be for some models. `only`: those, by the names of their presets; none: all of them."""

    only: tuple[Name, ...] = ()

    def holds_on(self, model: str) -> bool:
        """Return whether the part is for a model."""
        return not self.only or model in self.only
