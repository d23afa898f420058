"""The guesses of a workshop's participants: a scenario's guess is asked of them while it stands on the presenter's stage."""

from __future__ import annotations

from editlab.lab import Lab
from editlab.lab.scenarios import Guess
from editlab.lab.workshops import Workshop
from editlab.web.workshop.stage import Stage


class RoomGuesses:
    """Asks the participants of the workshop that the owner of a stage has open; without one, nobody."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def ask(self, stage: Stage, step: Guess) -> None:
        """Show the participants the question."""
        workshop = self._open(stage)
        if workshop is not None:
            before = sum(isinstance(own, Guess) and _asked(own) == _asked(step) for own in stage.run.steps[: stage.place])
            self._lab.workshops.ask(workshop.owner, workshop.id, *_asked(step), before)

    def reveal(self, stage: Stage, step: Guess) -> None:
        """Show the participants the right option and all guesses, where this is what they were asked."""
        workshop = self._open(stage)
        if workshop is None:
            return
        asked = self._lab.workshops.question(workshop.owner, workshop.id)
        if asked is not None and (asked.text, asked.options, asked.answer) == _asked(step):
            self._lab.workshops.reveal(workshop.owner, workshop.id)

    def _open(self, stage: Stage) -> Workshop | None:
        owner = self._lab.directory.owner_of(stage.workspace.name)
        workshop = None if owner is None else self._lab.workshops.latest(owner)
        return workshop if workshop is not None and workshop.open else None


def _asked(step: Guess) -> tuple[str, tuple[str, ...], int]:
    """Return the question of a step, its options, and the place of the right one."""
    return step.question, step.options, step.options.index(step.right)
