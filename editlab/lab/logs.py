"""What EditLab writes to standard error while it runs: one line an event, without anything that people typed.

An event is a dictionary: `log.info({"event": "job", "kind": "edit", ...})`. Of an error it says where it arose, and its text
only where prompts may be logged, for a text can quote one.
"""

from __future__ import annotations

import logging
import sys
import traceback
from types import TracebackType
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from editlab.settings import Settings

FIELDS = ("levelname", "name", "message")
NAMES = {"levelname": "level", "name": "logger"}

ErrorInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def set_up(settings: Settings) -> None:
    """Log to standard error, as the settings say."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(settings))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)  # what libraries have to say
    logging.getLogger("editlab").setLevel(settings.log_level.upper())


def formatter(settings: Settings) -> logging.Formatter:
    """How a line is written."""
    made: logging.Formatter
    if settings.log_json:
        made = _Objects(FIELDS, rename_fields=NAMES, timestamp="at", json_ensure_ascii=False)
    else:
        made = _Lines("%(asctime)s %(levelname)s %(message)s")
    if not settings.log_prompts:
        made.formatException = _place  # type: ignore[method-assign]
    return made


class _Objects(JsonFormatter):
    """An event as one JSON object; what is no event has a `message`."""

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in super().process_log_record(log_data).items() if value != ""}


class _Lines(logging.Formatter):
    """An event as `job kind=edit state=done`."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        if isinstance(record.msg, dict):
            fields = dict(record.msg)
            record.message = " ".join([str(fields.pop("event", "")), *(f"{name}={value}" for name, value in fields.items())])
        return super().formatMessage(record)


def _place(info: ErrorInfo) -> str:
    """Where an error arose and of which kind it is."""
    kind, _, trace = info
    return "".join([*traceback.format_tb(trace), kind.__name__ if kind is not None else ""])
