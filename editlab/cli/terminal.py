"""What all commands share: the model's options, progress, one way to answer and one way to fail.

A command is a plain function of a `Session` and its own options that returns an `Answer`. Around it, `command` adds the
options of `Settings`, and `Terminal` turns whatever happens into an exit status: 0, 2 for bad input, 3 where an edit did not
take, 1 for anything else.
"""

from __future__ import annotations

import errno
import inspect
import json as json_module
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import TextIOWrapper
from typing import Annotated, Any, NoReturn

import torch
import typer
from pydantic import ValidationError
from pydantic_core import to_json
from rich.console import Console, RenderableType
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.text import Text
from typer.core import TyperGroup
from typer.exceptions import Abort, TyperException

from editlab.errors import BadFile, BadRequest, EditLabError
from editlab.model import LanguageModel, memory
from editlab.settings import Settings
from editlab.work import Progress

MODEL_OPTIONS = ("model", "quantization", "dtype", "device", "seed")
SECONDS_BETWEEN_LINES = 10
INTERRUPTED = 130
"""What Typer returns after Ctrl-C."""
MISSED = 3
"""The exit status where an edit was made and did not take."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""What a disk says that takes no more."""
BARE = {"--rep": "default"}
"""What an option means that is given without a value."""


@dataclass(frozen=True)
class Answer:
    """The result of a command: the object for `--json`, the same for people to read, and the exit status."""

    object: Mapping[str, Any]
    text: RenderableType
    code: int = 0


@dataclass(frozen=True)
class Session:
    """One call of a command: its settings and where progress goes."""

    settings: Settings
    errors: Console

    def model(self, name: str | None = None) -> LanguageModel:
        """Load the model that the options name, or another one with the same options."""
        from transformers.utils import logging

        logging.disable_progress_bar()
        s = self.settings
        with self.errors.status(Text(f"Loading {name or s.model}")):
            return LanguageModel.load(
                name or s.model, quantization=s.quantization, dtype=s.dtype, device=s.device, seed=s.seed, settings=s
            )

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Yield a callable (fraction, text): a bar on a terminal, now and then a line in a file."""
        if not self.errors.is_terminal:
            yield _lines(self.errors)
            return
        what = TextColumn("{task.description}", markup=False)
        columns = BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn(), what
        with Bar(*columns, console=self.errors, transient=True) as bar:
            task = bar.add_task("", total=1.0)
            yield lambda fraction, text: bar.update(task, completed=fraction, description=text)


def plain_console(stderr: bool = False) -> Console:
    """Return a console that prints texts as they are: "[b]" is no markup and ":x:" no picture, whoever wrote it."""
    return Console(stderr=stderr, markup=False, emoji=False)


def command(app: typer.Typer, name: str) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Register a function (session, own options) -> Answer under a name, with the model's options and `--json`."""

    def register(work: Callable[..., Answer]) -> Callable[..., Answer]:
        def run(json: bool, **options: Any) -> None:
            given = {key: value for key in MODEL_OPTIONS if (value := options.pop(key)) is not None}
            session = Session(_settings(given), plain_console(stderr=True))
            with redirect_stdout(sys.stderr):  # whatever a library prints, it is not the answer
                answer = work(session, **options)
            if json:
                print(to_json(answer.object, inf_nan_mode="null", fallback=_plain).decode())
            else:
                plain_console().print(answer.text)
            if answer.code:
                raise typer.Exit(answer.code)

        own = list(inspect.signature(work, eval_str=True).parameters.values())[1:]
        parameters = [p.replace(kind=p.KEYWORD_ONLY) for p in own] + _common()
        run.__signature__ = inspect.Signature(parameters)
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        app.command(name, help=inspect.getdoc(work))(run)
        return work

    return register


