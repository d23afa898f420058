"""The log on standard error: one line an event, without anything that visitors typed.

An event is a dictionary: `log.info({"event": "job", "kind": "edit", ...})`. An error is logged with the place where it was
raised; its text, which can quote a prompt, only where prompts may be logged. Messages of libraries are logged without their
values, and instead of what they print, the place where they print. The same warning or error is written once a minute, so
that a repeated fault does not fill the disk.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
import time
import traceback
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from types import TracebackType
from typing import Any, TextIO

from pythonjsonlogger.json import JsonFormatter

from editlab.settings import Settings

FIELDS = ("levelname", "name", "message")
NAMES = {"levelname": "level", "name": "logger"}
OURS = "editlab"
AGAIN_SECONDS, MOST_KNOWN = 60.0, 1_000
"""The time until the same warning is written again, and how many different ones are remembered."""

ErrorInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

log = logging.getLogger(__name__)


def set_up(settings: Settings) -> None:
    """Log to standard error, as the settings say."""
    root = logging.getLogger()
    root.handlers = [handler(settings, sys.stderr)]
    root.setLevel(logging.WARNING)  # of libraries
    logging.getLogger(OURS).setLevel(settings.log_level.upper())


def handler(settings: Settings, stream: TextIO) -> logging.Handler:
    """Return a handler that writes to a stream, as the settings say."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(settings))
    if not settings.log_prompts:
        handler.addFilter(remove_values)
    handler.addFilter(OnceAMinute())
    return handler


def formatter(settings: Settings) -> logging.Formatter:
    """Return a formatter that writes a record as one line of text or of JSON."""
    formatter: logging.Formatter
    if settings.log_json:
        formatter = _JsonLines(FIELDS, rename_fields=NAMES, timestamp="at", json_ensure_ascii=False)
    else:
        formatter = _TextLines("%(asctime)s %(levelname)s %(message)s")
    if not settings.log_prompts:
        formatter.formatException = _format_place  # type: ignore[method-assign]
    return formatter


@contextmanager
def silence(settings: Settings) -> Iterator[None]:
    """Keep what libraries print and warn off the terminal, and log the places where they do.

    Gradio prints the errors of its queue, which quote what was typed. Where prompts may be logged, nothing is changed.
    """
    if settings.log_prompts:
        yield
        return
    show, sink = warnings.showwarning, _Sink()
    warnings.showwarning = _log_warning
    try:
        with redirect_stdout(sink), redirect_stderr(sink):
            yield
    finally:
        warnings.showwarning = show


def remove_values(record: logging.LogRecord) -> bool:
    """Reduce a library's message to its format string, without values. A filter that passes every record."""
    record.exc_text = None  # which another handler may have set
    if record.name.partition(".")[0] != OURS:
        record.msg, record.args = str(record.msg).partition("\n")[0], ()
    return True


class OnceAMinute(logging.Filter):
    """A filter that passes the same warning or error once a minute and logs how many it dropped."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._seen: OrderedDict[tuple[Any, ...], tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is written."""
        if record.levelno < logging.WARNING:
            return True
        key, now = (record.name, record.getMessage(), *_cause(record)), time.monotonic()
        with self._lock:
            at, dropped = self._seen.pop(key, (-AGAIN_SECONDS, 0))
            fresh = now - at >= AGAIN_SECONDS
            self._seen[key] = (now, 0) if fresh else (at, dropped + 1)
            if len(self._seen) > MOST_KNOWN:
                self._seen.popitem(last=False)
        if fresh and dropped:
            log.warning({"event": "repeated", "times": dropped, "message": record.getMessage()})
        return fresh


class _Sink(io.TextIOBase):
    """A stream that drops what is printed. An error that is being handled is logged with its place."""

    def __init__(self) -> None:
        self._here = threading.local()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not getattr(self._here, "logging", False):  # a log that cannot be written prints that itself
            self._here.logging = True
            try:
                if sys.exc_info()[0] is not None:
                    log.error("An error was printed", exc_info=True)
                elif text.strip():
                    log.debug("Something was printed")
            finally:
                self._here.logging = False
        return len(text)


class _JsonLines(JsonFormatter):
    """A formatter that writes an event as one JSON object; other records have a `message`."""

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in super().process_log_record(log_data).items() if value != ""}


class _TextLines(logging.Formatter):
    """A formatter that writes an event as `job kind=edit state=done`."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        if isinstance(record.msg, dict):
            fields = dict(record.msg)
            record.message = " ".join([str(fields.pop("event", "")), *(f"{name}={value}" for name, value in fields.items())])
        return super().formatMessage(record)


def _log_warning(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_rest: object) -> None:
    """Log where a library warned. It replaces `warnings.showwarning`."""
    log.warning({"event": "warning", "kind": category.__name__, "file": filename, "line": lineno})


def _format_place(info: ErrorInfo) -> str:
    """Return where an error was raised and its kind."""
    kind, _, trace = info
    return "".join([*traceback.format_tb(trace), kind.__name__ if kind is not None else ""])


def _cause(record: logging.LogRecord) -> tuple[Any, ...]:
    """Return the kind and the innermost place of a record's error."""
    if not record.exc_info or record.exc_info[0] is None:
        return ()
    kind, _, trace = record.exc_info
    frames = traceback.extract_tb(trace)
    return (kind, frames[-1].filename, frames[-1].lineno) if frames else (kind,)
