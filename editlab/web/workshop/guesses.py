"""What an audience guesses at a step, wherever the guesses come from."""

from __future__ import annotations

from typing import Protocol

from editlab.lab.scenarios import Guess
from editlab.web.workshop.stage import Stage


class Guesses(Protocol):
    """Hears which guess stands on a stage. The presenter's page calls it; it draws nothing."""

    def ask(self, stage: Stage, step: Guess) -> None:
        """The question and its options are shown: guesses are welcome from now on."""

    def reveal(self, stage: Stage, step: Guess) -> None:
        """The next step tells which option is right: no guess counts any more."""


class NoGuesses:
    """Nobody guesses but the presenter."""

    def ask(self, stage: Stage, step: Guess) -> None:
        """Do nothing."""

    def reveal(self, stage: Stage, step: Guess) -> None:
        """Do nothing."""
