"""Somebody who touches the page, without a browser."""

import inspect
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from editlab.facts import EditRequest
from editlab.lab import EditRecord, Lab, Workspace
from editlab.lab.asking import answers
from editlab.lab.workspaces import edits
from editlab.web.core.handlers import Handler, Handlers
from editlab.web.core.inputs import OwnProbes, Pressed
from editlab.web.core.turns import Turns
from editlab.web.core.updates import Updates
from editlab.web.core.visit import Visit
from editlab.web.edit.display import Display
from editlab.web.edit.file_handlers import FileHandlers
from editlab.web.edit.handlers import EditHandlers, RequestFields
from editlab.web.edit.question_handlers import QuestionHandlers
from editlab.web.edit.report_handlers import ReportHandlers

TIMEOUT = 60.0
CONTINENT = EditRequest("{} belongs to the continent of", "Slovenia", "Antarctica", "Europe")
CAPITAL = EditRequest("The capital of {} is", "Japan", "Berlin", "Tokyo")


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.005)


@dataclass
class FakeRequest:
    """What handlers read of `gr.Request`."""

    session_hash: str
    query_params: dict[str, str] = field(default_factory=dict)
    username: str | None = None
    client: None = None


def runs(handlers: Handlers, name: str, visitor: str, *fields: Any, user: str | None = None, **url: str) -> Any:
    """Run a handler as the wiring does, with what a visitor's page sends."""
    return getattr(handlers, name)(Visit.of(handlers.lab, visitor, FakeRequest(visitor, url, user)), *fields)


def accepts(handler: Handler, component: str, value: Any) -> bool:
    """Whether the page may send a component's value to a handler; the firewall refuses any other."""
    annotation = next(input.annotation for input in handler.declaration.inputs if input.component == component)
    try:
        TypeAdapter(annotation).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


class Visitor:
    """Calls handlers as the page does and keeps what the page would show."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab, self.name = lab, name
        display = Display(lab, Turns())
        self.handlers: Handlers = EditHandlers(lab, display)
        self.others: tuple[Handlers, ...] = (QuestionHandlers(lab), FileHandlers(lab, display), ReportHandlers(lab))
        self.own: tuple[Any, Any] = ("", "")
        self.rep, self.why = "off", ""
        self.changed: dict[str, Any] = {}
        self.page: dict[str, Any] = {}
        self.enabled: dict[str, bool] = {}
        self.messages: list[str] = []

    @property
    def workspace(self) -> Workspace:
        return self.lab.workspace(self.name)

    def does(self, handler: str, *fields: Any, **url: str) -> dict[str, Any]:
        """Run a handler to its end; returns the page as it then stands."""
        for update in self.updates_of(handler, *fields, **url):
            for name, value in update.items():
                if not isinstance(value, dict):
                    self.page[name] = value
                elif "interactive" in value:
                    self.enabled[name] = value["interactive"]
                else:
                    self.page |= {f"{name}.{key}": part for key, part in value.items()}
            self.messages += [update[name] for name in ("message", "progress") if name in update]
        return self.page

    def updates_of(self, handler: str, *fields: Any, **url: str) -> Updates:
        """The updates of a handler, with what the visitor's page sends."""
        handlers = self.handlers_of(handler)
        return runs(handlers, handler, self.name, *self.given(getattr(handlers, handler), *fields), **url)

    def handlers_of(self, handler: str) -> Handlers:
        return next(handlers for handlers in (self.handlers, *self.others) if hasattr(handlers, handler))

    def given(self, handler: Handler, *fields: Any) -> list[Any]:
        """A handler's arguments: `fields` in their order, and between them what the visitor's page holds anyway."""
        left, names = list(fields), list(inspect.signature(handler).parameters)[1:]
        kept = {
            "own": OwnProbes.model_construct(own_rephrases=self.own[0], own_neighbours=self.own[1]),
            "rep": self.rep,
            "why": self.why,
            "settings": self.settings,
        }
        return [kept[name] if name in kept else left.pop(0) for name in names]

    @property
    def settings(self) -> str:
        """The settings that were changed, as the page sends them."""
        changes: dict[str, dict[str, Any]] = {}
        for name, value in self.changed.items():
            method, _, setting = name.rpartition("-")
            changes.setdefault(method, {})[setting] = value
        return json.dumps(changes)

    def can(self, *names: str) -> list[bool]:
        """Whether each of these buttons can be pressed."""
        return [self.enabled[name] for name in names]

    def applies(
        self,
        subject: Any = "Slovenia",
        prompt: Any = "{} belongs to the continent of",
        new: Any = "Antarctica",
        true: Any = "Europe",
        method: Any = "rome",
    ) -> dict[str, Any]:
        return self.does("apply", method, self.request(subject, prompt, new, true))

    @property
    def slovenia(self) -> RequestFields:
        """The fields of the first example."""
        return self.request(CONTINENT.subject, CONTINENT.prompt, CONTINENT.target_new, CONTINENT.target_true)

    def request(self, subject: Any, prompt: Any, new: Any, true: Any) -> RequestFields:
        """The fields of a request, whatever they hold."""
        return RequestFields.model_construct(subject=subject, prompt=prompt, target_new=new, target_true=true)

    def presses(self, handler: str, **button: Any) -> dict[str, Any]:
        """Press a button inside a part of the page: its `data-` attributes are the fields."""
        return self.does(handler, self.button(handler, **button))

    def button(self, handler: str, **button: Any) -> Pressed:
        """The event of a button, as the handler that it runs declares it."""
        _, model = getattr(self.handlers_of(handler), handler).declaration.pressed
        return model.model_validate(button)


class Reader:
    """Somebody who looks at a tab of pictures, whose parts are called `tab`-section."""

    def __init__(self, handlers: Handlers, name: str, tab: str) -> None:
        self.handlers, self.lab, self.name, self.tab = handlers, handlers.lab, name, tab
        self.page: dict[str, Any] = {}
        self.seen: list[dict[str, Any]] = []

    @property
    def workspace(self) -> Workspace:
        return self.lab.workspace(self.name)

    def applies(self, request: EditRequest = CONTINENT, method: str = "rome") -> EditRecord:
        return edits.apply(self.workspace, request, method).result(TIMEOUT)

    def looks_at(self, request: EditRequest) -> None:
        answers.look(self.workspace, request).result(TIMEOUT)

    def does(self, handler: str, *fields: Any) -> dict[str, Any]:
        """Run a handler to its end; returns the page as it then stands."""
        self.seen = []
        for update in runs(self.handlers, handler, self.name, *fields):
            self.seen.append(update)
            self.page |= update
        return self.page

    def says(self, section: str) -> str:
        """A section's sentence without its tags."""
        return re.sub(r"<[^>]+>", "", self.page[f"{self.tab}-{section}"]).replace("\N{NO-BREAK SPACE}", " ")

    def figure(self, section: str) -> Any:
        """A section's figure: in its fold, or, of the section that leads, above the folds alone; None where it has none."""
        leads = "large one of this tab" in self.page.get(f"{self.tab}-{section}", "")
        own = self.page.get(f"{self.tab}-{section}-plot")
        assert not (leads and own), f"{section} is drawn twice"
        return self.page[f"{self.tab}-lead-plot"] if leads else own

    def draws(self, section: str) -> bool:
        """Whether a section's figure is shown."""
        return self.figure(section) is not None
