"""The workshops of one lab, in its ledger's database, so that a restart loses nothing.

A workshop begins with a copy of the presenter's workspace, of which each participant gets a copy: one event that names the
same patch files. A participant's id has 128 random bits and begins as no user's does; the directory shows such a visitor
their own workspace alone.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from editlab.errors import BadFile, BadRequest, TooMany
from editlab.lab.access.users import Users
from editlab.lab.context import Context
from editlab.lab.ledger.directory import WorkspaceInfo
from editlab.lab.ledger.events import fold
from editlab.lab.ledger.ledger import canonical, now
from editlab.lab.ledger.names import PARTICIPANT, WORKSHOP, normalize_name
from editlab.lab.ledger.tables import EVENTS, GUESSES, PARTICIPANTS, QUESTIONS, WORKSHOPS, WORKSPACES
from editlab.lab.workshops.parts import (
    GONE,
    HOURS,
    LONGEST_OPTION,
    LONGEST_QUESTION,
    MOST,
    MOST_HOURS,
    MOST_OPTIONS,
    MOST_PARTICIPANTS,
    Guessing,
    NoWorkshop,
    Over,
    Participant,
    Person,
    Question,
    Workshop,
)
from editlab.lab.workspaces import history
from editlab.lab.workspaces.open import Workspaces
from editlab.lab.workspaces.workspace import Workspace, gate_threshold
from editlab.wording import noop

KEY_BYTES = 16
MADE = ("applied", "refined", "remade")
"""Events that count as an edit made."""
SEEN_SECONDS = 30.0
"""How often the time at which a participant was seen is written."""
KNOWN_SECONDS = 2.0
"""How long a participant is known without a look at the database: each of their requests asks who they are."""
MOST_KNOWN = 10_000
NOBODY = noop("There is no such participant any more. The list shows who is there.")

log = logging.getLogger(__name__)


class Workshops:
    """The workshops of one lab. What changes one names its `owner`, and raises `BadRequest` for anybody else.

    With `users`, a workshop ends when its owner is a user no more.
    """

    def __init__(self, context: Context, workspaces: Workspaces, users: Users | None = None) -> None:
        self._ledger, self._directory, self._workspaces = context.ledger, context.directory, workspaces
        self._users = users
        self._known: dict[str, tuple[float, Participant]] = {}
        self._lock = threading.Lock()

    # --- The presenter -----------------------------------------------------------------------------------------------

    def begin(
        self, owner: str, workspace: Workspace, info: WorkspaceInfo, title: str, hours: float = HOURS, most: int = MOST
    ) -> Workshop:
        """Begin a workshop with a copy of a workspace as it is now. Raises `BadRequest`, also while another one is open."""
        title = normalize_name(title)
        if not 0 < hours <= MOST_HOURS:
            raise BadRequest(f"A workshop is open for up to {MOST_HOURS:.0f} hours. Choose an earlier end.")
        if not 1 <= most <= MOST_PARTICIPANTS:
            raise BadRequest(f"A workshop has 1 to {MOST_PARTICIPANTS} participants. Choose another number.")
        before = self.latest(owner)
        if before is not None and before.open:
            raise BadRequest(f"Your workshop “{before.title}” is open. Close it before you open another one.")
        id = secrets.token_urlsafe(KEY_BYTES)
        seed = history.branch(self._workspaces, f"{WORKSHOP}{id}", workspace, info, title)
        made = Workshop(id, secrets.token_urlsafe(KEY_BYTES), owner, title, seed.id, most, now(), now(3600 * hours))
        with self._ledger.transaction() as connection:
            connection.execute(sa.insert(WORKSHOPS), vars(made))
        return made

    def latest(self, owner: str) -> Workshop | None:
        """Return the workshop that somebody began last; None where there is none."""
        chosen = sa.select(WORKSHOPS).where(WORKSHOPS.c.owner == owner).order_by(WORKSHOPS.c.made_at.desc()).limit(1)
        with self._ledger.transaction() as connection:
            row = connection.execute(chosen).mappings().first()
        return None if row is None else Workshop(**row)

    def close(self, owner: str, id: str) -> Workshop:
        """Close a workshop: its links and its participants' pages say so from now on."""
        with self._own(owner, id) as (connection, workshop):
            if workshop.open:
                connection.execute(sa.update(WORKSHOPS).where(WORKSHOPS.c.id == id).values(closed_at=now()))
        self._forget()
        return workshop

    def people(self, owner: str, id: str) -> tuple[Person, ...]:
        """Return the participants of a workshop, in the order in which they came."""
        steps, stepped = sa.func.sum(EVENTS.c.kind.in_(MADE).cast(sa.Integer)), sa.func.max(EVENTS.c.at)
        of = (PARTICIPANTS.c.workshop == id) & PARTICIPANTS.c.removed_at.is_(None)
        chosen = (
            sa.select(PARTICIPANTS.c.number, PARTICIPANTS.c.joined_at, PARTICIPANTS.c.seen_at, steps, stepped)
            .outerjoin(EVENTS, (EVENTS.c.workspace == PARTICIPANTS.c.workspace) & (EVENTS.c.number > 1))
            .where(of)
            .group_by(PARTICIPANTS.c.id)
            .order_by(PARTICIPANTS.c.number)
        )
        with self._own(owner, id) as (connection, _):
            return tuple(
                Person(number, joined, seen, edits or 0, at or "")
                for number, joined, seen, edits, at in connection.execute(chosen)
            )

    def remove(self, owner: str, id: str, number: int) -> None:
        """Let a participant go: their page says so, their guesses count no more, and somebody else may have the place."""
        with self._own(owner, id) as (connection, _):
            gone = _row(connection, id, number)
            connection.execute(sa.update(PARTICIPANTS).where(PARTICIPANTS.c.id == gone["id"]).values(removed_at=now()))
            connection.execute(sa.delete(GUESSES).where(GUESSES.c.participant == gone["id"]))
        self._forget()

    def reset(self, owner: str, id: str, number: int) -> None:
        """Give a participant the edits and views of the beginning again; what they did stays in their history."""
        with self._own(owner, id) as (connection, _):
            row = _row(connection, id, number)
        workspace = self._workspaces.open(row["workspace"])
        begin = fold(workspace.events()[:1])
        if workspace.state.chain != begin.chain:
            workspace.return_to(1)
        workspace.set_threshold(gate_threshold(begin))
        for switch in ("masked", "guarded"):
            if getattr(workspace, switch) != getattr(begin, switch):
                workspace.note(switch, on=getattr(begin, switch))

    # --- Questions ---------------------------------------------------------------------------------------------------

    def ask(self, owner: str, id: str, text: str, options: Sequence[str], answer: int, before: int = 0) -> Question:
        """Show the room a question; one that it has seen before has its guesses still. Raises `BadRequest`.

        The same words with another right option are another question, and so they are where a scenario asks them a second
        time. `before`: how often it has asked them by then.
        """
        if not text or len(text) > LONGEST_QUESTION:
            raise BadRequest(f"A question has 1 to {LONGEST_QUESTION:,} characters. Shorten it.")
        if not 2 <= len(options) <= MOST_OPTIONS or not all(0 < len(option) <= LONGEST_OPTION for option in options):
            raise BadRequest(f"A question has 2 to {MOST_OPTIONS} options of up to {LONGEST_OPTION} characters.")
        if not 0 <= answer < len(options):
            raise BadRequest(f"The right option is one of {len(options)}.")
        listed = canonical(list(options))
        question = sha256(f"{text}\n{listed}\n{answer}\n{before}".encode()).hexdigest()[:16]
        row = {"workshop": id, "id": question, "text": text, "options": listed, "answer": answer, "asked_at": now()}
        with self._own(owner, id) as (connection, workshop):
            workshop.check_open()
            connection.execute(sa.insert(QUESTIONS).prefix_with("OR IGNORE"), row)
            connection.execute(sa.update(WORKSHOPS).where(WORKSHOPS.c.id == id).values(question=question))
            found = _question(connection, id, question)
        assert found is not None
        return found

    def question(self, owner: str, id: str) -> Question | None:
        """Return the question that the room sees now, with its guesses; None where there is none."""
        with self._own(owner, id) as (connection, workshop):
            return None if workshop.question is None else _question(connection, id, workshop.question)

    def reveal(self, owner: str, id: str) -> Question | None:
        """Show the room the right option and all guesses of the question that it sees. From now on no guess changes."""
        with self._own(owner, id) as (connection, workshop):
            if workshop.question is None:
                return None
            where = (QUESTIONS.c.workshop == id) & (QUESTIONS.c.id == workshop.question) & QUESTIONS.c.revealed_at.is_(None)
            connection.execute(sa.update(QUESTIONS).where(where).values(revealed_at=now()))
            return _question(connection, id, workshop.question)

    def withdraw(self, owner: str, id: str) -> None:
        """Show the room no question."""
        with self._own(owner, id) as (connection, _):
            connection.execute(sa.update(WORKSHOPS).where(WORKSHOPS.c.id == id).values(question=None))

    def reset_guesses(self, owner: str, id: str) -> None:
        """Delete all guesses of a workshop. Each question can be guessed again."""
        with self._own(owner, id) as (connection, _):
            connection.execute(sa.delete(GUESSES).where(GUESSES.c.workshop == id))
            connection.execute(sa.update(QUESTIONS).where(QUESTIONS.c.workshop == id).values(revealed_at=None))

    def guesses(self, owner: str, id: str) -> tuple[tuple[str, dict[int, tuple[str, bool]]], ...]:
        """Return each question of a workshop with what everybody guessed: {number: (option, whether it is right)}."""
        asked = sa.select(QUESTIONS).where(QUESTIONS.c.workshop == id).order_by(QUESTIONS.c.asked_at)
        given = sa.select(PARTICIPANTS.c.number, GUESSES.c.question, GUESSES.c.choice).join(
            PARTICIPANTS, PARTICIPANTS.c.id == GUESSES.c.participant
        )
        with self._own(owner, id) as (connection, _):
            questions = connection.execute(asked).mappings().all()
            rows = connection.execute(given.where(GUESSES.c.workshop == id)).all()
        found = []
        for question in questions:
            options = json.loads(question["options"])
            own = [(number, choice) for number, of, choice in rows if of == question["id"]]
            found.append((question["text"], {n: (options[choice], choice == question["answer"]) for n, choice in own}))
        return tuple(found)

    # --- Participants ------------------------------------------------------------------------------------------------

    def find(self, code: str) -> Workshop:
        """Return the workshop of a join link. Raises `NoWorkshop` where there is none, `Over` where nobody can join."""
        with self._ledger.transaction() as connection:
            row = connection.execute(sa.select(WORKSHOPS).where(WORKSHOPS.c.code == code)).mappings().first()
        if row is None:
            raise NoWorkshop(GONE)
        workshop = Workshop(**row)
        workshop.check_open(self._may_come_in(workshop.owner))
        return workshop

    def check_room(self, workshop: Workshop) -> None:
        """Raise `TooMany` where a workshop is full."""
        of = (PARTICIPANTS.c.workshop == workshop.id) & PARTICIPANTS.c.removed_at.is_(None)
        with self._ledger.transaction() as connection:
            _check_room(workshop, connection.scalar(sa.select(sa.func.count()).where(of)) or 0)

    def join(self, code: str) -> Participant:
        """Return a new participant with a private copy of the seed. Raises as `find` does, and `TooMany` if it is full."""
        workshop, at = self.find(code), now()
        id, workspace = f"{PARTICIPANT}{secrets.token_urlsafe(KEY_BYTES)}", secrets.token_hex(8)
        numbers = sa.select(PARTICIPANTS.c.number, PARTICIPANTS.c.removed_at).where(PARTICIPANTS.c.workshop == workshop.id)
        row = {"id": id, "workshop": workshop.id, "workspace": workspace, "joined_at": at, "seen_at": at}
        with self._writing() as connection:
            others = connection.execute(numbers).all()
            _check_room(workshop, sum(removed is None for _, removed in others))
            number = 1 + max((number for number, _ in others), default=0)
            connection.execute(sa.insert(PARTICIPANTS), {**row, "number": number})
            connection.execute(sa.update(WORKSPACES).where(WORKSPACES.c.id == workshop.seed).values(seen_at=at))
        try:
            self._directory.make(id, workshop.title, id=workspace)
            self._directory.enter(id, workspace)
            seed = self._workspaces.open(workshop.seed).state
            self._workspaces.open(workspace).begin_as_branch(workshop.title, seed)
        except BaseException:
            with self._ledger.transaction() as connection:
                connection.execute(sa.delete(PARTICIPANTS).where(PARTICIPANTS.c.id == id))
            raise
        return Participant(id, number, workspace, workshop.id, workshop.owner, workshop.title, workshop.ends_at)

    def participant(self, id: str) -> Participant:
        """Return a participant. Raises `NoWorkshop` where there is none, `Over` where they take part no more."""
        at, known = self._known.get(id, (0.0, None))
        stale = known is None or time.monotonic() - at > KNOWN_SECONDS or now() >= known.ends_at
        if known is None or stale or not self._may_come_in(known.owner):
            known = self._read(id)
            with self._lock:
                if len(self._known) >= MOST_KNOWN:
                    self._known.clear()
                self._known[id] = time.monotonic(), known
        return known

    def guessing(self, participant: Participant) -> Guessing | None:
        """Return what a participant sees of the question that the room sees; None without one."""
        own = GUESSES.c.participant == participant.id
        mine = (GUESSES.c.workshop == QUESTIONS.c.workshop) & (GUESSES.c.question == QUESTIONS.c.id) & own
        chosen = (
            sa.select(QUESTIONS, GUESSES.c.choice)
            .join(WORKSHOPS, (WORKSHOPS.c.id == QUESTIONS.c.workshop) & (WORKSHOPS.c.question == QUESTIONS.c.id))
            .outerjoin(GUESSES, mine)
            .where(QUESTIONS.c.workshop == participant.workshop)
        )
        with self._ledger.transaction() as connection:
            row = connection.execute(chosen).mappings().first()
            if row is None:
                return None
            told: dict[str, Any] = {}
            if row["revealed_at"] is not None:
                options = len(json.loads(row["options"]))
                told = {"answer": row["answer"], "counts": _counts(connection, participant.workshop, row["id"], options)}
        return Guessing(row["id"], row["text"], tuple(json.loads(row["options"])), row["choice"], **told)

    def guess(self, participant: Participant, question: str, choice: int) -> Guessing:
        """Keep what a participant guesses, in place of an earlier guess. Raises `BadRequest` where it is too late."""
        own = WORKSHOPS.c.id == participant.workshop
        with self._writing() as connection:
            current = connection.scalar(sa.select(WORKSHOPS.c.question).where(own))
            asked = None if current is None else _question(connection, participant.workshop, current)
            if asked is None or asked.id != question:
                raise BadRequest("The presenter asks something else by now.")
            if asked.revealed:
                raise BadRequest("The answer has been told. This guess came too late.")
            if not 0 <= choice < len(asked.options):
                raise BadRequest("There is no such option. Choose one of the buttons.")
            row = {"workshop": participant.workshop, "question": question, "participant": participant.id}
            row |= {"choice": choice, "at": now()}
            connection.execute(sa.insert(GUESSES).prefix_with("OR REPLACE"), row)
        return Guessing(asked.id, asked.text, asked.options, choice)

    # --- Parts -------------------------------------------------------------------------------------------------------

    def _read(self, id: str) -> Participant:
        """Return a participant from the database, and note that they were seen. Raises `NoWorkshop` and `Over`."""
        columns = [*PARTICIPANTS.c, *(column.label(f"of_{column.name}") for column in WORKSHOPS.c)]
        chosen = sa.select(*columns).join(WORKSHOPS, WORKSHOPS.c.id == PARTICIPANTS.c.workshop)
        with self._ledger.transaction() as connection:
            row = connection.execute(chosen.where(PARTICIPANTS.c.id == id)).mappings().first()
            if row is None:
                raise NoWorkshop(GONE)
            workshop = Workshop(**{name.removeprefix("of_"): value for name, value in row.items() if name.startswith("of_")})
            workshop.check_open(self._may_come_in(workshop.owner))
            if row["removed_at"] is not None:
                raise Over(
                    noop(f"The presenter has ended your part in “{workshop.title}”. Ask them for the link to join again.")
                )
            if row["seen_at"] < now(-SEEN_SECONDS):
                connection.execute(sa.update(PARTICIPANTS).where(PARTICIPANTS.c.id == id).values(seen_at=now()))
        of = (workshop.id, workshop.owner, workshop.title, workshop.ends_at)
        return Participant(id, row["number"], row["workspace"], *of)

    def _may_come_in(self, owner: str) -> bool:
        """Return whether the owner of a workshop may still come in. Raises `BadFile` where nobody can tell."""
        try:
            return self._users is None or self._users.has(owner)
        except BadFile as error:
            log.error({"event": "users", "error": str(error)})
            raise BadFile(noop("Nobody can join now. Ask the operator of this EditLab.")) from None

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        """Yield a connection that nobody else writes beside."""
        with self._ledger.transaction() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def _own(self, owner: str, id: str) -> Iterator[tuple[sa.Connection, Workshop]]:
        """Yield a connection and a workshop. Raises `BadRequest` where it is somebody else's, as where there is none."""
        with self._ledger.transaction() as connection:
            where = (WORKSHOPS.c.id == id) & (WORKSHOPS.c.owner == owner)
            row = connection.execute(sa.select(WORKSHOPS).where(where)).mappings().first()
            if row is None:
                raise BadRequest("There is no such workshop of yours. Reload the page.")
            yield connection, Workshop(**row)

    def _forget(self) -> None:
        """Look at the database for every participant again."""
        with self._lock:
            self._known.clear()


