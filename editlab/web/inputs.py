"""Which type each input of the page is, told by the page's own components, so that pydantic can check it.

A component that other choices are given later says its type itself: `Parts.add(..., takes=...)`. What is none of these types
does not start.
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
"""A number beyond it is none that anybody types."""
Scalar = str | bool | int | float | None
Pressed = dict[Annotated[str, Field(pattern="^[a-z][A-Za-z]{0,23}$")], Annotated[str, Field(max_length=20_000)] | None]
"""The `data-` attributes of a button that was pressed inside a part of the page."""


with patch.object(component_meta, "create_or_modify_pyi"):  # Gradio would write a stub file beside this one

    class Choices(gr.Dropdown):
        """A dropdown that is given other choices later. Its handler, not Gradio, says what it can do with a choice."""

        is_template = True

        def preprocess(self, payload: str | int | None) -> str | int | None:
            """Hand the choice on."""
            return payload

    class Buttons(gr.Radio):
        """The same as a row of buttons."""

        is_template = True

        def preprocess(self, payload: str | None) -> str | None:
            """Hand the choice on."""
            return payload

    class Moments(gr.Slider):
        """A slider that is given another end later. Its handler, not Gradio, says where it can stand."""

        is_template = True

        def preprocess(self, payload: float | None) -> float | None:
            """Hand the place on."""
            return payload

    class FileButton(gr.UploadButton):
        """A button that sends a file. Its handler is given the path, which the firewall has looked up, not the browser."""

        is_template = True

        @property
        def data_model(self) -> None:
            """None, so that nothing of Gradio's takes the value for a file that is to be moved."""
            return None

        @data_model.setter
        def data_model(self, value: Any) -> None:
            """Change nothing: Gradio sets it when the button is made."""

        def preprocess(self, payload: str | None) -> str | None:
            """Hand the path on."""
            return payload

        def postprocess(self, value: None) -> None:
            """No file leaves by this button."""
            return None


class Meta(BaseModel):
    """What marks a file in Gradio's data."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)

    kind: Literal["gradio.FileData"] = Field(alias="_type")


class File(BaseModel):
    """A file as the browser names it; only `path`, what it was called when it was sent, is looked at."""

    model_config = ConfigDict(extra="forbid", strict=True)

    path: Annotated[str, Field(max_length=200)]
    meta: Meta
    url: Annotated[str, Field(max_length=2_000)] | None = None
    orig_name: Annotated[str, Field(max_length=300)] | None = None
    size: Annotated[int, Field(ge=0)] | None = None
    mime_type: Annotated[str, Field(max_length=200)] | None = None
    is_stream: Literal[False] = False


class Told(BaseModel):
    """What Gradio says of an event that its handler does not ask about."""

    model_config = ConfigDict(extra="forbid", strict=True)

    value: Annotated[Scalar, Field(max_length=4_000)] | list[Annotated[str, Field(max_length=4_000)]] = None
    index: int | list[int] | None = None
    selected: bool | None = None
    row_value: None = None
    col_value: None = None


def type_of(component: Component) -> Any:
    """Return the type that a component's value must have. Raises `TypeError` for a component of which none is known."""
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
            raise TypeError(f"{name_of(component)} says no max_length. Give it one.")
        return Annotated[str, Field(max_length=component.max_length)] | None
    if isinstance(component, gr.Radio | gr.Dropdown) and component.choices:
        return Literal[tuple(value for _, value in component.choices)] | None
    raise TypeError(f"{name_of(component)} may be anything. Say what: Parts.add(..., takes=TYPE).")


def name_of(component: Component) -> str:
    """Return what a component is called."""
    return component.elem_id or type(component).__name__
