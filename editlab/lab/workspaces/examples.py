"""Examples: ready-made requests of the page, each with a sentence for the audience."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from editlab.errors import BadFile
from editlab.facts import EditRequest


@dataclass(frozen=True)
class Example:
    """A ready-made request. `name`: of its file, and `preset` in the page's address; the lowest `place` comes first."""

    name: str
    place: int
    title: str
    say: str
    request: EditRequest


def read_examples(folder: Path) -> tuple[Example, ...]:
    """Return the examples of a folder, in order. Raises `BadFile`, which names the file and the fault."""
    return tuple(sorted(map(_read, folder.glob("*.toml")), key=lambda example: (example.place, example.name)))


def _read(path: Path) -> Example:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        request = EditRequest(table["prompt"], table["subject"], table["target_new"], table["target_true"])
        return Example(path.stem, int(table["place"]), table["title"], table["say"], request)
    except KeyError as error:
        raise BadFile(f"{path}: the key {error} is missing. Add it.") from error
    except (OSError, ValueError) as error:
        raise BadFile(f"{path} cannot be read as an example: {error}") from error
