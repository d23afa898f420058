"""`scenario`: list, check and run sequences of steps for an audience, each held against what it expects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from editlab.cli.ask import follow
from editlab.cli.terminal import Answer, Session, command
from editlab.errors import BadFile, EditLabError
from editlab.facts import FactBase
from editlab.lab import Job, Lab
from editlab.lab.scenarios import Library, Run, Scenario, StepResult, finish, read_scenario
from editlab.lab.scenarios import report as report_of
from editlab.probes import passages

app = typer.Typer(help="Scenarios: steps for an audience, and what each should show.", no_args_is_help=True)

Report = Annotated[Path | None, typer.Option(help="Write the report into this file, as HTML that opens without a network.")]
Which = Annotated[str, typer.Argument(help="The name of a scenario, or a file.")]
MARKS = {"met": "✓", "not met": "✗", "met anyway": "✗ also without the edit"}


@command(app, "list")
def list_all(session: Session) -> Answer:
    """List the scenarios, own ones last, with the models on which all their expectations were met."""
    found, faults = _library(session).read()
    if faults:
        session.errors.print("\n".join(faults), highlight=False)
    table = Table("name", "title", "steps", "tried on")
    for one in found:
        table.add_row(one.name, one.title, str(len(one.steps)), ", ".join(one.models))
    return Answer({"scenarios": [_described(one) for one in found]}, table)


@command(app, "check")
def check(session: Session, file: Annotated[Path, typer.Argument(help="The scenario's file.")]) -> Answer:
    """Check the form of a scenario without running it. A fault is named with its step and what to write instead."""
    found = read_scenario(file)
    return Answer(_described(found), f"{file}: {len(found.steps)} steps for {', '.join(found.models)}. Its form is right.")


@command(app, "run")
def run(session: Session, which: Which, report: Report = None) -> Answer:
    """Run a scenario and compare each outcome with what is expected; exit status 1 where an expectation is not met.

    An expectation that is also met without the edit counts as not met.
    """
    scenario, text = _chosen(session, which)
    if report is not None and (report.is_dir() or not report.absolute().parent.is_dir()):
        raise BadFile(f"{report} cannot be written. Give a file in a folder that exists.")
    model, presets = session.model(), session.settings.presets
    texts, facts = passages(model, presets / "texts"), FactBase.load(presets / "facts")
    lab = Lab(model, facts, texts, seed=session.settings.seed, settings=session.settings)
    try:
        performed = Run(lab, lab.workspace(""), scenario)
        results = []
        with session.progress() as progress:
            for place in range(len(performed.steps)):
                results.append(finish(performed.perform(place), lambda job: follow(job, progress)))
                if report is not None:
                    _look(session, performed, place, lambda job: follow(job, progress))
        if report is not None:
            _write(
                report, report_of(performed, text, bundled=which == scenario.name and not _library(session).is_own(which))
            )
    finally:
        lab.close()
    ok = all(result.ok for result in results)
    found = _described(scenario) | {"model": performed.model, "tried": performed.tried, "ok": ok}
    found |= {} if report is None else {"report": str(report)}
    shown = Group(*(_shown(result) for result in results), _end(performed, results))
    return Answer(found | {"steps": [_as_json(result) for result in results]}, shown, 0 if ok else 1)


def _library(session: Session) -> Library:
    return Library.of(session.settings.presets, session.settings.data)


def _chosen(session: Session, which: str) -> tuple[Scenario, str]:
    """Return the scenario of a file or a name, and its text."""
    if which.endswith(".toml"):
        return read_scenario(Path(which)), Path(which).read_text(encoding="utf-8")
    library = _library(session)
    return library.find(which), library.text(which)


def _look(session: Session, performed: Run, place: int, wait: Callable[[Job[Any]], object]) -> None:
    """Compute the picture of a step for the report; without one that cannot be computed it is written all the same."""
    try:
        finish(performed.picture(place), wait)
    except EditLabError as error:
        session.errors.print(f"Step {place + 1} has no picture: {error}", highlight=False)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadFile(f"{path} cannot be written: {error.strerror}. Give a file in a folder where you may write.") from error


def _described(scenario: Scenario) -> dict[str, Any]:
    fields = ("name", "title", "shows", "source", "models", "note")
    return {name: getattr(scenario, name) for name in fields} | {"steps": len(scenario.steps)}


def _as_json(result: StepResult) -> dict[str, Any]:
    """Return the result of a step as docs/interfaces.md writes it."""
    outcome = result.outcome
    return {
        "do": result.step.do,
        "ok": result.ok,
        "problem": result.problem,
        "asked": outcome.text,
        "answers": {view: outcome.answers[view] for view in outcome.shown if view in outcome.answers},
        "scores": {view: {name: total / n for name, (total, n) in own.items()} for view, own in outcome.scores.items()},
        "checks": [
            {"expected": str(one.expected), "verdict": one.verdict, "actual": one.actual, "contrast": one.contrast}
            for one in result.checks
        ],
        "seconds": result.seconds,
    }


def _shown(result: StepResult) -> RenderableType:
    """Return a step, what the views said, and each expectation beside what came."""
    step = result.step
    says = next((getattr(step, name) for name in ("text", "notice", "question", "to") if hasattr(step, name)), "")
    lines = [Text(f"{result.place + 1}. {step.do}: {result.outcome.text or says}", style="bold")]
    lines += [Text(f"   {view:<12}{' '.join(own['text'].split())}") for view, own in result.outcome.answers.items()]
    lines += [
        Text(
            f"   {MARKS[one.verdict]} {one.expected} | {one.actual}" + (f" | {one.contrast}" if one.contrast else ""),
            style="green" if one.met else "red",
        )
        for one in result.checks
    ]
    lines += [Text(f"   {result.problem}", style="red")] if result.problem else []
    return Group(*lines)


def _end(performed: Run, results: list[StepResult]) -> Text:
    """Return how many expectations were met."""
    checks = [one for result in results for one in result.checks]
    problems = sum(bool(result.problem) for result in results)
    told = f"{sum(one.met for one in checks)} of {len(checks)} expectations were met on {performed.model}"
    told += f", {problems} steps could not be performed" if problems else ""
    return Text(f"{told}." + ("" if performed.tried else " The scenario was not tried on this model before."))
