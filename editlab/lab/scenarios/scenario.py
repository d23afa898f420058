"""Scenarios: sequences of steps for an audience, written as TOML and checked before anything runs."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from editlab.errors import BadFile
from editlab.lab.scenarios.expect import Expect
from editlab.lab.scenarios.part import Name, Part, Sentence
from editlab.lab.scenarios.steps import STEPS, Asking, Fact, Guess, Step
from editlab.wording import join, noop, shorten

MOST_STEPS = 100
PYDANTIC = (
    noop("Input should be a valid {kind}"),
    noop("Input should be greater than or equal to {least}"),
    noop("Input should be less than or equal to {most}"),
    noop("String should have at least {least} character"),
    noop("String should have at most {most} characters"),
    noop("Tuple should have at least {least} items after validation, not {n}"),
    noop("Tuple should have at most {most} items after validation, not {n}"),
)
"""What pydantic says of a field, for the page's languages."""
LONGEST_FILE = 200_000
"""Most characters of a scenario's file."""


class Scenario(Part):
    """A sequence of steps. `name`: of its file; the lowest `place` comes first.

    `shows`: in one sentence, what it shows; `source`: the paper. `models`: those on which every expectation was met, by the
    names of their presets; a model that is not among them gets the steps of the first. `note`: what to know before it runs.
    """

    name: Name
    place: int = 1_000
    title: Annotated[Sentence, Field(max_length=80)]
    shows: Sentence
    source: Sentence
    models: Annotated[tuple[Name, ...], Field(min_length=1)]
    note: str = ""
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=MOST_STEPS)]

    @model_validator(mode="after")
    def _fits_together(self) -> Scenario:
        for number, step in enumerate(self.steps, start=1):
            for part in (step, *_expectations(step)):
                if unknown := [name for name in part.only if name not in self.models]:
                    raise ValueError(noop(f"step {number} is only for {unknown[0]!r}: add that to the models"))
        for model in self.models:
            steps = self.for_model(model)
            if not steps:
                raise ValueError(noop(f"no step is for {model}: add one, or take {model} from the models"))
            if isinstance(steps[-1], Guess):
                raise ValueError(noop(f"on {model} the last step is a guess, which nothing answers: add a step behind it"))
        return self

    def for_model(self, model: str) -> tuple[Step, ...]:
        """Return the steps for a model, each with the expectations that hold on it."""
        tried = model if model in self.models else self.models[0]
        return tuple(_held(step, tried) for step in self.steps if step.holds_on(tried))


def _held(step: Step, model: str) -> Step:
    """Return a step with those of its expectations that hold on a model."""
    kept = tuple(one for one in _expectations(step) if one.holds_on(model))
    return step if len(kept) == len(_expectations(step)) else step.model_copy(update={"expect": kept})


def _expectations(step: Step) -> tuple[Expect, ...]:
    return step.expect if isinstance(step, Asking) else ()


def read_scenarios(folder: Path) -> tuple[Scenario, ...]:
    """Return the scenarios of a folder, in order. Raises `BadFile`, which names the file, the step and the fault."""
    return tuple(sorted(map(read_scenario, folder.glob("*.toml")), key=lambda one: (one.place, one.name)))


def read_scenario(path: Path) -> Scenario:
    """Return the scenario of a file. Raises `BadFile` as `read_scenarios` does."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadFile(f"{path} is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from error
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}. Give the path of a scenario.") from error
    return parse_scenario(text, path.stem, str(path))


def parse_scenario(text: str, name: str, file: str = "") -> Scenario:
    """Return the scenario of a text. Raises `BadFile`, which names the file, the step and what to write instead."""
    file = file or f"{name}.toml"
    if len(text) > LONGEST_FILE:
        raise BadFile(f"{file} has {len(text):,} characters; a scenario has at most {LONGEST_FILE:,}. Shorten it.")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadFile(f"{file} is not TOML: {error}. Correct that line.") from error
    try:
        return Scenario.model_validate({**table, "name": name})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place, fault = _place(file, first["loc"], table), _fault(first)
        raise BadFile(f"{place}: {fault}.") from error


def _place(file: str, loc: tuple[int | str, ...], table: dict[str, object]) -> str:
    """Return where a fault is: "my.toml, step 3 (ask), expectation 1, field view"."""
    place, rest = file, [*loc]
    steps = table.get("steps")
    if len(rest) > 1 and rest[0] == "steps" and isinstance(rest[1], int) and isinstance(steps, list):
        _, number, *rest = rest
        step = steps[number]
        kind = step.get("do") if isinstance(step, dict) else None
        place = noop(f"{place}, step {number + 1} ({kind})") if kind in STEPS else noop(f"{place}, step {number + 1}")
        rest = rest[1:] if rest and rest[0] == kind else rest
    match rest:
        case ["expect", int(number), *rest]:
            place = noop(f"{place}, expectation {number + 1}")
        case ["also", int(number), *rest]:
            place = noop(f"{place}, edit {number + 1}")
    names = [str(part) for part in rest if not isinstance(part, int)]
    return noop(f"{place}, field {names[0]}") if names else place


def _fault(error: ErrorDetails) -> str:
    """Return what is wrong and what to write instead, without a stop."""
    context, given = error.get("ctx", {}), shorten(repr(error["input"]), 80)
    match error["type"]:
        case "missing":
            return noop("it is missing. Add it")
        case "extra_forbidden":
            return noop(f"there is no such field. {_fields(error)}")
        case "union_tag_not_found":
            return noop(f"the step does not say what to do. Add do = with one of: {', '.join(STEPS)}")
        case "union_tag_invalid":
            return noop(f"{context['tag']!r} is no kind of step. Write do = with one of: {', '.join(STEPS)}")
        case "literal_error" | "enum":
            return noop(f"{given} does not fit. Write {context['expected']}")
        case "value_error":
            return str(context["error"]).rstrip(".")
    return noop(f"{error['msg']}, not {given}. Change it")


def _fields(error: ErrorDetails) -> str:
    """Return which fields there are in place of an unknown one."""
    *where, _ = error["loc"]
    part: type[Part] = Scenario
    if "expect" in where:
        part = Expect
    elif len(where) > 2:
        part = Fact if "also" in where else STEPS[str(where[2])]
    names = [field.alias or name for name, field in part.model_fields.items()]
    return noop(f"Remove it, or write one of: {join(sorted(names))}")