def _check_room(workshop: Workshop, there: int) -> None:
    if there >= workshop.most:
        raise TooMany(f"The workshop “{workshop.title}” is full: {workshop.most} have joined. Ask the presenter.")


def _row(connection: sa.Connection, workshop: str, number: int) -> Any:
    """Return the row of a participant who takes part. Raises `BadRequest`."""
    where = (PARTICIPANTS.c.workshop == workshop) & (PARTICIPANTS.c.number == number) & PARTICIPANTS.c.removed_at.is_(None)
    row = connection.execute(sa.select(PARTICIPANTS).where(where)).mappings().first()
    if row is None:
        raise BadRequest(NOBODY)
    return row


def _question(connection: sa.Connection, workshop: str, id: str) -> Question | None:
    """Return a question of a workshop with its guesses."""
    where = (QUESTIONS.c.workshop == workshop) & (QUESTIONS.c.id == id)
    row = connection.execute(sa.select(QUESTIONS).where(where)).mappings().first()
    if row is None:
        return None
    options = tuple(json.loads(row["options"]))
    counts = _counts(connection, workshop, id, len(options))
    return Question(id, row["text"], options, row["answer"], counts, row["revealed_at"] is not None)


def _counts(connection: sa.Connection, workshop: str, question: str, options: int) -> tuple[int, ...]:
    """Return how many guess each option."""
    where = (GUESSES.c.workshop == workshop) & (GUESSES.c.question == question)
    chosen = sa.select(GUESSES.c.choice, sa.func.count()).where(where).group_by(GUESSES.c.choice)
    found = dict(connection.execute(chosen).all())
    return tuple(found.get(place, 0) for place in range(options))
