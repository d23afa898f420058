"""Somebody who touches the page, without a browser."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from editlab.lab import Lab, Workspace
from editlab.web.edit_handlers import EditHandlers

TIMEOUT = 60.0


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


class Visitor:
    """Calls handlers as the page does and keeps what the page would show."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab, self.name, self.handlers = lab, name, EditHandlers(lab)
        self.page: dict[str, Any] = {}
        self.enabled: dict[str, bool] = {}
        self.messages: list[str] = []

    @property
    def workspace(self) -> Workspace:
        return self.lab.workspace(self.name)

    def does(self, handler: str, *fields: Any, **url: str) -> dict[str, Any]:
        """Run a handler to its end; returns the page as it then stands."""
        for update in getattr(self.handlers, handler)(self.name, *fields, FakeRequest(self.name, url)):
            for name, value in update.items():
                if isinstance(value, dict):
                    self.enabled[name] = value["interactive"]
                else:
                    self.page[name] = value
            if "message" in update:
                self.messages.append(update["message"])
        return self.page

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
        return self.does("apply", method, subject, prompt, new, true)
