"""EMMET's settings."""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass

from editlab.methods._settings import LARGEST, NO_OTHERS
from editlab.methods.rome.config import ConsistentConfig
from editlab.wording import noop


@dataclass(frozen=True, config=NO_OTHERS)
class EmmetConfig(ConsistentConfig):
    """R-ROME's, and how exactly each of many facts is held."""

    ridge: float = Field(
        0.0,
        ge=0,
        le=LARGEST,
        title=noop("Ridge"),
        description=noop(
            "Regularisation of the solve, in mean squared lengths of the keys as the statistics measure them; 0 holds every "
            "fact exactly. Higher: weaker, often more local."
        ),
    )
