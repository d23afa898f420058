"""AlphaEdit's settings."""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass

from editlab.methods._settings import LARGEST, NO_OTHERS, Energy
from editlab.methods.memit.config import SpreadConfig
from editlab.wording import noop


@dataclass(frozen=True, config=NO_OTHERS)
class AlphaEditConfig(SpreadConfig):
    """MEMIT's, with a projection in place of preserved keys."""

    energy: Energy = 0.02
    ridge: float = Field(
        0.1,
        gt=0,
        le=LARGEST,
        title=noop("Ridge"),
        description=noop(
            "Regularisation of the solve, in mean squared lengths of the projected keys. Higher: weaker, often more local."
        ),
    )
