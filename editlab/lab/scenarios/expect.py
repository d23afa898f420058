"""Expectations: what should come of a step, and the contrast in which it must not.

An expectation about an edit that also holds without the edit shows nothing. So each is judged twice: here, and where it
has to be false (`Expect.contrast`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import Field, model_validator

from editlab.answers import ViewName
from editlab.errors import BadRequest, EditLabError
from editlab.facts.script import CLAUSE_END, begins_with
from editlab.insight.checkup import METRICS
from editlab.lab.scenarios.outcome import Outcome
from editlab.lab.scenarios.part import Name, PartForModels
from editlab.probes import KINDS
from editlab.probes.reversal import Guarded, Reversal
from editlab.wording import join, noop, percent, shorten

Contrast = Literal["base", "edited", "rep", "masked", "base_masked", "guarded", "before", "alone"]
Verdict = Literal[(*get_args(Reversal), *get_args(Guarded))]  # type: ignore[valid-type]

OTHER: dict[str, Contrast] = {
    ViewName.EDITED: "base",
    ViewName.REP: "edited",
    ViewName.MASKED: "edited",
    ViewName.BASE_MASKED: "edited",
    ViewName.GUARDED: "edited",
}
"""The view in which an expectation must be false, unless it says where."""
SCORES = (*KINDS, *(f"{kind}_{half}" for kind in ("rephrase", "shuffle", "long") for half in ("in", "out")))
MEASURED = ("holds", "generated", "retention")
"""Metrics that say nothing of a model without edits."""
LIMITS = ("at_least", "at_most")
TESTS = ("is", "is_not", "contains", "differs", "p", "score", "metric", "verdict")
LONGEST = 60
"""Characters of an answer that are shown beside an expectation."""


class Expect(PartForModels):
    """One test of what came of a step.

    `view`: whose answer or score it is about. `is`, `is_not`: what the answer begins with; `contains`: what stands in it,
    in any case; `differs`: that it is another one than in the step before. `p` (the probability of the whole "new" or "true"
    object), `score` and `metric` (of the check-up) take `at_least` or `at_most`. `unlike`: where it must be false: another
    view, the step "before", or the prompt "alone", without what stands in front of it.
    """

    view: ViewName = ViewName.EDITED
    is_: Name | None = Field(None, alias="is")
    is_not: Name | None = None
    contains: Name | None = None
    differs: Literal[True] | None = None
    p: Literal["new", "true"] | None = None
    score: Literal[SCORES] | None = None  # type: ignore[valid-type]
    metric: Literal[METRICS] | None = None  # type: ignore[valid-type]
    verdict: Verdict | None = None
    at_least: float | None = None
    at_most: float | None = None
    unlike: Contrast | None = None

    @model_validator(mode="after")
    def _one_test(self) -> Expect:
        given = [name for name in TESTS if self._given(name) is not None]
        if len(given) != 1:
            raise ValueError(noop(f"an expectation has one of {join(TESTS)}, and this one has {join(given) or 'none'}"))
        limits = [name for name in LIMITS if getattr(self, name) is not None]
        if self.is_number and not limits:
            raise ValueError(noop(f"{self.test} needs a limit: add at_least or at_most"))
        if limits and not self.is_number:
            raise ValueError(noop(f"{limits[0]} belongs to p, score or metric, not to {self.test}"))
        if self.unlike == self.view:
            raise ValueError(
                noop(f"the view {str(self.view)!r} cannot be unlike itself: name another view, before or alone")
            )
        return self

    def _given(self, name: str) -> object:
        return getattr(self, "is_" if name == "is" else name)

    @property
    def test(self) -> str:
        """The name of its test."""
        return next(name for name in TESTS if self._given(name) is not None)

    @property
    def is_number(self) -> bool:
        """Whether its test compares a number with a limit."""
        return self.test in ("p", "score", "metric")

    @property
    def said(self) -> str:
        """The expectation in words, without the view of which it is."""
        said = {
            "is": noop(f"says “{self.is_}”"),
            "is_not": noop(f"does not say “{self.is_not}”"),
            "contains": noop(f"mentions “{self.contains}”"),
            "differs": noop("says something else than before"),
            "p": f"p({self.p})",
            "score": f"{self.score}",
        }
        if self.test == "verdict":
            return noop(f"verdict: {self.verdict}")
        limits = [f"{name.replace('_', ' ')} {getattr(self, name):g}" for name in LIMITS if getattr(self, name) is not None]
        return " ".join([f"check-up: {self.metric}" if self.metric else said[self.test], *limits])

    def __str__(self) -> str:
        """Return the expectation in words."""
        return self.said if self.test in ("verdict", "metric") else f"{self.view}: {self.said}"

    def contrast(self, front: bool) -> Contrast | None:
        """Return where it must be false; None for the base model, of which an expectation is not about an edit.

        `front`: whether something stands in front of the prompt.
        """
        if self.unlike is not None:
            return self.unlike
        if self.metric is not None:
            return "before" if self.metric in MEASURED else "base"
        return "alone" if front else OTHER.get(self.view)


@dataclass(frozen=True)
class Check:
    """An expectation and what came instead. `verdict`: "met", "not met", or "met anyway" where the contrast met it too.

    `actual`, `contrast`: what came here and in the contrast, in words; empty without one. `problem`: why it is not judged.
    """

    expected: Expect
    verdict: Literal["met", "not met", "met anyway"]
    actual: str
    contrast: str = ""
    problem: str = ""

    @property
    def met(self) -> bool:
        """Whether it was met, and shows something."""
        return self.verdict == "met"


def check(expected: Expect, here: Outcome, before: Outcome | None) -> Check:
    """Judge an expectation of an outcome, and its contrast. `before`: that of the latest step that asked the same kind."""
    try:
        met, actual = _judge(expected, here, expected.view, before)
    except EditLabError as error:
        return Check(expected, "not met", str(error), problem=str(error))
    if not met:
        return Check(expected, "not met", actual)
    other = expected.contrast(bool(here.alone))
    if other is None:
        return Check(expected, "met", actual)
    try:
        anyway, said = _judge_contrast(expected, other, here, before)
    except EditLabError as error:
        return Check(expected, "not met", actual, f"{other}: {error}")
    return Check(expected, "met anyway" if anyway else "met", actual, said)


def _judge_contrast(expected: Expect, other: Contrast, here: Outcome, before: Outcome | None) -> tuple[bool, str]:
    """Judge an expectation where it must be false."""
    if expected.verdict is not None:
        met, said = here.verdict(edited=False) == expected.verdict, here.verdict(edited=False)
        return met, noop(f"without the edit: {said}")
    if expected.metric is not None and other == "base":
        value = here.metric(expected.metric, edited=False)
        return _within(expected, value), noop(f"without edits: {value:.3g}")
    if other == "before" and expected.differs is None:
        if before is None:
            raise BadRequest("No step before this one has asked it. Ask it there, or name another contrast in `unlike`.")
        met, said = _judge(expected, before, expected.view, None)
    elif other == "alone":
        met, said = _judge(expected, here, expected.view, before, alone=True)
    else:
        met, said = _judge(expected, here, ViewName.BASE if expected.differs else other, before)
    return met, f"{other}: {said}"


def _judge(expected: Expect, here: Outcome, view: str, before: Outcome | None, alone: bool = False) -> tuple[bool, str]:
    """Return whether an expectation is met under a view, and what came, in words."""
    if expected.verdict is not None:
        found = here.verdict()
        return found == expected.verdict, found
    if expected.metric is not None:
        value = here.metric(expected.metric)
        return _within(expected, value), f"{value:.3g}"
    if expected.score is not None:
        total, count = here.tally(view, expected.score)
        return _within(expected, total / count), f"{total:.3g} of {count}"
    answer = here.answer(view, alone)
    if expected.is_number:
        p = answer.get(f"p_{expected.p}")
        return p is not None and _within(expected, p), percent(p)
    text = answer["text"].strip()
    shown = shorten(clause(text), LONGEST)
    if expected.differs:
        earlier = clause(before.answer(view)["text"]) if before is not None else None
        return earlier is not None and clause(text) != earlier, shown
    if expected.contains is not None:
        return expected.contains.casefold() in text.casefold(), shorten(text, LONGEST)
    return begins_with(text, expected.is_ or expected.is_not or "") == (expected.is_ is not None), shown


def _within(expected: Expect, value: float) -> bool:
    """Return whether a number is within the limits of an expectation."""
    return (expected.at_least is None or value >= expected.at_least) and (
        expected.at_most is None or value <= expected.at_most
    )


def clause(text: str) -> str:
    """Return the first clause of an answer."""
    return CLAUSE_END.split(text.strip(), maxsplit=1)[0].strip() or text.strip()
