"""The settings of a method: each states its bounds, title and help at its field, and nowhere else.

A configuration is a frozen pydantic dataclass on top of `MethodSettings`. The page and the terminal ask for each field as
`describe` gives it, and may give numbers as text; a value that does not fit is a `BadRequest` with the setting's name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ArgsKwargs

from editlab.errors import BadRequest
from editlab.methods._after import After
from editlab.settings import MOST_SEED
from editlab.wording import noop

LARGEST = 1e6
"""Beyond it, a float32 computation only overflows."""
NO_OTHERS = ConfigDict(extra="forbid")


class MethodSettings:
    """What all configurations of methods have in common."""

    @model_validator(mode="wrap")
    @classmethod
    def _check(cls, given: Any, check: Any) -> Any:
        """Return the configuration. Raises `BadRequest` with the name of the setting that does not fit."""
        known = fields_of(cls)
        named = given.kwargs if isinstance(given, ArgsKwargs) else given
        for name, value in (named or {}).items():
            if isinstance(value, bool) and name in known and known[name].annotation in (int, float):
                raise _refusal(name, value, known[name])
        try:
            return check(given)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = str(first["loc"][0])
            if name not in known:
                raise BadRequest(f"There is no setting {name}. Choose one of: {', '.join(sorted(known))}.", name) from error
            raise _refusal(name, first["input"], known[name]) from error


@dataclass(frozen=True)
class Setting:
    """One setting as a page asks for it. `default` is a plain JSON value; no bound is "inf", layers are "1, 2"."""

    name: str
    title: str
    help: str
    kind: Literal["int", "float", "bool", "choice", "text"]
    choices: tuple[str, ...]
    default: Any


def fields_of(kind: type) -> Mapping[str, FieldInfo]:
    """Return the settings of a configuration by their names."""
    return kind.__pydantic_fields__


def describe(config: Any) -> tuple[Setting, ...]:
    """Return the settings of a configuration, its values as their defaults."""
    plain = as_json(config)
    return tuple(
        Setting(
            name,
            field.title or name,
            field.description or "",
            "choice" if (named := get_origin(field.annotation) is Literal) else _KINDS.get(field.annotation, "text"),
            get_args(field.annotation) if named else (),
            ", ".join(map(str, value)) if isinstance(value := plain[name], list) else value,
        )
        for name, field in fields_of(type(config)).items()
    )


def as_json(config: Any) -> dict[str, Any]:
    """Return a configuration as plain JSON values, from which the same one can be made again."""
    return {name: _plain(value) for name, value in asdict(config).items()}


_KINDS = {int: "int", float: "float", bool: "bool"}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _refusal(name: str, value: Any, field: FieldInfo) -> BadRequest:
    return BadRequest(f"{name} is {value!r:.80}. {_wanted(field)}", name)


def _wanted(field: FieldInfo) -> str:
    """Return the sentence that says what a setting can be."""
    parts = get_args(field.annotation)
    kinds, limits = (field.annotation, *parts), field.metadata
    if get_origin(field.annotation) is Literal:
        return noop(f"Choose one of: {', '.join(get_args(field.annotation))}.")
    if bool in kinds:
        return noop("Choose yes or no.")
    several = get_origin(field.annotation) is tuple
    if several and get_origin(parts[0]) is Annotated:
        limits = [bound for own in parts[0].__metadata__ for bound in own.metadata]
    bounds = {name: f"{getattr(bound, name):,.15g}" for bound in limits for name in _BOUNDS if hasattr(bound, name)}
    within = _within(bounds)
    if several:
        numbers = noop(f"Write numbers {within} with commas between them, as 1, 2.")
        return numbers if within else noop("Write numbers with commas between them, as 1, 2.")
    if not within:
        return noop("Write a whole number.") if int in kinds else noop("Write a number.")
    return noop(f"Write a whole number {within}.") if int in kinds else noop(f"Write a number {within}.")


def _within(bounds: Mapping[str, str]) -> str:
    """Return what the bounds of a number are."""
    match bounds:
        case {"ge": least, "le": most}:
            return noop(f"from {least} to {most}")
        case {"gt": least, "le": most}:
            return noop(f"above {least} and up to {most}")
    return " and ".join(_BOUNDS[name].format(n=bound) for name, bound in bounds.items())


_BOUNDS = {"ge": noop("of at least {n}"), "gt": noop("above {n}"), "le": noop("up to {n}"), "lt": noop("below {n}")}


def _layer_numbers(value: Any) -> Any:
    """Return the parts of a text such as "1, 2"."""
    return value.replace(",", " ").split() if isinstance(value, str) else value


# --- settings that several methods have -------------------------------------------------------------------------------

Layers = Annotated[
    tuple[int, ...],
    BeforeValidator(_layer_numbers),
    AfterValidator(lambda layers: tuple(sorted(set(layers)))),
    Field(title=noop("Layers")),
]
Steps = Annotated[
    int,
    Field(
        ge=1,
        le=1_000,
        title=noop("Steps"),
        description=noop("Most steps of the search for the value. More take longer and may give a likelier answer."),
    ),
]
LearningRate = Annotated[
    float,
    Field(
        gt=0,
        le=LARGEST,
        title=noop("Learning rate"),
        description=noop("Adam's learning rate for the value. Too high misses the answer, too low needs more steps."),
    ),
]
Weight = Annotated[float, Field(ge=0, le=LARGEST)]
"""How much a term of a loss counts."""
WeightDecay = Annotated[
    Weight,
    Field(
        title=noop("Weight decay"),
        description=noop("Weight of the length of the value's change in the loss. Higher: a weaker edit."),
    ),
]
Clamp = Annotated[float, Field(gt=0, le=LARGEST, title=noop("Clamp"))]
KlWeight = Annotated[
    Weight,
    Field(
        title=noop("KL weight"),
        description=noop("Weight, in the loss, of the change at the sentence '<subject> is a'. Higher: it changes less."),
    ),
]
StopBelow = Annotated[
    Weight,
    Field(
        title=noop("Stop below"),
        description=noop(
            "Loss, in nats per token, under which the search ends; 0 runs all steps. Lower: a likelier answer."
        ),
    ),
]
PlainBelow = Annotated[
    float,
    Field(
        ge=0,
        title=noop("Plain prompt below"),
        description=noop("The search goes on until the bare prompt's own loss, in nats per token, is under this as well."),
    ),
]
Contexts = Annotated[
    int,
    Field(
        ge=1,
        le=20,
        title=noop("Contexts"),
        description=noop("Number of texts in front of the prompt with which the value must hold too; fewer are faster."),
    ),
]
PromptForm = Annotated[
    Literal["plain", "chat"],
    Field(
        title=noop("Form"),
        description=noop("The prompt as plain text, or in the model's chat template, as it will be asked."),
    ),
]
Frame = Annotated[
    Literal["prompt", "plain"],
    Field(
        title=noop("Frame"),
        description=noop(
            "“New fact: …”, and the question behind “Prompt:”, as in-context editing has it; or the fact as a plain "
            "sentence right before the question, which small models avoid saying again."
        ),
    ),
]
Whiten = Annotated[
    bool,
    Field(
        strict=True,
        title=noop("Whiten"),
        description=noop(
            "Write along C⁻¹k, where the layer has key statistics C: keys that the model already uses are spared. "
            "Without it, other answers change more."
        ),
    ),
]
Project = Annotated[
    bool,
    Field(
        strict=True,
        title=noop("Project"),
        description=noop(
            "Write only in directions where the keys of text have next to nothing (AlphaEdit's projection). It needs key "
            "statistics."
        ),
    ),
]
Energy = Annotated[
    float,
    Field(
        ge=0,
        lt=1,
        title=noop("Energy left to write in"),
        description=noop(
            "Share of the keys' energy that the directions may hold which the projection leaves free. Higher: more room for "
            "edits, often less local."
        ),
    ),
]
Spare = Annotated[
    Weight,
    Field(
        title=noop("Spare earlier edits"),
        description=noop("How much the key of an earlier edit counts beside the mean key of text; 0: it is not spared."),
    ),
]
Anchor = Annotated[
    bool,
    Field(
        strict=True,
        title=noop("Anchor the norm"),
        description=noop(
            "Rescale each solved value to the length that it has in the unedited model, so that a chain of edits does not "
            "swell. It takes twice as long."
        ),
    ),
]
AfterSolving = Annotated[
    After,
    Field(
        title=noop("Afterwards"),
        description=noop(
            "What comes after the solve. rect: only the 40 % of entries stay that change their weight most. prune: singular "
            "values of all edits that are above the weight's largest are cut."
        ),
    ),
]
Seed = Annotated[
    int,
    Field(
        ge=0,
        le=MOST_SEED,
        title=noop("Seed"),
        description=noop("Seed of the contexts, which the model writes. The same seed gives the same edit."),
    ),
]
