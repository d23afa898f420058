"""The card on the stage: what one step shows, with what is expected beside what came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from editlab.answers import Answers, ViewName
from editlab.facts import EditRequest
from editlab.facts.script import bare
from editlab.lab.scenarios import Ask, Check, Edit, Guess, Look, Outcome, Say, Scenario, Step, Switch
from editlab.lab.workspaces import history
from editlab.web.core.answers import headline
from editlab.web.core.html import render
from editlab.web.core.names import VIEW_TITLES
from editlab.web.workshop import words
from editlab.web.workshop.stage import TITLE, Stage
from editlab.wording import percent, share, shorten

LEAST_LONGEST = 8
"""Characters of the longest word to which the answers' size is fitted, at least."""
MOST_CHARACTERS = 140
"""Of an answer's text on the stage."""
MOST_EVENTS = 8


@dataclass(frozen=True)
class Mark:
    """An expectation beside what came. `state`: that of the check; `actual`: empty where the answer above it says so."""

    state: str
    expected: str
    actual: str
    contrast: str

    @classmethod
    def of(cls, check: Check, request: EditRequest | None) -> Mark:
        """Return the mark of a check."""
        expected = words.expectation(check.expected, request)
        return cls(check.verdict, expected, words.actual(check), words.contrast(check))

    @property
    def sign(self) -> str:
        """The sign of its state."""
        return words.SIGNS[self.state]

    @property
    def said(self) -> str:
        """Its state in words."""
        return words.MARKS[self.state]


@dataclass(frozen=True)
class Column:
    """What a view says. `tone`: "old", "new" or "" as the answer begins with the true or the new object."""

    view: str
    answer: str
    text: str
    objects: Sequence[tuple[str, str]]
    marks: Sequence[Mark]
    changed: bool


def listed(
    scenarios: Sequence[Scenario], own: Sequence[str], faults: Sequence[str], model: str, where: Mapping[str, str]
) -> Markup:
    """Return the list of scenarios. `own`: the names of people's own; `where`: at which step those that were begun stand."""
    tried = sum(model in one.models for one in scenarios)
    return render(
        "workshop/list.html",
        intro=words.INTRO,
        summary=words.summary(tried, len(scenarios), model),
        scenarios=[(one, words.tried(one, model), one.name in own, where.get(one.name)) for one in scenarios],
        model=model,
        faults=faults,
    )


def title(scenario: Scenario, tried: str, where: str | None) -> Markup:
    """Return the card before the first step. `where`: the step at which the scenario stands, if it was begun."""
    return render("workshop/title.html", scenario=scenario, tried=tried, where=where)


def card(stage: Stage, partial: Answers | None = None, performing: bool = False) -> Markup:
    """Return the step that is shown. `partial`: answers as far as they are written; `performing`: whether more will come."""
    if stage.place == TITLE:
        return title(stage.scenario, words.tried(stage.scenario, stage.run.model), None)
    if stage.step is None:
        return _end(stage)
    step, result = stage.step, None if performing else stage.result
    so_far = Outcome(stage.workspace.request, answers=partial or {}, shown=tuple(partial or ()))
    outcome, checks = (result.outcome, result.checks) if result else (so_far, ())
    shown = [view for view in outcome.shown if view in outcome.answers]
    beside = {check: _place_of(check, shown) for check in checks}
    marks = {check: Mark.of(check, outcome.request) for check in checks}
    return render(
        f"workshop/{step.do}.html",
        scenario=stage.scenario,
        step=step,
        columns=[_column(view, outcome, [marks[check] for check in checks if beside[check] == view]) for view in shown],
        missing=_missing(step, shown, performing),
        longest=max([LEAST_LONGEST, *(len(w) for v in shown for w in headline(outcome.answers[v]).split())]),
        marks=[(_subject(check), marks[check]) for check in checks if beside[check] is None],
        problem=result.problem if result else "",
        left_out=stage.place in stage.left_out,
        asked=stage.asked,
        last_good=stage.last_good,
        **_more(stage, step, outcome),
    )


