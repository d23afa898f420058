"""The Edit tab as other tabs draw it after they changed something. `web/edit/display.py` implements it.

A handlers class of another tab gets the object by its constructor: `WorkspaceHandlers(lab, display)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, Self

from editlab.facts import EditRequest
from editlab.lab import Example, Workspace
from editlab.web.core.inputs import OwnProbes
from editlab.web.core.turns import Turns
from editlab.web.core.updates import Update, Updates


class EditDisplay(Protocol):
    """Draws what a workspace's edits make of the question that is looked at, each time as the visitor's latest turn."""

    turns: Turns

    def changed(self, workspace: Workspace, text: str, own: OwnProbes, fill: bool = False) -> Updates:
        """Draw the question again after the edits have changed. `text`: the message, what was changed.

        The fields keep what a person typed; with `fill`, as in another workspace, they get the question.
        """

    def present(self, workspace: Workspace, example: Example, own: OwnProbes, text: str = "") -> Updates:
        """Fill the fields with an example and draw its question."""

    def show(self, workspace: Workspace, request: EditRequest, own: OwnProbes, text: str) -> Updates:
        """Draw a question: all answers, then the probes where an edit of it is on."""

    def probes(self, workspace: Workspace, own: OwnProbes, text: str) -> Updates:
        """Ask the probes of the current question again, and draw all that is made from their answers."""

    def press(self, workspace: Workspace, action: str, id: str, recipe: str, own: OwnProbes, row: int = 0) -> Updates:
        """Do what a button of an edit in a list does: switch, look, rep or remove. Raises `BadRequest`.

        recipe: the recipe that is chosen at "REP", by which an edit without pathways is trained. row: which request of a
        batch to look at.
        """

    def edits(self, workspace: Workspace) -> Update:
        """Return the list of edits and all that depends on it."""

    def fields(self, request: EditRequest) -> Update:
        """Return the fields of a request."""

    def running(self, text: str) -> Update:
        """Return the page while an edit is computed: only Stop can be pressed."""

    def beside(self, draw: Callable[[Workspace], Update]) -> Self:
        """Return the same display, which draws a tab's own list of edits whenever it draws that of the Edit tab."""