class Terminal(TyperGroup):
    """Runs a command and ends the process: 0, or 2 with a sentence that says what to change, or 3, or 1 with a trace."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **more: Any) -> NoReturn:
        """Parse, run and exit. Under `--json` a failure is one object on standard output too."""
        args = _completed(sys.argv[1:] if args is None else args)
        as_json = "--json" in args
        _write_whatever_is_said(as_json)
        try:
            _check_text(args)
            code = super().main(args, *rest, **{**more, "standalone_mode": False})
            sys.stdout.flush()
            if code == INTERRUPTED:
                raise KeyboardInterrupt
        except BrokenPipeError:  # whoever read the answer has gone, as behind `| head`
            _close_output()
            code = 1
        except EditLabError as error:
            code = _failed(2, error.kind, str(error), as_json)
        except TyperException as error:
            code = _failed(error.exit_code, BadRequest.__name__, error.format_message(), as_json)
        except (Abort, KeyboardInterrupt):
            code = _failed(1, "Cancelled", "Stopped.", as_json)
        except Exception as error:
            if memory.out_of_memory(error):
                refusal = memory.too_little(error, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
                code = _failed(2, refusal.kind, str(refusal), as_json)
            elif isinstance(error, OSError) and (error.filename or error.errno in NO_ROOM):
                place = "" if error.filename is None else f"{str(error.filename)[:200]}: "
                code = _failed(2, BadFile.__name__, f"{place}{error.strerror}. Give another place, or make room.", as_json)
            else:
                traceback.print_exc()
                code = _failed(1, type(error).__name__, str(error), as_json)
        sys.exit(code if code in (None, 0, 2, MISSED) else 1)


def _write_whatever_is_said(as_json: bool) -> None:
    """Let no character that standard output has no bytes for end a command, as "→" on a terminal in Latin 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8" if as_json and stream is sys.stdout else None, errors="backslashreplace")


def _check_text(args: Sequence[str]) -> None:
    """Raise `BadRequest` for an argument with bytes that are no text, which no answer and no ledger could hold."""
    wrong = next((arg for arg in args if arg != arg.encode("utf-8", "replace").decode("utf-8")), None)
    if wrong is not None:
        raise BadRequest(f"{wrong!r} is not text in UTF-8. Write it in UTF-8; a file has to be renamed first.")


def _completed(args: Sequence[str]) -> list[str]:
    """Return the arguments, with a value after each option that may be given without one; Typer has no such options."""
    found: list[str] = []
    for arg, following in zip(args, [*args[1:], "-"], strict=True):
        found.append(arg)
        if arg in BARE and following.startswith("-"):
            found.append(BARE[arg])
    return found


def _failed(code: int, kind: str, message: str, as_json: bool) -> int:
    """Print a failure and return its status; where standard output takes nothing more, on standard error alone."""
    if as_json:
        try:
            print(json_module.dumps({"error": kind, "message": message}, ensure_ascii=False), flush=True)
        except OSError:
            _close_output()
        else:
            return code
    print(message, file=sys.stderr)
    return code


def _close_output() -> None:
    """Let standard output lead nowhere: what it still holds is written at the end of the process, which would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _settings(given: Mapping[str, Any]) -> Settings:
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise BadRequest(f"--{name} (or EDITLAB_{name.upper()}) does not fit: {first['msg']}. Change it.") from error


def _common() -> list[inspect.Parameter]:
    """Return `--json` and one option for each field of `Settings` that every command takes."""
    json = inspect.Parameter(
        "json",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")],
    )
    return [*map(_option, MODEL_OPTIONS), json]


def _option(name: str) -> inspect.Parameter:
    field = Settings.model_fields[name]
    option = typer.Option(
        f"--{name}",
        help=field.description,
        envvar=f"EDITLAB_{name.upper()}",
        show_default=str(field.default),
        rich_help_panel="Model",
    )
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[field.annotation | None, option]
    )


def _lines(console: Console) -> Progress:
    last = time.monotonic()

    def report(fraction: float, text: str) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            console.print(f"{fraction:4.0%} {text}", highlight=False)

    return report


def _plain(value: Any) -> Any:
    """Return a number of numpy as Python's, anything else that JSON does not know as text."""
    return value.item() if hasattr(value, "item") else str(value)
