"""The card on the stage: what one step shows, with what is expected beside what came."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import east_asian_width

from markupsafe import Markup

from editlab.answers import ViewName
from editlab.facts import EditRequest
from editlab.facts.script import bare
from editlab.lab.scenarios import Ask, Check, Edit, Guess, Look, Outcome, Say, Scenario, Step, Switch
from editlab.lab.workspaces import history
from editlab.web.core.answers import headline
from editlab.web.core.engine import said
from editlab.web.core.html import render
from editlab.web.core.language import gettext as _
from editlab.web.core.names import view_title
from editlab.web.core.wording import join, percent, share, shorten, tell
from editlab.web.workshop import words
from editlab.web.workshop.stage import TITLE, Stage

LEAST_WIDTH = 5.0
"""Of the answers, in letters of middle width: what is shorter is not written larger."""
LINES = 2.6
"""Lines over which a long answer is spread, as a share of its width."""
NARROW, WIDE = "fiIjlrt.,:;'’!()-", "mMwW@"
TEXT_CHARACTERS = {1: 140, 2: 90}
"""Of an answer's text on the stage, by the number of answers beside one another."""
LEAST_CHARACTERS = 64
"""Of an answer's text where there are more."""
NAMES_CHARACTERS = 100
"""Of the subjects of further edits."""
SENTENCE_END = re.compile(r"[.!?。！？](?=\s|$)")
BETWEEN_SENTENCES = re.compile(r"(?<=[.!?。！？])\s+")
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
        return _(words.MARKS[self.state])


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
    scenarios: Sequence[Scenario],
    own: Sequence[str],
    faults: Sequence[str],
    model: str,
    where: Mapping[str, str],
    links: Mapping[str, str],
) -> Markup:
    """Return the list of scenarios.

    `own`: the names of people's own; `where`: at which step those that were begun stand; `links`: to reports.
    """
    tried = sum(model in one.models for one in scenarios)
    return render(
        "workshop/list.html",
        intro=_(words.INTRO),
        summary=words.summary(tried, len(scenarios), model),
        scenarios=[(one, words.tried(one, model), one.name in own, where.get(one.name)) for one in scenarios],
        links=links,
        model=model,
        faults=faults,
    )


def title(scenario: Scenario, tried: str, where: str | None) -> Markup:
    """Return the card before the first step. `where`: the step at which the scenario stands, if it was begun."""
    return render("workshop/title.html", scenario=scenario, tried=tried, where=where)


def card(stage: Stage, link: str = "") -> Markup:
    """Return the step that is shown, while it is performed with the answers as far as they are written.

    `link`: to a report that was just made, on the card behind the last step.
    """
    if stage.place == TITLE:
        return title(stage.scenario, words.tried(stage.scenario, stage.run.model), None)
    if stage.step is None:
        return _end(stage, link)
    step, result = stage.step, None if stage.performing else stage.result
    so_far = Outcome(stage.workspace.request, answers=stage.partial, shown=tuple(stage.partial))
    outcome, checks = (result.outcome, result.checks) if result else (so_far, ())
    shown = [view for view in outcome.shown if view in outcome.answers]
    beside = {check: _place_of(check, shown) for check in checks}
    marks = {check: Mark.of(check, outcome.request) for check in checks}
    return render(
        f"workshop/{step.do}.html",
        scenario=stage.scenario,
        step=step,
        columns=[
            _column(view, outcome, [marks[check] for check in checks if beside[check] == view], len(shown)) for view in shown
        ],
        missing=_missing(step, shown, stage.performing),
        longest=max([LEAST_WIDTH, *(width_of(headline(outcome.answers[view])) for view in shown)]),
        marks=[(_subject(check), marks[check]) for check in checks if beside[check] is None],
        problem=said(result.problem) if result else "",
        left_out=stage.place in stage.left_out,
        asked=stage.asked,
        last_good=stage.last_good,
        **_more(stage, step, outcome),
    )


def nav(stage: Stage | None, scenario: Scenario, stamp: str = "") -> Markup:
    """Return the buttons under the card, and where the scenario stands. `stamp`: by which a window says what it shows."""
    place = TITLE if stage is None else stage.place
    total = 0 if stage is None else stage.total
    return render(
        "workshop/nav.html",
        scenario=scenario,
        begun=stage is not None,
        place=place,
        total=total,
        progress=words.progress(place, total) if stage else "",
        stamp=stamp,
        keys=_(words.KEYS),
    )


