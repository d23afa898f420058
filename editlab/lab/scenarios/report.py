"""The report of a scenario, played or half played: each step with what was expected and what came, as one HTML file.

It opens without a network, as the report of an edit does, whose styles and scripts it takes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from shlex import quote

from editlab.errors import BadFile
from editlab.exports.report import ENVIRONMENT, as_json, frame, kind_name
from editlab.facts.script import bare
from editlab.figures.language import gettext as _
from editlab.figures.language import ngettext
from editlab.lab.scenarios.expect import Check, clause
from editlab.lab.scenarios.outcome import Outcome
from editlab.lab.scenarios.run import Run, StepResult
from editlab.lab.scenarios.scenario import parse_scenario
from editlab.lab.scenarios.steps import Step
from editlab.probes import KINDS


@dataclass(frozen=True)
class Told:
    """One step as the template takes it.

    `state`: "left out", "not played" or ""; `guessed`: what was chosen; `figure`: its id.
    """

    number: int
    step: Step
    state: str
    result: StepResult | None
    guessed: str
    figure: str

    @property
    def outcome(self) -> Outcome:
        """What came of it; empty where it was not performed."""
        return Outcome() if self.result is None else self.result.outcome

    @property
    def answers(self) -> list[tuple[str, str, str, list[tuple[str, float]]]]:
        """Of each view that is shown: its name, the answer, the text, and the objects with their probabilities."""
        own = self.outcome
        objects = {"p_new": own.request and own.request.target_new, "p_true": own.request and own.request.target_true}
        found = []
        for view in own.shown:
            if view in own.answers:
                answer, text = own.answers[view], " ".join(own.answers[view]["text"].split())
                known = [(bare(name), answer[key]) for key, name in objects.items() if name and answer.get(key) is not None]
                found.append((view, clause(text), text, known))
        return found

    @property
    def scores(self) -> list[tuple[str, str, dict[str, tuple[float, int]]]]:
        """Of each kind of probe: its name, its meaning, and by view the sum and the number of prompts."""
        tallies = self.outcome.scores
        found = []
        for name in dict.fromkeys(name for own in tallies.values() for name in own):
            kind, _dash, half = name.rpartition("_") if name.endswith(("_in", "_out")) else (name, "", "")
            by_view = {view: own[name] for view, own in tallies.items() if name in own}
            found.append((kind_name(kind, half), _(KINDS[kind]), by_view))
        return found

    @property
    def checks(self) -> list[tuple[str, Check]]:
        """Each expectation with the view of which it is, "" where it is of none."""
        found = () if self.result is None else self.result.checks
        return [("" if one.expected.metric or one.expected.verdict else one.expected.view, one) for one in found]


def report(
    run: Run, text: str, bundled: bool, left_out: Collection[int] = (), guessed: Mapping[int, str] | None = None
) -> str:
    """Return the report of a run as HTML.

    `text`: the scenario's file; `bundled`: whether every EditLab has it; `left_out`: places that were passed over;
    `guessed`: what was chosen at a guess, by place.
    """
    told = [
        Told(
            place + 1,
            step,
            "left out" if place in left_out else "" if result is not None else "not played",
            result,
            (guessed or {}).get(place, ""),
            f"figure-{place + 1}" if place in run.pictures else "",
        )
        for place, (step, result) in enumerate(zip(run.steps, run.results, strict=True))
    ]
    pictures = {f"figure-{place + 1}": figure for place, figure in run.pictures.items()}
    context = run.workspace.context
    return ENVIRONMENT.get_template("scenario.html").render(
        **frame(context.model, context.seed, pictured=bool(pictures)),
        scenario=run.scenario,
        tried=run.tried,
        told=told,
        summary=_summary(told),
        good=all(one.result is not None and one.result.ok for one in told),
        text=text if _is_of(run, text) else "",
        command=f"editlab scenario run {quote(run.scenario.name + '.toml' * (not bundled))}",
        bundled=bundled,
        data={name: as_json(figure) for name, figure in pictures.items()},
        verdicts={"met": f"✓ {_('met')}", "not met": f"✗ {_('not met')}", "met anyway": f"≈ {_('met anyway')}"},
    )


def _summary(told: list[Told]) -> str:
    """Return how the scenario went."""
    checks = [check for one in told for _view, check in one.checks]
    problems = sum(one.result is not None and bool(one.result.problem) for one in told)
    met = sum(check.met for check in checks)
    text = ngettext("{met} of {n} expectation met", "{met} of {n} expectations met", len(checks))
    parts = [text.format(met=met, n=len(checks)) if checks else _("Nothing was expected")]
    numbers = [sum(one.state == state for one in told) for state in ("left out", "not played")]
    for number, text in (
        (problems, ngettext("{n} step could not be performed", "{n} steps could not be performed", problems)),
        (numbers[0], ngettext("{n} step left out", "{n} steps left out", numbers[0])),
        (numbers[1], ngettext("{n} step not played", "{n} steps not played", numbers[1])),
    ):
        parts += [text.format(n=number)] if number else []
    return ", ".join(parts) + "."


def _is_of(run: Run, text: str) -> bool:
    """Return whether a file is still that of the scenario that was played."""
    try:
        return bool(text) and parse_scenario(text, run.scenario.name) == run.scenario
    except BadFile:
        return False