def nav(stage: Stage | None, scenario: Scenario | None, performing: bool = False) -> Markup:
    """Return the buttons under the card, and where the scenario stands."""
    if scenario is None:
        return Markup()
    place = TITLE if stage is None else stage.place
    total = 0 if stage is None else stage.total
    return render(
        "workshop/nav.html",
        scenario=scenario,
        begun=stage is not None,
        place=place,
        total=total,
        progress=words.progress(place, total) if stage else "",
        performing=performing,
        keys=words.KEYS,
    )


def _more(stage: Stage, step: Step, outcome: Outcome) -> dict[str, Any]:
    """Return what the template of a kind of step takes besides."""
    match step:
        case Ask():
            behind = "a page of prose" if step.passage else f"“{shorten(step.front, 90)}”" if step.front else ""
            return {"behind": behind}
        case Edit():
            before, _, after = step.prompt.partition("{}")
            old = step.true or (outcome.request and outcome.request.target_true) or ""
            return {"before": before, "after": after, "old": bare(old), "new": bare(step.new)}
        case Switch():
            request = outcome.request
            return {"what": words.SWITCHES[step.to], "prompt": request.text if request else ""}
        case Look():
            events = _events(stage) if step.tab == "workspace" else []
            figure = stage.place in stage.figures
            return {
                "tab": step.tab,
                "tab_title": words.TABS[step.tab],
                "scores": _scores(outcome),
                "events": events,
                "figure": figure,
            }
        case Guess():
            return {"chosen": stage.guessed.get(stage.place, "")}
        case Say():
            return {}
    raise TypeError(f"There is no card for {step!r}.")


def _column(view: str, outcome: Outcome, marks: Sequence[Mark]) -> Column:
    answer, request = outcome.answers[view], outcome.request
    objects = []
    for key, target in (("p_new", request and request.target_new), ("p_true", request and request.target_true)):
        if target and answer.get(key) is not None:
            objects.append((bare(target), percent(answer[key])))
    text = " ".join((answer.get("text") or "").split())
    base = outcome.answers.get(ViewName.BASE)
    said = headline(answer)
    changed = view != ViewName.BASE and base is not None and said != headline(base)
    return Column(view, said, shorten(text, MOST_CHARACTERS), objects, marks, changed)


def _place_of(check: Check, shown: Sequence[str]) -> str | None:
    """Return the view in whose column an expectation stands; None where it is not about what a view answers."""
    expected = check.expected
    of_answer = expected.score is None and expected.metric is None and expected.verdict is None
    return expected.view if of_answer and expected.view in shown else None


def _subject(check: Check) -> str:
    """Return whose expectation it is, where no column says so."""
    expected = check.expected
    return "" if expected.metric or expected.verdict else VIEW_TITLES[expected.view]


def _missing(step: Step, shown: Sequence[str], performing: bool) -> Sequence[str]:
    """Return the views whose answers are still to come."""
    if not performing or shown or not isinstance(step, Ask | Edit | Switch):
        return ()
    return (step.views if isinstance(step, Ask) else ()) or (ViewName.BASE, ViewName.EDITED)


def _scores(outcome: Outcome) -> list[tuple[str, list[tuple[str, str, str, int]]]]:
    """Return each score with (view, share, width of its bar in percent, number of prompts) of every view."""
    names = dict.fromkeys(name for own in outcome.scores.values() for name in own)
    return [
        (
            words.score_name(name),
            [
                (view, share(own[name][0] / own[name][1]), f"{100 * own[name][0] / own[name][1]:.1f}", own[name][1])
                for view, own in outcome.scores.items()
                if name in own
            ],
        )
        for name in names
    ]


def _events(stage: Stage) -> list[tuple[int, str]]:
    """Return the latest events of the workspace: number, and who did what."""
    moments = history.timeline(stage.workspace)[-MOST_EVENTS:]
    return [(one.number, f"{one.author or 'You'} {one.text}") for one in moments]


def _end(stage: Stage) -> Markup:
    results = [result for result in stage.run.results if result is not None]
    checks = [check for result in results for check in result.checks]
    problems = sum(bool(result.problem) for result in results)
    text = words.end(len(checks), sum(check.met for check in checks), problems)
    return render("workshop/end.html", scenario=stage.scenario, text=text)
