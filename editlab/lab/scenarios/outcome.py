"""The outcome of a step: what the views said, how the probes went, what the check-up found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pandas import DataFrame

from editlab import probes
from editlab.answers import Answer, Answers, ViewName
from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.wording import noop

Tallies = Mapping[str, tuple[float, int]]
"""By the name of a score: the sum over its prompts, and how many there are."""

UNEDITED = {
    "locality": 1.0,
    "same_subject": 1.0,
    "kl": 0.0,
    "relative_norm": 0.0,
    "value_norm": 0.0,
    "attention": 0.0,
    "energy": 0.0,
}
"""What a check-up of a model without edits says by definition; its loss is measured as `loss_base`."""
NEEDED = {
    ViewName.MASKED: noop("Switch the mask on"),
    ViewName.BASE_MASKED: noop("Switch the mask on"),
    ViewName.GUARDED: noop("Switch the guard on"),
    ViewName.REP: noop("Add REP to an edit"),
}
"""What a view needs."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of one step; empty where it asks nothing.

    `request`: the edit that is looked at; `text`: what was asked; `answers`: of each view; `alone`: those without the text
    that stands in front of the prompt; `shown`: the views that the step names, all of them where it names none; `probes`: a
    row a probe, `scores`: by view; `metrics`: of the check-up.
    """

    request: EditRequest | None = None
    text: str = ""
    answers: Answers = field(default_factory=dict)
    alone: Answers = field(default_factory=dict)
    shown: tuple[str, ...] = ()
    probes: DataFrame | None = None
    scores: Mapping[str, Tallies] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict)

    def answer(self, view: str, alone: bool = False) -> Answer:
        """Return a view's answer; where no edit is on, "edited" is the base model. Raises `BadRequest` without one."""
        found = self.alone if alone else self.answers
        if view == ViewName.EDITED and view not in found:
            view = ViewName.BASE
        if view not in found:
            raise BadRequest(_missing(view, noop("answer")))
        return found[view]

    def tally(self, view: str, score: str) -> tuple[float, int]:
        """Return a score's sum and count under a view; a kind without "_in" or "_out" has both halves together."""
        if view not in self.scores:
            raise BadRequest(_missing(view, noop("score")))
        found = self.scores[view]
        halves = [found[name] for name in (score, f"{score}_in", f"{score}_out") if name in found]
        if not halves:
            raise BadRequest(f"No probe of the kind {score!r} was asked. Name it in the step's `probes`.")
        return sum(total for total, _ in halves), sum(count for _, count in halves)

    def metric(self, name: str, edited: bool = True) -> float:
        """Return a metric of the check-up; with `edited` false, that of the model without edits. Raises `BadRequest`."""
        if not edited and name in UNEDITED:
            return UNEDITED[name]
        value = self.metrics.get(name if edited else f"{name}_base")
        if value is None:
            raise BadRequest(f"The check-up has no {name!r} here. Apply an edit first, or name another contrast.")
        return value

    def verdict(self, edited: bool = True) -> str:
        """Return the verdict under the mask or the guard; with `edited` false, that of a model that was not edited."""
        if self.request is None:
            raise BadRequest("There is no verdict without an edit. Put an edit before this step.")
        said = dict(self.answers)
        views = {ViewName.EDITED: ViewName.BASE, ViewName.MASKED: ViewName.BASE_MASKED}
        if not edited:
            said |= {view: said[plain] for view, plain in views.items() if view in said and plain in said}
        if ViewName.EDITED not in said:
            return "not edited"
        if ViewName.GUARDED in said:
            return probes.guarded(said, self.request)
        if ViewName.MASKED in said:
            return probes.reversal(said, self.request)
        raise BadRequest("There is no verdict without the mask or the guard. Switch one on in a step before this one.")


def _missing(view: str, what: str) -> str:
    """Return what to do where a view was not asked."""
    how = NEEDED.get(view, noop("Ask it"))
    return noop(f"There is no {what} of the view '{view}'. {how} in a step before this one, or name another view.")
