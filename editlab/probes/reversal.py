"""What a reversal mask tells about one edit: whether the old fact was shouted down or is not found behind it.

Everything is read off what the views say at the edited prompt (`summaries`). That the old fact returns counts only where
the mask alone leaves it as it was; and where it does not return, this mask has not found it, which proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from editlab.answers import Answer, Answers, ViewName
from editlab.facts import EditRequest
from editlab.facts.script import begins_with

Reversal = Literal["no true object", "not known", "not edited", "disturbed", "suppressed", "undecided", "not reversed"]
Guarded = Literal["not edited", "held", "got through"]

MARGIN = 2.0
"""How many times likelier than the new object the old one must be under the mask before it is said to return."""
CONTROL = ViewName.BASE_MASKED
OTHERS = (ViewName.BASE, ViewName.MASKED, CONTROL, "told")
"""Views in which nobody asks how well an edit did."""


def reversal(said: Answers, request: EditRequest) -> Reversal:
    """Return the verdict on one edit; `said` has the views "base", "edited", "masked" and "base_masked".

    "no true object": nobody said what the old fact was; "not known": the unedited model does not prefer it either, so that
    there is nothing to return; "not edited": it is preferred even without the mask; "disturbed": the mask alone, without any
    edit, takes the model off the old fact; "suppressed": under the mask it is likelier again than the new one, by `MARGIN`;
    "undecided": by less; "not reversed": it is not.
    """
    if request.target_true is None:
        return "no true object"
    if not _prefers_true(said[ViewName.BASE]):
        return "not known"
    if _prefers_true(said[ViewName.EDITED]):
        return "not edited"
    left = answers_with(said[ViewName.BASE], request.target_true) and not answers_with(said[CONTROL], request.target_true)
    if left or not _prefers_true(said[CONTROL]):
        return "disturbed"
    masked = said[ViewName.MASKED]
    if not _prefers_true(masked):
        return "not reversed"
    return "suppressed" if masked["p_true"] >= MARGIN * masked["p_new"] else "undecided"


def guarded(said: Answers, request: EditRequest) -> Guarded:
    """Return whether an edit was stopped by the guard; `said` has the views "edited" (without the guard) and "guarded".

    An edit that does not even hold without it ("not edited") tells nothing about the guard.
    """
    if not _edited(said[ViewName.EDITED], request):
        return "not edited"
    return "got through" if _edited(said[ViewName.GUARDED], request) else "held"


def answers_with(answer: Answer, target: str) -> bool:
    """Return whether an answer's text begins with an object, as a whole word."""
    return begins_with(answer["text"], target)


def judged(views: Mapping[str, Any] | list[str]) -> str:
    """Return the view by which an edit is judged: the last of those that are meant to hold it, or the base where none is."""
    return next((view for view in reversed(list(views)) if view not in OTHERS), ViewName.BASE)


def _prefers_true(answer: Answer) -> bool:
    return answer["p_true"] > answer["p_new"]


def _edited(answer: Answer, request: EditRequest) -> bool:
    """Return whether the new object has won: it is likelier than the true one, or said where that is unknown."""
    if request.target_true is None:
        return answers_with(answer, request.target_new)
    return answer["p_new"] > answer["p_true"]
