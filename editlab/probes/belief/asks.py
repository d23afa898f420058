"""What a question asks the model, and what it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from editlab.model.scoring import Score
from editlab.patches import Form

ANSWER_TOKENS = 16
"""Tokens of a short answer."""


@dataclass(frozen=True)
class Ask:
    """How the model goes on with a text, greedily, for at most `tokens`, and how likely each of the `options` is behind it.

    `form`: what stands around the text, None for what the view has; `whole`: all that is written, not one line of it.
    """

    text: str
    options: tuple[str, ...] = ()
    form: Form | None = None
    tokens: int = ANSWER_TOKENS
    whole: bool = False


class Said(NamedTuple):
    """What the model wrote behind a text, and the scores of the options in their order."""

    text: str
    scores: Sequence[Score]
