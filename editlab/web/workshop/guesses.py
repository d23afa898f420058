"""What an audience guesses at a step, wherever the guesses come from."""

from __future__ import annotations

from typing import Protocol

from editlab.lab.scenarios import Guess
from editlab.web.workshop.stage import Stage


class Guesses(Protocol):
    """Hears which guess stands on a stage. The presenter's page calls it; it draws nothing."""

    def ask(self, stage: Stage, step: Guess) -> None:
        """Begin to take guesses: the question and its options are shown."""

    def reveal(self, stage: Stage, step: Guess) -> None:
        """End them: the next step tells which option is right."""


class NoGuesses:
    """Nobody guesses but the presenter."""

    def ask(self, stage: Stage, step: Guess) -> None:
        """Do nothing."""

    def reveal(self, stage: Stage, step: Guess) -> None:
        """Do nothing."""
