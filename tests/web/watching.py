"""A running `python app.py` of which every connection that it begins is written down, whoever begins it."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app_process import Running, running

WATCHED = Path(__file__).with_name("watched.py")
REFUSED = "outgoing refused"
"""What the log of a run says of a connection that was refused."""


@dataclass(frozen=True)
class Watched:
    """`app`: the process; `begun`: a file with every connection that it began."""

    app: Running
    begun: Path

    @property
    def address(self) -> str:
        return self.app.address

    def outgoing(self) -> list[list[str]]:
        """Every connection and name look-up so far, whether it was refused or not: [event, what it is about]."""
        return [json.loads(line) for line in self.begun.read_text(encoding="utf-8").splitlines()]

    def refused(self) -> list[str]:
        """The lines of the log about connections that were refused."""
        return [line for line in self.app.written.splitlines() if REFUSED in line]


@contextlib.contextmanager
def watched(folder: Path, model: Path, *arguments: str, program: str = "app.py") -> Iterator[Watched]:
    """Serve the page on a free port until the block ends; its data and what is written down lie in `folder`."""
    begun = folder / "begun.jsonl"
    with running(folder, *arguments, program=(str(WATCHED), str(begun), program), model=model) as app:
        yield Watched(app, begun)