def _more(stage: Stage, step: Step, outcome: Outcome) -> dict[str, Any]:
    """Return what the template of a kind of step takes besides."""
    match step:
        case Ask():
            if step.passage:
                return {"behind": _("behind a page of prose")}
            return {"behind": _("behind “{text}”").format(text=shorten(step.front, 90)) if step.front else ""}
        case Edit():
            before, _subject, after = step.prompt.partition("{}")
            old = step.true or (outcome.request and outcome.request.target_true) or ""
            also = beginning(join([fact.subject for fact in step.also]), NAMES_CHARACTERS)
            return {"before": before, "after": after, "old": bare(old), "new": bare(step.new), "also": also}
        case Switch():
            request = outcome.request
            return {"what": _(words.SWITCHES[step.to]), "prompt": request.text if request else ""}
        case Look():
            events = _events(stage) if step.tab == "workspace" else []
            figure = stage.place in stage.run.pictures
            return {
                "tab": step.tab,
                "tab_title": _(words.TABS[step.tab]),
                "scores": _scores(outcome),
                "events": events,
                "figure": figure,
            }
        case Guess():
            return {"chosen": stage.guessed.get(stage.place, "")}
        case Say():
            return {"sentences": BETWEEN_SENTENCES.split(_(step.text))}
    raise TypeError(f"There is no card for {step!r}.")


def _column(view: str, outcome: Outcome, marks: Sequence[Mark], columns: int) -> Column:
    answer, request = outcome.answers[view], outcome.request
    objects = []
    for key, target in (("p_new", request and request.target_new), ("p_true", request and request.target_true)):
        if target and answer.get(key) is not None:
            objects.append((bare(target), percent(answer[key])))
    text = " ".join((answer.get("text") or "").split())
    base = outcome.answers.get(ViewName.BASE)
    said = headline(answer)
    changed = view != ViewName.BASE and base is not None and said != headline(base)
    return Column(view, said, beginning(text, TEXT_CHARACTERS.get(columns, LEAST_CHARACTERS)), objects, marks, changed)


def beginning(text: str, most: int) -> str:
    """Return the sentences of a text that fit into a number of characters, else as many of its words."""
    if len(text) <= most:
        return text
    ends = [match.end() for match in SENTENCE_END.finditer(text, 0, most)]
    if ends and ends[-1] >= most / 2:
        return text[: ends[-1]]
    return f"{text[:most].rpartition(' ')[0] or text[:most]} …"


def width_of(answer: str) -> float:
    """Return the width to which an answer's size is fitted: of its longest word, or of a part of it where it is long."""
    return max([_letters(answer) / LINES, *(_letters(word) for word in answer.split())])


def _letters(text: str) -> float:
    """Return how wide a text is, in letters of middle width."""
    wide = sum(one in WIDE or east_asian_width(one) in "WF" for one in text)
    return len(text) - 0.45 * sum(one in NARROW for one in text) + 0.4 * wide


def _place_of(check: Check, shown: Sequence[str]) -> str | None:
    """Return the view in whose column an expectation stands; None where it is not about what a view answers."""
    expected = check.expected
    of_answer = expected.score is None and expected.metric is None and expected.verdict is None
    view = expected.view
    if view == ViewName.EDITED and view not in shown:  # no edit is on: it is the base model
        view = ViewName.BASE
    return view if of_answer and view in shown else None


def _subject(check: Check) -> str:
    """Return whose expectation it is, where no column says so."""
    expected = check.expected
    return "" if expected.metric or expected.verdict else view_title(expected.view)


def _missing(step: Step, shown: Sequence[str], performing: bool) -> Sequence[str]:
    """Return the views whose answers are still to come."""
    if not performing or shown or not isinstance(step, Ask | Edit | Switch):
        return ()
    return (step.views if isinstance(step, Ask) else ()) or (ViewName.BASE, ViewName.EDITED)


def _scores(outcome: Outcome) -> list[tuple[str, list[tuple[str, str, str, int]]]]:
    """Return each kind of probe with (view, share, width of its bar in percent, number of prompts) of every view."""
    kinds = dict.fromkeys(name.removesuffix("_in").removesuffix("_out") for own in outcome.scores.values() for name in own)
    found = []
    for kind in kinds:
        bars = []
        for view in outcome.scores:
            total, number = outcome.tally(view, kind)
            bars.append((view, share(total / number), f"{100 * total / number:.1f}", number))
        found.append((kind, bars))
    return found


def _events(stage: Stage) -> list[tuple[int, str]]:
    """Return the latest events of the workspace: number, and who did what."""
    moments = history.timeline(stage.workspace)[-MOST_EVENTS:]
    text, you = _("{author} {change}"), _("You")
    return [(one.number, text.format(author=one.author or you, change=tell(one.text))) for one in moments]


def _end(stage: Stage, link: str) -> Markup:
    results = [result for result in stage.run.results if result is not None]
    checks = [check for result in results for check in result.checks]
    problems = sum(bool(result.problem) for result in results)
    text = words.end(len(checks), sum(check.met for check in checks), problems)
    return render("workshop/end.html", scenario=stage.scenario, text=text, link=link)
