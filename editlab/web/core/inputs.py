"""The types of what the page sends. A handler's annotations use them; the firewall, the components and the tests read them.

A type says what is strictly accepted: a text of a bounded length, a number within bounds, a boolean, a choice, or a file.
`| None` is added where the page may send nothing, as an emptied number field does. `shape_of` refuses any other type, so
that Gradio receives checked scalars only.

    Question = Annotated[str, Field(max_length=2_000)]
    EditCount = Annotated[int, Field(ge=2, le=200)]
    Switch = Literal["off", "on"]

`Inputs` stands for several components, one a field. `Pressed` is the event of a button in our own HTML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from unittest.mock import patch

import gradio as gr
from gradio import component_meta
from gradio.components import Component
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator
from pydantic.alias_generators import to_camel
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError

LENGTHS = {
    "subject": 200,
    "prompt": 1000,
    "new object": 100,
    "true object": 100,
    "question": 2000,
    "reason": 300,
    "list of own probes": 4000,
}
"""Most characters of each text."""

Subject = Annotated[str, Field(max_length=LENGTHS["subject"])]
Prompt = Annotated[str, Field(max_length=LENGTHS["prompt"])]
Object = Annotated[str, Field(max_length=LENGTHS["new object"])]
Question = Annotated[str, Field(max_length=LENGTHS["question"])]
Reason = Annotated[str, Field(max_length=LENGTHS["reason"])]
Lines = Annotated[str, Field(max_length=LENGTHS["list of own probes"])]
Switch = Literal["off", "on"]
Name = Annotated[str, Field(max_length=100)]
"""A choice of a component whose choices change later, or a name that a visitor writes."""
ModelName = Annotated[str, Field(max_length=500)]
Id = Annotated[str, Field(max_length=200)]
"""A name that the page got from us and sends back: an edit's, a workspace's, a job's."""
Visitor = Annotated[str, Field(max_length=64)]
Place = Annotated[int, Field(ge=0, le=1_000_000)]
Scalar = str | bool | int | float | None


class Inputs(BaseModel):
    """Several components as one parameter of a handler: a subclass has a field for each.

    A field is named as its component, with `_` for `-`; where that does not fit, `Field(alias="the-elem-id")`.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False)


class OwnProbes(Inputs):
    """The visitor's own probes, one a line."""

    own_rephrases: Lines = ""
    own_neighbours: Lines = ""


class Pressed(BaseModel):
    """The event of a button in our own HTML: a subclass has a field for each of its `data-` attributes.

    Attributes are texts: "12" becomes 12 where the field is an `int`. `data-other-room` is the field `other_room`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, alias_generator=to_camel)

    @model_validator(mode="before")
    @classmethod
    def _texts_alone(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and not all(value is None or isinstance(value, str | int) for value in data.values()):
            raise ValueError("an attribute is a text")
        return data

    def sent(self) -> dict[str, str]:
        """Return the attributes as the button has them."""
        return {name: str(value) for name, value in self.model_dump(by_alias=True, exclude_none=True).items()}


class Meta(BaseModel):
    """The mark of a file in Gradio's data."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)

    kind: Literal["gradio.FileData"] = Field(alias="_type")


class File(BaseModel):
    """A file as the browser describes it. Only `path`, the name that the upload was given, is used."""

    model_config = ConfigDict(extra="forbid", strict=True)

    path: Annotated[str, Field(max_length=200)]
    meta: Meta
    url: Annotated[str, Field(max_length=2_000)] | None = None
    orig_name: Annotated[str, Field(max_length=300)] | None = None
    size: Annotated[int, Field(ge=0)] | None = None
    mime_type: Annotated[str, Field(max_length=200)] | None = None
    is_stream: Literal[False] = False


class _SentAsFile:
    """Lets pydantic check a `File` where a handler gets the path at which the firewall found it."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return handler.generate_schema(File)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "file"}


Upload = Annotated[Path, _SentAsFile()]
"""A file that the visitor chose: the firewall checks its description, the handler gets the path where it lies."""


class EventData(BaseModel):
    """What Gradio's page adds to an event whose handler does not ask for it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    value: Annotated[Scalar, Field(max_length=4_000)] | list[Annotated[str, Field(max_length=4_000)]] = None
    index: int | list[int] | None = None
    selected: bool | None = None
    row_value: None = None
    col_value: None = None


