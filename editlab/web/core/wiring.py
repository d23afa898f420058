"""From an event of the page to a handler and back: names become components, and Gradio's request becomes a `Visit`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gradio as gr
from gradio.components import Component

from editlab.web.core.components import Parts
from editlab.web.core.declaration import Declaration
from editlab.web.core.handlers import Handler
from editlab.web.core.inputs import Visitor, check_fits
from editlab.web.core.language import ENGLISH
from editlab.web.core.speaking import spoken
from editlab.web.core.updates import Update, Updates
from editlab.web.core.visit import Visit


def on(
    parts: Parts,
    trigger: Callable | Sequence[Callable],
    handler: Handler,
    **options: Any,
) -> None:
    """Let an event, or one of several, run a handler. Its inputs are those that its signature names; it may update any part.

    Raises `TypeError` where the page does not have such a component, or has one that can send what the handler refuses, and
    for a handler that is not declared.
    """
    declaration = getattr(handler, "declaration", None)
    if declaration is None:
        raise TypeError(f"{handler.__qualname__} states no cost. Declare it with @handler(cost=...).")
    inputs = [parts["visitor"], *_components(parts, declaration)]
    gr.on(
        trigger if callable(trigger) else list(trigger),
        _run(parts, handler, declaration),
        inputs=inputs,
        outputs=list(dict.fromkeys(parts.values())),
        api_name=handler.__name__,
        show_progress="hidden",
        concurrency_limit=None,
        **options,
    )


def _components(parts: Parts, declaration: Declaration) -> list[Component]:
    """Return the components that a handler names. Raises `TypeError`."""
    for input in declaration.inputs:
        where = f"{declaration.handler}: the parameter {input.parameter}"
        if input.component not in parts:
            raise TypeError(f"{where} names the component {input.component}, which this part of the page does not have.")
        try:
            check_fits(parts[input.component], input.annotation)
        except TypeError as error:
            raise TypeError(f"{where} {error}") from None
    return [parts[input.component] for input in declaration.inputs]


def _run(parts: Parts, handler: Handler, declaration: Declaration) -> Callable[..., Iterator[dict[Component, Any]]]:
    """Return a handler as Gradio runs it. Gradio adds what the signature asks for by its type."""
    lab = handler.__self__.lab

    def answer(request: gr.Request, updates: Updates) -> Iterator[dict[Component, Any]]:
        language = getattr(getattr(request, "state", None), "language", ENGLISH)
        return spoken(language, _by_components(parts, updates))

    def plain(request: gr.Request, visitor: Any, *values: Any) -> Iterator[dict[Component, Any]]:
        yield from answer(request, handler(Visit.of(lab, visitor, request), **declaration.bind(values)))

    def pressed(request: gr.Request, event: gr.EventData, visitor: Any, *values: Any) -> Iterator[dict[Component, Any]]:
        yield from answer(request, handler(Visit.of(lab, visitor, request), **declaration.bind(values, event._data)))

    run = plain if declaration.pressed is None else pressed
    run.cost, run.declaration = declaration.cost, declaration
    run.types = (Visitor | None, *(input.annotation for input in declaration.inputs))
    run.pressed = None if declaration.pressed is None else declaration.pressed[1]
    return run


def _by_components(parts: Parts, updates: Updates) -> Iterator[dict[Component, Any]]:
    """Yield updates by components, and a skip at the end.

    When a handler ends, Gradio sends its last values once more: a table would be drawn again while somebody opens a row of
    it, and what another handler has said meanwhile would be overwritten. A skip changes nothing, where an empty update
    would empty all outputs.
    """
    nothing = {list(parts.values())[-1]: gr.skip()}
    for named in updates:
        yield _by_component(parts, named) or nothing
    yield nothing


def _by_component(parts: Parts, update: Update) -> dict[Component, Any]:
    """Return an update by components, with what is mirrored at its second place as well."""
    update = update | {parts.mirrors[name]: value for name, value in update.items() if name in parts.mirrors}
    return {part: _as_update(part, value) for part, value in ((parts[name], value) for name, value in update.items())}


def _as_update(part: Component, value: Any) -> Any:
    """Return a value as Gradio 6.31 keeps it: a figure that comes while its part is folded is lost, an update is not."""
    return gr.update(value=value) if isinstance(part, gr.Plot) else value
