"""What a workshop consists of, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

from editlab.errors import BadRequest
from editlab.lab.ledger.ledger import now
from editlab.lab.ledger.names import handle_of
from editlab.wording import noop

HOURS, MOST_HOURS = 8.0, 14 * 24.0
"""How long a workshop is open unless somebody says otherwise, and at most."""
MOST, MOST_PARTICIPANTS = 60, 300
"""How many may join unless somebody says otherwise, and at most."""
MOST_OPTIONS, LONGEST_QUESTION, LONGEST_OPTION = 8, 2_000, 200
"""Options of a question, and characters of a question and of an option."""
GONE = noop("There is no workshop at this address. Scan the code again, or ask the presenter for the link.")


class NoWorkshop(BadRequest):
    """A join link, or a participant, that does not exist."""


class Over(BadRequest):
    """A workshop that has ended or was closed, or one that has let a participant go."""


@dataclass(frozen=True)
class Workshop:
    """A workshop of the presenter `owner`, with the `code` of its link. Times are ISO 8601 in UTC.

    `seed`: the id of the workspace of which everybody gets a copy; `most`: how many may join; `question`: the id of the
    question that the room sees now.
    """

    id: str
    code: str
    owner: str
    title: str
    seed: str
    most: int
    made_at: str
    ends_at: str
    closed_at: str | None = None
    question: str | None = None

    @property
    def open(self) -> bool:
        """Whether somebody can join."""
        return self.closed_at is None and now() < self.ends_at

    def check_open(self, owned: bool = True) -> None:
        """Raise `Over` where nobody can join any more. `owned`: whether its owner may still come in."""
        if not (self.open and owned):
            raise Over(
                noop(f"The workshop “{self.title}” was closed. Ask the presenter for a new link.")
                if self.closed_at or not owned
                else noop(f"The workshop “{self.title}” has ended. Ask the presenter for a new link.")
            )


@dataclass(frozen=True)
class Participant:
    """Somebody without an account, in one workshop of `owner`. `id`: as a visitor, a secret; `number`: what others see."""

    id: str
    number: int
    workspace: str
    workshop: str
    owner: str
    title: str
    ends_at: str

    @property
    def handle(self) -> str:
        """The name of their workspace in addresses."""
        return handle_of(self.workspace)

    @property
    def name(self) -> str:
        """What others call them. No user can have this name, which has a space."""
        return f"participant {self.number}"


@dataclass(frozen=True)
class Person:
    """A participant as the presenter sees them: how many edits they have made, and when they made the last step."""

    number: int
    joined_at: str
    seen_at: str
    edits: int = 0
    stepped_at: str = ""


@dataclass(frozen=True)
class Question:
    """What a workshop is asked. `counts`: how many guess each of the `options`; `answer`: the place of the right one."""

    id: str
    text: str
    options: tuple[str, ...]
    answer: int
    counts: tuple[int, ...]
    revealed: bool = False

    @property
    def guesses(self) -> int:
        """How many have guessed."""
        return sum(self.counts)


@dataclass(frozen=True)
class Guessing:
    """What a participant sees of a question. `choice`: what they guess; `answer` and `counts`: only once it is revealed."""

    id: str
    text: str
    options: tuple[str, ...]
    choice: int | None
    answer: int | None = None
    counts: tuple[int, ...] | None = None
