"""What a model says under its views: the views' names, and what an answer holds.

Names are strings and answers are dicts, so both go into tables, JSON and the ledger as they are.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypedDict


class ViewName(StrEnum):
    """The views of a workspace: the frozen model under none, some or all of its patches."""

    BASE = "base"
    """The model without edits."""
    EDITED = "edited"
    """The edits that are on."""
    REP = "rep"
    """The edits with their pathways."""
    MASKED = "masked"
    """The edits under the reversal mask."""
    BASE_MASKED = "base_masked"
    """The reversal mask alone, as a control."""
    GUARDED = "guarded"
    """Edits that were made under the mask, judged under it."""


class Answer(TypedDict, total=False):
    """What one view says after a text.

    `top`: the five likeliest next tokens as [token, p]; `text`: the greedy continuation. At an edit's prompt also the
    probabilities of the whole new and true object, `p_new` and `p_true`, and of their first tokens, `first_new` and
    `first_true`; None where the request has no true object.
    """

    top: list[list[str | float]]
    text: str
    p_new: float
    p_true: float | None
    first_new: float
    first_true: float | None


Answers = dict[str, Answer]
"""An answer for each view, by the view's name."""
