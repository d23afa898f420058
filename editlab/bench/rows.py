"""Files of a table's rows, one line each: what was measured stays, and a second call goes on from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from editlab.errors import BadFile


class Row(Protocol):
    """A row with the key of all that shaped it."""

    key: str

    def as_json(self) -> str:
        """Return the row as one line."""
        ...


R = TypeVar("R", bound=Row)


def read_rows(path: Path | None, read: Callable[[str], R]) -> dict[str, R]:
    """Read the rows of an earlier call by their keys; none without a file. Raises `BadFile` naming a damaged line."""
    if path is None or not path.is_file():
        return {}
    rows = {}
    for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = read(text)
        except (ValueError, TypeError, KeyError) as error:
            raise BadFile(f"{path}, line {line}: not a row of this table. Remove the line.") from error
        rows[row.key] = row
    return rows


@contextmanager
def append_rows(path: Path | None) -> Iterator[Callable[[Row], None]]:
    """Yield a callable that appends rows to a file, each flushed, so that a stop loses nothing."""
    if path is None:
        yield lambda _row: None
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        yield lambda row: print(row.as_json(), file=file, flush=True)
