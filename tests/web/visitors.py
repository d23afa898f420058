"""Somebody who touches the page, without a browser."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gradio.events import EventData

from editlab.facts import EditRequest
from editlab.lab import EditRecord, Lab, Workspace
from editlab.lab.asking import answers
from editlab.lab.workspaces import edits
from editlab.web.core.forms import settings_of
from editlab.web.core.handlers import Handlers
from editlab.web.core.visit import Visit
from editlab.web.edit.ask_handlers import AskHandlers
from editlab.web.edit.handlers import EditHandlers

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
    handler, request = getattr(handlers, name), FakeRequest(visitor, url, user)
    if hasattr(handler, "declaration"):
        return handler(Visit.of(handlers.lab, visitor, request), *fields)
    return handler(visitor, *fields, request)  # until all tabs are converted


class Visitor:
    """Calls handlers as the page does and keeps what the page would show."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab, self.name = lab, name
        self.handlers, self.asking = EditHandlers(lab), AskHandlers(lab)
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
        asks = hasattr(self.asking, handler) and not hasattr(self.handlers, handler)
        own = () if asks or handler == "stop" else self.own
        for update in runs(self.asking if asks else self.handlers, handler, self.name, *own, *fields, **url):
            for name, value in update.items():
                if not isinstance(value, dict):
                    self.page[name] = value
                elif "interactive" in value:
                    self.enabled[name] = value["interactive"]
                else:
                    self.page |= {f"{name}.{key}": part for key, part in value.items()}
            self.messages += [update[name] for name in ("message", "progress") if name in update]
        return self.page

    @property
    def settings(self) -> list[Any]:
        """All methods' settings as the page shows them: the presets', but for those that were changed."""
        return [self.changed.get(f"{m}-{s.name}", s.default) for m, s in settings_of(self.lab.methods())]

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
        return self.does("apply", method, self.rep, subject, prompt, new, true, *self.settings, self.why)

    def presses(self, handler: str, **button: Any) -> dict[str, Any]:
        """Press a button inside a part of the page: its `data-` attributes are the fields."""
        return self.does(handler, *([self.rep] if handler == "change" else []), EventData(None, button))


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

    def draws(self, section: str) -> bool:
        """Whether a section's figure is shown."""
        return self.page.get(f"{self.tab}-{section}-plot") is not None
