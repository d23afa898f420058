"""From an event of the page to a handler and back: names become components, and what Gradio adds is asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from inspect import signature
from typing import Any

import gradio as gr
from gradio.components import Component

from editlab.lab.access.limits import Cost
from editlab.web.core.components import Parts
from editlab.web.core.handlers import Handler


def on(
    parts: Parts,
    trigger: Callable | list[Callable],
    handler: Handler,
    inputs: list[Component],
    **options: Any,
) -> None:
    """Let an event run a handler, which gets the visitor first and may update any of the parts.

    Raises `TypeError` for a handler without a cost.
    """
    if not isinstance(getattr(handler, "cost", None), Cost):
        raise TypeError(f"{handler.__qualname__} states no cost. Declare it with @handler(Cost(...)).")
    gr.on(
        trigger,
        _as_components(handler, parts),
        inputs=[parts["visitor"], *inputs],
        outputs=list(dict.fromkeys(parts.values())),
        api_name=handler.__name__,
        show_progress="hidden",
        concurrency_limit=None,
        **options,
    )


def _as_components(handler: Handler, parts: Parts) -> Handler:
    """The same handler as Gradio wants it: components instead of names in its updates, what Gradio adds in front.

    Gradio adds what the signature asks for by its type, so a handler of pressed buttons gets a signature of its own.
    """

    def updates(*inputs: Any) -> Iterator[dict[Component, Any]]:
        for update in handler(*inputs):
            yield {parts[name]: value for name, value in update.items()}

    def plain(request: gr.Request, *inputs: Any) -> Iterator[dict[Component, Any]]:
        yield from updates(*inputs, request)

    def pressed(request: gr.Request, event: gr.EventData, *inputs: Any) -> Iterator[dict[Component, Any]]:
        yield from updates(*inputs, event, request)

    takes_event = "event" in signature(handler).parameters
    wired = pressed if takes_event else plain
    wired.cost, wired.pressed = handler.cost, takes_event
    return wired


def mirrored(handler: Handler, places: Mapping[str, str]) -> Handler:
    """The same handler, of whose updates some are shown at a second place as well: `{name: name of the other part}`."""

    @functools.wraps(handler)
    def wrapper(*inputs: Any) -> Iterator[dict[str, Any]]:
        for update in handler(*inputs):
            yield update | {places[name]: value for name, value in update.items() if name in places}

    return wrapper
