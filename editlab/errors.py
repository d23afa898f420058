"""Errors with messages for people.

Every error that EditLab raises on purpose is an `EditLabError`. Its message says what happened and what to do; the page
shows it unchanged, and the terminal's JSON has it beside the class name, as `error`. Any other error is a bug.
"""

from typing import NamedTuple


class EditLabError(Exception):
    """An error that a person can correct. The message says what happened and what to do."""

    @property
    def kind(self) -> str:
        """The error's name on the terminal and the page."""
        return type(self).__name__


class Proposal(NamedTuple):
    """What was perhaps meant: a prompt with its "{}", and the subject as it is written there."""

    prompt: str
    subject: str


class BadRequest(EditLabError):
    """An edit request or another input that cannot be carried out.

    `field`: the wrong field of the `EditRequest` (`prompt`, `subject`, ...), None where there is none; `proposal`: a request
    that could be carried out instead, where one suggests itself.
    """

    def __init__(self, message: str, field: str | None = None, proposal: Proposal | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.proposal = proposal


class BadFile(EditLabError):
    """A file that is missing or not in the expected form. The message names the file and, if known, the line."""


class BadModel(EditLabError):
    """A name or folder from which no model can be loaded."""


class TooLarge(EditLabError):
    """A model or a computation that needs more memory than is free, refused before anything ran."""


class TooMany(EditLabError):
    """A request beyond the rate limits of a demo or a login, or beyond what may wait. The message says when to try again."""


class ShutDown(EditLabError):
    """A request to a process that is ending. Nothing of it was done."""


class OutOfMemory(EditLabError):
    """A computation that ran out of memory. It was not finished, and nothing else has changed."""


class DeviceLost(EditLabError):
    """A device that does not answer any more. The process has to start again; everything that was written is kept."""


class UnsupportedArchitecture(EditLabError):
    """A model family whose modules EditLab does not know, or a method that does not fit the model."""


class MissingStatistics(EditLabError):
    """Key statistics that a method needs and that were not computed for this model and layer."""


class MissingMask(EditLabError):
    """A reversal mask that is needed and was not trained for this model and method."""


class DegenerateKey(EditLabError):
    """An edit direction almost orthogonal to its key: the update would explode instead of storing a fact."""


class TooLong(EditLabError):
    """A text with more tokens than the model's context holds."""


class Cancelled(EditLabError):
    """Work that the person who started it has stopped. Nothing of it was kept."""


class Unreadable(BadFile):
    """A file that cannot be read now, though it may be whole: nothing is concluded from that."""
