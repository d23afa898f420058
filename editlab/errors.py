"""Errors that a person can act on.

Every error that EditLab raises on purpose is an `EditLabError`: its text says what happened and what to do, its class
name is the `error` field of the terminal's JSON, and the page shows the text as it stands. Anything else is a bug.
"""


class EditLabError(Exception):
    """Something a person can put right. The message says what happened and what to do next."""

    @property
    def kind(self) -> str:
        """The name under which terminal and page report this error."""
        return type(self).__name__


class BadRequest(EditLabError):
    """An edit request or a query that cannot be carried out as it is written.

    `field`: which part of the `EditRequest` it is about (`prompt`, `subject`, ...), where it is about one.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class BadFile(EditLabError):
    """A file that is missing or not in the expected form. The message names the file and, where known, the line."""


class BadModel(EditLabError):
    """A name or folder from which no model can be loaded."""


class TooLarge(EditLabError):
    """A model, or what is asked of it, needs more memory than is free; found out before anything ran."""


class TooMany(EditLabError):
    """More than a public demo does for one visitor, or for all together. The message says when to come back."""


class OutOfMemory(EditLabError):
    """Memory ran out all the same. What was being done is not done, and nothing else has changed."""


class DeviceLost(EditLabError):
    """The device answers nothing any more: the process has to start again, and everything that was kept is found there."""


class UnsupportedArchitecture(EditLabError):
    """A model family for which EditLab does not know where the parts are, or a method that does not fit it."""


class MissingStatistics(EditLabError):
    """A method needs key statistics that nobody computed for this model and layer."""


class MissingMask(EditLabError):
    """A reversal mask was asked for, and nobody trained one for this model and method."""


class DegenerateKey(EditLabError):
    """The edit's direction and its key are almost orthogonal: the update would explode instead of storing a fact."""


class TooLong(EditLabError):
    """More tokens than the model's context holds."""


class Cancelled(EditLabError):
    """The work was stopped by the person who started it; nothing was kept."""