with patch.object(component_meta, "create_or_modify_pyi"):  # Gradio would write a stub file beside this one

    class Choices(gr.Dropdown):
        """A dropdown whose choices change later. Its handler, not Gradio, checks the choice."""

        is_template = True

        def preprocess(self, payload: str | int | None) -> str | int | None:
            """Return the choice unchecked."""
            return payload

    class Buttons(gr.Radio):
        """A row of radio buttons whose choices change later. Its handler, not Gradio, checks the choice."""

        is_template = True

        def preprocess(self, payload: str | None) -> str | None:
            """Return the choice unchecked."""
            return payload

    class Moments(gr.Slider):
        """A slider whose range changes later. Its handler, not Gradio, checks the value."""

        is_template = True

        def preprocess(self, payload: float | None) -> float | None:
            """Return the value unchecked."""
            return payload

    class FileButton(gr.UploadButton):
        """A button that uploads a file. Its handler gets the path that the firewall looked up, not what the browser says."""

        is_template = True

        @property
        def data_model(self) -> None:
            """Return None, so that Gradio does not take the value for a file that it should move."""
            return None

        @data_model.setter
        def data_model(self, value: Any) -> None:
            """Ignore what Gradio sets when the button is made."""

        def preprocess(self, payload: str | None) -> str | None:
            """Return the path."""
            return payload

        def postprocess(self, value: None) -> None:
            """Return None: no file leaves by this button."""
            return None


LATE = (Choices, Buttons, Moments)
"""Components whose choices or range change later: their type says alone what is accepted."""


@dataclass(frozen=True)
class Shape:
    """What a type accepts, as far as a component can show it. `kind`: text, number, integer, boolean or file."""

    kind: str
    choices: tuple[str, ...] | None = None
    longest: int | None = None
    least: float | None = None
    most: float | None = None
    optional: bool = False


KINDS = {"string": "text", "number": "number", "integer": "integer", "boolean": "boolean", "file": "file"}
"""The kinds of shapes by the names of JSON Schema."""


def shape_of(annotation: Any) -> Shape:
    """Return what a type accepts. Raises `TypeError` for one that is not a single scalar with bounds, or a file."""
    try:
        schema = TypeAdapter(annotation).json_schema()
    except (PydanticSchemaGenerationError, PydanticInvalidForJsonSchema):
        raise TypeError("has a type that pydantic cannot check. Use one of web/core/inputs.py.") from None
    parts = [_resolved(part, schema) for part in schema.get("anyOf", [schema])]
    values = [part for part in parts if part.get("type") != "null"]
    if len(values) != 1 or values[0].get("type") not in KINDS:
        raise TypeError("accepts several types, or any. Name one type, with `| None` where nothing may be sent.")
    (value,) = values
    choices = tuple(value["enum"]) if "enum" in value else (value["const"],) if "const" in value else None
    least, most = value.get("minimum"), value.get("maximum")
    shape = Shape(KINDS[value["type"]], choices, value.get("maxLength"), least, most, len(parts) > len(values))
    if shape.kind == "text" and choices is None and shape.longest is None:
        raise TypeError("is a text without max_length. Give it one.")
    if shape.kind in ("number", "integer") and None in (shape.least, shape.most):
        raise TypeError("is a number without bounds. Give it ge= and le=.")
    return shape


def _resolved(part: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a part of a JSON schema itself where it only refers to it."""
    name = part.get("$ref", "").removeprefix("#/$defs/")
    return schema["$defs"][name] if name else part


def check_fits(component: Component, annotation: Any) -> None:
    """Raise `TypeError` where a component can send what its handler's type refuses: a page must never do that."""
    shape = shape_of(annotation)
    if isinstance(component, LATE):
        return
    fits = {
        gr.Textbox: lambda: shape.kind == "text" and shape.choices is None and _most(component.max_length) <= shape.longest,
        gr.Checkbox: lambda: shape.kind == "boolean",
        gr.HTML: lambda: shape.kind == "text" and component.value in (shape.choices or (component.value,)),
        FileButton: lambda: shape.kind == "file",
        gr.Number | gr.Slider: lambda: _within(component, shape),
        gr.Radio | gr.Dropdown: lambda: {value for _, value in component.choices} <= set(shape.choices or ()),
    }
    check = next((check for kind, check in fits.items() if isinstance(component, kind)), None)
    if check is None or not check():
        raise TypeError(f"does not fit {name_of(component)}, which can send other values. Give both the same bounds.")
    if component.value is None and not shape.optional:
        raise TypeError(f"does not fit {name_of(component)}, which is empty at first. Give it a value, or add `| None`.")


def _most(bound: float | None) -> float:
    return float("inf") if bound is None else bound


def _within(component: gr.Number | gr.Slider, shape: Shape) -> bool:
    if shape.kind == "integer":
        whole = component.step == 1 if isinstance(component, gr.Slider) else component.precision == 0
    else:
        whole = shape.kind == "number"
    bounded = component.minimum is not None and component.maximum is not None
    return whole and bounded and component.minimum >= shape.least and component.maximum <= shape.most


def name_of(component: Component) -> str:
    """Return a component's name for messages."""
    return component.elem_id or type(component).__name__
