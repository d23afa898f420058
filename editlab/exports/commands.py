"""The run as terminal lines that repeat it: one a single edit, and one a batch with the file of its requests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from editlab import methods
from editlab.exports.entry import Entry
from editlab.facts import EditCase
from editlab.facts.writers import counterfact
from editlab.model import LanguageModel

HEAD = """\
#!/bin/sh
# Makes these edits again from a terminal, in a new workspace: sh repeat.sh NAME
set -e
editlab() { command editlab "$@" || test $? = 3; }  # 3: the edit did not take, as it may not have at first
workspace=${1:?Give the name of a new workspace.}
"""


def write(model: LanguageModel, entries: Sequence[Entry], seed: int, folder: Path) -> None:
    """Write `repeat.sh`, and a file of requests for each batch."""
    lines = environment(model, seed)
    for number, entry in enumerate(entries, start=1):
        lines += line_of(model, entry, seed, number)
        if len(entry.requests) > 1:
            cases = [EditCase(request, str(row)) for row, request in enumerate(entry.requests)]
            (folder / f"batch-{number}.json").write_text(counterfact(cases), encoding="utf-8")
    (folder / "repeat.sh").write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


def environment(model: LanguageModel, seed: int) -> list[str]:
    """Return the lines that choose the same model, in the same precision and with the same seed."""
    settings = {"MODEL": model.name, "QUANTIZATION": model.quantization, "SEED": str(seed)}
    settings["START"] = str(model.start) or "none"
    settings["DTYPE"] = str(model.dtype).removeprefix("torch.")
    return [f"export EDITLAB_{name}={quote(value)}" for name, value in settings.items()]


def line_of(model: LanguageModel, entry: Entry, seed: int, number: int = 1) -> list[str]:
    """Return the line that makes an edit again in `$workspace`; of a batch, from the file of its number."""
    options = [("method", entry.method), *(("set", change) for change in _changes(model, entry, seed))]
    if len(entry.requests) > 1:
        options.append(("batch", str(len(entry.requests))))
        return [_line(f'apply "$(dirname "$0")"/batch-{number}.json', options)]
    request = entry.requests[0]
    asked = {"subject": request.subject, "prompt": request.prompt, "target": request.target_new}
    asked |= {"true": request.target_true} if request.target_true else {}
    asked |= {"rep": entry.rep} if entry.rep and entry.pathways else {}
    told = "# REP also learnt from names that somebody wrote, which only repeat.py tells it."
    return [*([told] if entry.names and entry.pathways else []), _line("edit", [*asked.items(), *options])]


def _line(command: str, options: Sequence[tuple[str, str]]) -> str:
    given = " ".join(f"--{name}={quote(value)}" for name, value in options)
    return f'editlab {command} {given} --workspace="$workspace"'


def _changes(model: LanguageModel, entry: Entry, seed: int) -> list[str]:
    """Return the settings in which an edit differs from the model's own, as `--set` takes them."""
    usual: Mapping[str, Any] = vars(methods.config_for(entry.method, model, seed=seed))
    return [f"{name}={_value(value)}" for name, value in entry.config.items() if usual[name] != value]


def _value(value: Any) -> str:
    """Return a value as JSON, but for words and for what is not a number."""
    return str(value) if isinstance(value, str) or value in (float("inf"), float("-inf")) else json.dumps(value)
