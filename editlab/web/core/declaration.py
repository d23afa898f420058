"""What a handler's signature declares: its components with their types, the button it belongs to, its cost, its permission.

    @handler(cost=PROBED)
    def change(self, visit: Visit, own: OwnProbes, pressed: PressedEdit, why: Reason) -> Updates: ...

Each parameter after `visit` names the component from which its value comes, with `_` for `-`. One that is an `Inputs` stands
for several; one that is a `Pressed` is the event of a button. Nothing else says which inputs a handler has: the wiring finds
the components, the firewall checks their values, and the tests try them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel, create_model
from pydantic.errors import PydanticSchemaGenerationError
from pydantic.fields import FieldInfo

from editlab.lab.access.limits import Cost
from editlab.web.core.inputs import Inputs, Pressed, Shape, shape_of
from editlab.web.core.visit import Visit

Refusal = str | Callable[..., str]
"""What a public demo refuses, as the beginning of a sentence; or a function of the handler's arguments that returns it."""


@dataclass(frozen=True)
class Input:
    """A component that a handler reads: its name, its type, and where the value goes."""

    component: str
    annotation: Any
    shape: Shape
    parameter: str
    field: str | None = None
    """The field of the parameter, where that is an `Inputs`."""


@dataclass(frozen=True)
class Declaration:
    """A handler's inputs in the order in which Gradio sends them, its button, its cost and its permission."""

    handler: str
    inputs: tuple[Input, ...]
    groups: Mapping[str, type[Inputs]]
    pressed: tuple[str, type[Pressed]] | None
    cost: Cost
    refused_in_demo: Refusal = ""

    @classmethod
    def of(cls, work: Callable[..., Any], cost: Cost, refused_in_demo: Refusal) -> Declaration:
        """Return what a handler declares. Raises `TypeError`, which names the parameter, for what cannot be checked."""
        if not isinstance(cost, Cost):
            raise TypeError(f"{work.__qualname__} states no cost. Declare it with @handler(cost=...).")
        hints = get_type_hints(work, include_extras=True)
        _, first, *parameters = inspect.signature(work).parameters.values()
        if hints.get(first.name) is not Visit:
            raise TypeError(f"{work.__qualname__}: the first parameter, {first.name}, is not a Visit.")
        inputs: list[Input] = []
        groups: dict[str, type[Inputs]] = {}
        pressed = None
        for parameter in parameters:
            name, where = parameter.name, f"{work.__qualname__}: the parameter {parameter.name}"
            if name not in hints or parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
                raise TypeError(f"{where} has no type, or is no plain parameter. Annotate what the page sends.")
            hint = hints[name]
            if _is(hint, Pressed):
                pressed = name, hint
            elif _is(hint, Inputs):
                groups[name] = hint
                inputs += [Input(*field, name, key) for key, field in _fields(hint, where).items()]
            else:
                inputs.append(Input(*_parameter(name, hint, where), name))
        if isinstance(refused_in_demo, str):
            cost = replace(cost, refused=refused_in_demo)
        return cls(work.__qualname__, tuple(inputs), groups, pressed, cost, refused_in_demo)

    def bind(self, values: Sequence[Any], event: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the handler's arguments by name. `values`: what the components sent, checked by the firewall already."""
        arguments: dict[str, Any] = {}
        fields: dict[str, dict[str, Any]] = {name: {} for name in self.groups}
        for input, value in zip(self.inputs, values, strict=True):
            value = Path(value) if value is not None and input.shape.kind == "file" else value
            if input.field is None:
                arguments[input.parameter] = value
            else:
                fields[input.parameter][input.field] = value
        arguments |= {name: group.model_construct(**fields[name]) for name, group in self.groups.items()}
        if self.pressed is not None:
            name, model = self.pressed
            arguments[name] = model.model_validate(dict(event or {}))
        return arguments

    def refusal(self, arguments: Mapping[str, Any]) -> str:
        """Return what a demo refuses of a call, as the beginning of a sentence; empty where it refuses nothing."""
        return self.refused_in_demo if isinstance(self.refused_in_demo, str) else self.refused_in_demo(**arguments)

    def texts(self, arguments: Mapping[str, Any]) -> list[str]:
        """Return every text of a call."""
        return [value for value in _scalars(arguments.values()) if isinstance(value, str)]


def _parameter(name: str, hint: Any, where: str) -> tuple[str, Any, Shape]:
    """Return (component, type, shape) of a parameter. Raises `TypeError`."""
    try:
        model = create_model("Parameter", **{name: (hint, ...)})
    except PydanticSchemaGenerationError:
        raise TypeError(f"{where} has a type that pydantic cannot check. Use one of web/core/inputs.py.") from None
    return _fields(model, where)[name]


def _is(hint: Any, kind: type) -> bool:
    return isinstance(hint, type) and issubclass(hint, kind)


def _fields(model: type[BaseModel], where: str) -> dict[str, tuple[str, Any, Shape]]:
    """Return (component, type, shape) of each field of a model. Raises `TypeError` for a type that cannot be checked."""
    found = {}
    for name, field in model.model_fields.items():
        annotation = _annotation(field)
        try:
            shape = shape_of(annotation)
        except TypeError as error:
            raise TypeError(f"{where}{f'.{name}' if issubclass(model, Inputs) else ''} {error}") from None
        found[name] = field.alias or name.replace("_", "-"), annotation, shape
    return found


def _annotation(field: FieldInfo) -> Any:
    """Return a field's type with its bounds and without its alias."""
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def _scalars(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, BaseModel):
            yield from _scalars(vars(value).values())
        else:
            yield value
