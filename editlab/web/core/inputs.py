"""The type of each input of the page, as its own components declare it, so that pydantic can check calls.

A component whose choices change later states its type itself: `Parts.add(..., takes=...)`. A page with an input of no known
type does not start.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from unittest.mock import patch

import gradio as gr
from gradio import component_meta
from gradio.components import Component
from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(max_length=100)]
ModelName = Annotated[str, Field(max_length=500)]
Visitor = Annotated[str, Field(max_length=64)]
Place = Annotated[int, Field(ge=0, le=1_000_000)]
LARGEST = 1e12
"""The largest number that a field without limits of its own accepts."""
Scalar = str | bool | int | float | None
Pressed = dict[Annotated[str, Field(pattern="^[a-z][A-Za-z]{0,23}$")], Annotated[str, Field(max_length=20_000)] | None]
"""The `data-` attributes of a button that was pressed inside an HTML part of the page."""


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


class EventData(BaseModel):
    """What Gradio's page adds to an event whose handler does not ask for it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    value: Annotated[Scalar, Field(max_length=4_000)] | list[Annotated[str, Field(max_length=4_000)]] = None
    index: int | list[int] | None = None
    selected: bool | None = None
    row_value: None = None
    col_value: None = None


def type_of(component: Component) -> Any:
    """Return the type that a component's value must have. Raises `TypeError` for a component without one."""
    stated = getattr(component, "takes", None)
    if stated is not None:
        return stated | None
    if isinstance(component, gr.BrowserState):
        return Visitor | None
    if isinstance(component, FileButton):
        return File | None
    if isinstance(component, gr.Checkbox):
        return bool | None
    if isinstance(component, gr.Number | gr.Slider):
        least = -LARGEST if component.minimum is None else component.minimum
        most = LARGEST if component.maximum is None else component.maximum
        return Annotated[int | float, Field(ge=least, le=most, allow_inf_nan=False)] | None
    if isinstance(component, gr.Textbox):
        if component.max_length is None:
            raise TypeError(f"{name_of(component)} has no max_length. Give it one.")
        return Annotated[str, Field(max_length=component.max_length)] | None
    if isinstance(component, gr.Radio | gr.Dropdown) and component.choices:
        return Literal[tuple(value for _, value in component.choices)] | None
    raise TypeError(f"{name_of(component)} has no type. State one: Parts.add(..., takes=TYPE).")


def name_of(component: Component) -> str:
    """Return a component's name for messages."""
    return component.elem_id or type(component).__name__
