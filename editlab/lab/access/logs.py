"""What EditLab writes to standard error while it runs: one line an event, without anything that people typed.

An event is a dictionary: `log.info({"event": "job", "kind": "edit", ...})`. Of an error it says where it arose, and its text
only where prompts may be logged, for a text can quote one. Of what libraries log, it writes the words that stand in their
code and no values; instead of what they print, where they do. A fault that somebody causes again and again does not fill the
disk: the same warning or error is written once a minute.
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
"""After how long the same warning is written again, and how many different ones are remembered."""

ErrorInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

log = logging.getLogger(__name__)


def set_up(settings: Settings) -> None:
    """Log to standard error, as the settings say."""
    root = logging.getLogger()
    root.handlers = [handler(settings, sys.stderr)]
    root.setLevel(logging.WARNING)  # what libraries have to say
    logging.getLogger(OURS).setLevel(settings.log_level.upper())


def handler(settings: Settings, stream: TextIO) -> logging.Handler:
    """Write to a stream, as the settings say."""
    made = logging.StreamHandler(stream)
    made.setFormatter(formatter(settings))
    if not settings.log_prompts:
        made.addFilter(without_values)
    made.addFilter(OnceAMinute())
    return made


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


@contextmanager
def silence(settings: Settings) -> Iterator[None]:
    """Let nothing that libraries print or warn of reach the terminal as it is, but log where they do.

    Gradio prints the errors of its queue with what was typed in them. Where prompts may be logged, all stays as it is.
    """
    if settings.log_prompts:
        yield
        return
    shown, sink = warnings.showwarning, _Sink()
    warnings.showwarning = _warned
    try:
        with redirect_stdout(sink), redirect_stderr(sink):
            yield
    finally:
        warnings.showwarning = shown


def without_values(record: logging.LogRecord) -> bool:
    """Leave of a library's message only the words that stand in its code: a filter that lets every record pass."""
    record.exc_text = None  # as another handler would have it
    if record.name.partition(".")[0] != OURS:
        record.msg, record.args = str(record.msg).partition("\n")[0], ()
    return True


class OnceAMinute(logging.Filter):
    """Lets a warning or an error pass that was not written within a minute; the next one says how many were left out."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._seen: OrderedDict[tuple[Any, ...], tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is written."""
        if record.levelno < logging.WARNING:
            return True
        key, now = (record.name, record.getMessage(), *_cause(record)), time.monotonic()
        with self._lock:
            at, left_out = self._seen.pop(key, (-AGAIN_SECONDS, 0))
            fresh = now - at >= AGAIN_SECONDS
            self._seen[key] = (now, 0) if fresh else (at, left_out + 1)
            if len(self._seen) > MOST_KNOWN:
                self._seen.popitem(last=False)
        if fresh and left_out:
            log.warning({"event": "repeated", "times": left_out, "message": record.getMessage()})
        return fresh


class _Sink(io.TextIOBase):
    """Takes what is printed. An error that is just being handled is logged by its place."""

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


def _warned(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_rest: object) -> None:
    """Log where a library warned, in the place of `warnings.showwarning`."""
    log.warning({"event": "warning", "kind": category.__name__, "file": filename, "line": lineno})


def _place(info: ErrorInfo) -> str:
    """Where an error arose and of which kind it is."""
    kind, _, trace = info
    return "".join([*traceback.format_tb(trace), kind.__name__ if kind is not None else ""])


def _cause(record: logging.LogRecord) -> tuple[Any, ...]:
    """The kind and the innermost place of a record's error."""
    if not record.exc_info or record.exc_info[0] is None:
        return ()
    kind, _, trace = record.exc_info
    frames = traceback.extract_tb(trace)
    return (kind, frames[-1].filename, frames[-1].lineno) if frames else (kind,)
