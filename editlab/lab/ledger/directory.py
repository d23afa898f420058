"""Which workspaces there are, whose they are, and which of them a visitor has open.

A private workspace is seen by its owner alone, a shared one by everybody who may use EditLab, by its name. What lies in it,
the ledger knows; a workspace that is deleted leaves the list, and its events stay. What was made on the terminal is
nobody's: it stays shared and on the list, for nobody could bring it back.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count
from secrets import token_hex
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from editlab.errors import BadRequest
from editlab.lab.ledger.bodies import LONGEST_NAME as LONGEST_ID
from editlab.lab.ledger.bodies import is_time
from editlab.lab.ledger.ledger import Ledger, now
from editlab.lab.ledger.tables import EVENTS, VISITORS, WORKSPACES

FIRST = "My edits"
"""What the workspace is called that everybody finds on their first visit."""
LONGEST_NAME = 60
MOST_OWN = 100
SEEN_MINUTES = 5
"""How old the note may be of when a workspace was last used."""
TERMINAL = ""
"""The owner of what was made on the terminal, or came in without an owner."""
MADE_ID = re.compile(r"[0-9a-f]{16}|[A-Za-z0-9_-]{22}")
"""Ids that EditLab has drawn, of workspaces and visitors: no name for people, and a visitor's is what lets them in."""
MOST_TOLD = 20

_Id = Annotated[str, StringConstraints(max_length=LONGEST_ID)]
_Time = Annotated[str, StringConstraints(max_length=40), AfterValidator(is_time)]


@dataclass(frozen=True)
class WorkspaceInfo:
    """A workspace as people know it. `id`: what its events are kept under; `mine`: whether it is whoever asked's own."""

    id: str
    name: str
    shared: bool
    mine: bool
    made_at: str
    deleted: bool = False

    @property
    def handle(self) -> str:
        """What a page, an address or a bundle calls it. The id may be what its owner is known by: it stays here."""
        return _handle(self.id)

    @property
    def title(self) -> str:
        """Its name, and whether others see it."""
        return f"{self.name} (shared)" if self.shared else self.name


class WorkspaceRow(BaseModel):
    """A workspace as the table has it and an archive carries it."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    id: _Id
    owner: _Id
    name: Annotated[str, AfterValidator(lambda name: _kept(name))]
    shared: bool
    made_at: _Time
    seen_at: _Time
    deleted_at: _Time | None = None


class Directory:
    """The workspaces of a ledger. Who is asked for (`visitor`) is a login's name, or the id that a browser keeps."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def rooms(self, visitor: str, deleted: bool = False) -> tuple[WorkspaceInfo, ...]:
        """What a visitor may enter, their own first; or, `deleted`, what they have deleted."""
        where = WORKSPACES.c.owner == visitor
        where &= WORKSPACES.c.deleted_at.is_not(None) if deleted else WORKSPACES.c.deleted_at.is_(None)
        if not deleted:
            where |= WORKSPACES.c.shared & WORKSPACES.c.deleted_at.is_(None)
        with self._ledger.transaction() as connection:
            rows = connection.execute(sa.select(WORKSPACES).where(where).order_by(WORKSPACES.c.made_at)).mappings().all()
        return tuple(sorted((_room(row, visitor) for row in rows), key=lambda room: (room.shared, not room.mine)))

    def current(self, visitor: str) -> WorkspaceInfo:
        """The workspace that a visitor has open; their first one, made on the first visit, where that is gone."""
        with self._ledger.transaction() as connection:
            chosen = connection.scalar(sa.select(VISITORS.c.workspace).where(VISITORS.c.id == visitor))
            row = _row(connection, chosen) if chosen else None
            if row is not None and _may_enter(row, visitor):
                if _minutes_since(row["seen_at"]) > SEEN_MINUTES:
                    connection.execute(sa.update(WORKSPACES).where(WORKSPACES.c.id == row["id"]).values(seen_at=now()))
                return _room(row, visitor)
        own = [room for room in self.rooms(visitor) if room.mine]
        self._settle(visitor, (own[0] if own else self._first(visitor)).id, chosen)
        return self.current(visitor)

    def _settle(self, visitor: str, id: str, instead: str | None) -> None:
        """Open a workspace for a visitor who has none open, or `instead`; not where they have just entered another one."""
        row = {"id": visitor, "workspace": id, "seen_at": now()}
        with self._ledger.transaction() as connection:
            connection.execute(sa.insert(VISITORS).prefix_with("OR IGNORE"), row)
            if instead is not None:
                where = (VISITORS.c.id == visitor) & (VISITORS.c.workspace == instead)
                connection.execute(sa.update(VISITORS).where(where).values(workspace=id))

    def enter(self, visitor: str, id: str) -> WorkspaceInfo:
        """Open a workspace for a visitor. Raises `BadRequest` where there is none, or it is another person's."""
        with self._ledger.transaction() as connection:
            row = _known(connection, visitor, id)
            connection.execute(sa.delete(VISITORS).where(VISITORS.c.id == visitor))
            connection.execute(sa.insert(VISITORS), {"id": visitor, "workspace": id, "seen_at": now()})
            connection.execute(sa.update(WORKSPACES).where(WORKSPACES.c.id == id).values(seen_at=now()))
            return _room(row, visitor)

    def find(self, visitor: str, handle: str, deleted: bool = False) -> WorkspaceInfo:
        """The workspace of a handle, among those that a visitor may enter, or has deleted; a shared one by its name as well.

        Raises `BadRequest`.
        """
        rooms = self.rooms(visitor, deleted)
        named = (room for room in rooms if room.shared and room.name == handle)
        room = next((room for room in rooms if room.handle == handle), None) or next(named, None)
        if room is None:
            raise BadRequest("There is no such workspace, or it is not shared with you. Choose one from the list.")
        return room

    def may_enter(self, visitor: str, id: str) -> bool:
        """Whether a workspace is a visitor's own, or shared."""
        with self._ledger.transaction() as connection:
            row = _row(connection, id)
        return row is not None and _may_enter(row, visitor)

    def make(self, visitor: str, name: str, shared: bool = False, id: str = "") -> WorkspaceInfo:
        """A new workspace. Raises `BadRequest` for a name that is taken or is none."""
        name, at = named(name), now()
        if visitor != TERMINAL and sum(room.mine for room in self.rooms(visitor)) >= MOST_OWN:
            raise BadRequest(f"You have {MOST_OWN} workspaces. Delete one first.")
        row = {"id": id or token_hex(8), "owner": visitor, "name": name, "shared": shared}
        with _unique(name, shared), self._ledger.transaction() as connection:
            connection.execute(sa.insert(WORKSPACES), {**row, "made_at": at, "seen_at": at, "deleted_at": None})
        return WorkspaceInfo(row["id"], name, shared, True, at)

    def begin_anew(self, visitor: str) -> WorkspaceInfo:
        """Open a new, empty workspace for a visitor: the one that they had open cannot be read, say."""
        taken = {room.name for room in self.rooms(visitor)}
        made = self.make(visitor, next(name for name in _names(FIRST) if name not in taken))
        return self.enter(visitor, made.id)

    def _first(self, visitor: str) -> WorkspaceInfo:
        """The workspace of a first visit. Its id is the visitor's, under which older ledgers have their events."""
        with self._ledger.transaction() as connection:
            taken = _row(connection, visitor) is not None
        try:
            return self.make(visitor, FIRST, id="" if taken else visitor)
        except BadRequest:  # another request of the same visitor has made it at this moment
            return next(room for room in self.rooms(visitor) if room.mine)

    def adopt(self, name: str) -> WorkspaceInfo:
        """The workspace that the terminal calls so: see `called`; a shared one is made where there is none.

        Raises `BadRequest` for what is no name.
        """
        with self._ledger.transaction() as connection:
            row = _row(connection, name)
            if row is not None and row["owner"] == TERMINAL and not (row["shared"] and row["deleted_at"] is None):
                _make_visible(connection, row)
        known = self.called(name)
        if known is not None:
            return known
        return self.make(TERMINAL, name, shared=True, id="" if row is not None else named(name))

    def called(self, name: str) -> WorkspaceInfo | None:
        """The workspace whose id that is, or the shared one of that name; None where there is none on the list."""
        with self._ledger.transaction() as connection:
            shared = (WORKSPACES.c.name == name) & WORKSPACES.c.shared & WORKSPACES.c.deleted_at.is_(None)
            row = _row(connection, name)
            if row is None or row["deleted_at"] is not None:
                row = connection.execute(sa.select(WORKSPACES).where(shared)).mappings().first()
        return None if row is None else _room(row, TERMINAL)

    def known(self, name: str) -> str:
        """The id of a workspace that the terminal means: see `called`; also of one that was deleted, or has no row.

        Raises `BadRequest`, saying which there are.
        """
        room = self.called(name)
        if room is not None:
            return room.id
        with self._ledger.transaction() as connection:
            if _row(connection, name) is not None:
                return name
            if connection.scalar(sa.select(EVENTS.c.id).where(EVENTS.c.workspace == name).limit(1)) is not None:
                return name
            there = sa.select(WORKSPACES.c.name).where(WORKSPACES.c.shared & WORKSPACES.c.deleted_at.is_(None))
            names = connection.scalars(there.order_by(WORKSPACES.c.name)).all()
            others = connection.scalar(
                sa.select(sa.func.count())
                .select_from(WORKSPACES)
                .where(~WORKSPACES.c.shared & WORKSPACES.c.deleted_at.is_(None))
            )
        listed = ", ".join(map(repr, names[:MOST_TOLD])) or "none"
        more = f" and {len(names) - MOST_TOLD} more" if len(names) > MOST_TOLD else ""
        private = f"; {others} more are private, and are called by their id" if others else ""
        raise BadRequest(f"There is no workspace {name[:80]!r}. Shared ones are: {listed}{more}{private}.")

    def rename(self, visitor: str, id: str, name: str, was: str) -> WorkspaceInfo:
        """Call a workspace otherwise that was called `was`. Raises `BadRequest`, also where somebody else was faster."""
        name = named(name)
        with self._ledger.transaction() as connection:
            shared = _known(connection, visitor, id)["shared"]
        with _unique(name, shared), self._ledger.transaction() as connection:
            where = (WORKSPACES.c.id == id) & (WORKSPACES.c.name == was)
            if not connection.execute(sa.update(WORKSPACES).where(where).values(name=name)).rowcount:
                now_called = _known(connection, visitor, id)["name"]
                raise BadRequest(f"Somebody has just renamed it to {now_called!r}. Look, and rename it again if need be.")
            return _room(_known(connection, visitor, id), visitor)

    def share(self, visitor: str, id: str, on: bool) -> WorkspaceInfo:
        """Let everybody enter a workspace of one's own, or nobody else any more. Raises `BadRequest`."""
        with self._ledger.transaction() as connection:
            row = _own(connection, visitor, id, "share", on)
        with _unique(row["name"], on), self._ledger.transaction() as connection:
            connection.execute(sa.update(WORKSPACES).where(WORKSPACES.c.id == id).values(shared=on))
        return replace(_room(row, visitor), shared=on)

    def delete(self, visitor: str, id: str) -> WorkspaceInfo:
        """Take a workspace of one's own off the list; its events stay in the ledger. Raises `BadRequest`."""
        with self._ledger.transaction() as connection:
            row = _own(connection, visitor, id, "delete")
            connection.execute(sa.update(WORKSPACES).where(WORKSPACES.c.id == id).values(deleted_at=now()))
        return replace(_room(row, visitor), deleted=True)

    def restore(self, visitor: str, id: str) -> WorkspaceInfo:
        """Put a deleted workspace of one's own on the list again. Raises `BadRequest`, also where its name is taken."""
        room = next((room for room in self.rooms(visitor, deleted=True) if room.id == id), None)
        if room is None:
            raise BadRequest("You have deleted no such workspace.")
        with _unique(room.name, room.shared), self._ledger.transaction() as connection:
            connection.execute(sa.update(WORKSPACES).where(WORKSPACES.c.id == id).values(deleted_at=None))
        return replace(room, deleted=False)


def _handle(id: str) -> str:
    return sha256(id.encode(errors="replace")).hexdigest()[:16]


def _kept(name: str) -> str:
    """A name that is written as it is kept. Raises `ValueError`."""
    try:
        if named(name) == name:
            return name
    except BadRequest as error:
        raise ValueError(str(error)) from error
    raise ValueError("a name has more white space than is kept")


def named(name: str) -> str:
    """A name as it is kept. Raises `BadRequest` for what is none."""
    name = " ".join(str(name).split())
    if not name or len(name) > LONGEST_NAME:
        raise BadRequest(f"A workspace's name has 1 to {LONGEST_NAME} characters. Write another one.", "workspace")
    wrong = next((char for char in name if char in "/\\<>" or unicodedata.category(char)[0] == "C"), None)
    if wrong is not None:
        raise BadRequest(f"A workspace's name cannot hold {wrong!r}. Use letters, digits and spaces.", "workspace")
    return name


def _minutes_since(at: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds() / 60


def _row(connection: sa.Connection, id: str) -> Mapping[str, Any] | None:
    return connection.execute(sa.select(WORKSPACES).where(WORKSPACES.c.id == id)).mappings().first()


def _may_enter(row: Mapping[str, Any], visitor: str) -> bool:
    return row["deleted_at"] is None and (row["shared"] or row["owner"] == visitor)


def _known(connection: sa.Connection, visitor: str, id: str) -> Mapping[str, Any]:
    row = _row(connection, id)
    if row is None or not _may_enter(row, visitor):
        raise BadRequest("There is no such workspace, or it is not shared with you. Choose one from the list.")
    return row


def _own(connection: sa.Connection, visitor: str, id: str, what: str, shared: bool = False) -> Mapping[str, Any]:
    """The row of a workspace of a visitor's own. Raises `BadRequest`; what is nobody's can be shared (`shared`), no more."""
    row = _known(connection, visitor, id)
    if row["owner"] == TERMINAL and not shared:
        raise BadRequest(
            f"{row['name']!r} was made on the terminal and has no owner: once hidden, nobody could bring it back. Branch it "
            "into a workspace of your own, or delete it on the terminal: editlab ledger forget --workspace NAME."
        )
    if row["owner"] not in (TERMINAL, visitor):
        raise BadRequest(f"Only whoever made {row['name']!r} can {what} it.")
    return row


def rows(ledger: Ledger, ids: Collection[str] | None = None) -> tuple[WorkspaceRow, ...]:
    """The rows of these workspaces, or of all, deleted ones too."""
    chosen = sa.select(WORKSPACES).order_by(WORKSPACES.c.made_at, WORKSPACES.c.id)
    if ids is not None:
        chosen = chosen.where(WORKSPACES.c.id.in_(ids))
    with ledger.transaction() as connection:
        return tuple(WorkspaceRow.model_construct(**row) for row in connection.execute(chosen).mappings())


def owned(ledger: Ledger, owner: str) -> tuple[str, ...]:
    """The ids of all workspaces of an owner, deleted ones too. Raises `BadRequest` where there is none, naming owners."""
    with ledger.transaction() as connection:
        ids = connection.scalars(sa.select(WORKSPACES.c.id).where(WORKSPACES.c.owner == owner)).all() if owner else ()
        if ids:
            return tuple(ids)
        owners = connection.scalars(sa.select(WORKSPACES.c.owner).where(WORKSPACES.c.owner != TERMINAL).distinct()).all()
    listed = ", ".join(map(repr, sorted(owners)[:MOST_TOLD])) or "nobody"
    more = f" and {len(owners) - MOST_TOLD} more" if len(owners) > MOST_TOLD else ""
    raise BadRequest(f"Nobody called {owner[:80]!r} has a workspace. Owners are: {listed}{more}.")


def unowned(id: str, name: Any = None) -> WorkspaceRow:
    """The row of a workspace of which nobody knows whose it is: shared, called `name` or, where that is none, as its id."""
    for known in (name, None if MADE_ID.fullmatch(id) else id):
        try:
            called = named(known) if isinstance(known, str) else ""
        except BadRequest:
            continue
        if called:
            break
    else:
        called = f"Imported {_handle(id)[:6]}"
    at = now()
    return WorkspaceRow(id=id, owner=TERMINAL, name=called, shared=True, made_at=at, seen_at=at)


def bring_in(connection: sa.Connection, rows: Iterable[WorkspaceRow]) -> None:
    """Add rows of another ledger. An id that is there keeps its row; a name that is taken gets a number behind it."""
    for row in rows:
        if _row(connection, row.id) is None:
            name = row.name if row.deleted_at is not None else _free(connection, row.name, row.shared, row.owner)
            connection.execute(sa.insert(WORKSPACES), {**row.model_dump(), "name": name})


def _free(connection: sa.Connection, name: str, shared: bool, owner: str) -> str:
    """A name, or where it is taken the first free one behind it."""
    where = WORKSPACES.c.deleted_at.is_(None) & (
        WORKSPACES.c.shared if shared else ~WORKSPACES.c.shared & (WORKSPACES.c.owner == owner)
    )
    found = sa.select(WORKSPACES.c.id).where(where)
    return next(free for free in _names(name) if connection.scalar(found.where(WORKSPACES.c.name == free)) is None)


def _names(name: str) -> Iterator[str]:
    """A name, and those behind it: Lecture, Lecture 2, Lecture 3, ..."""
    yield name
    for number in count(2):
        behind = f" {number}"
        yield f"{name[: LONGEST_NAME - len(behind)].rstrip()}{behind}"


def _make_visible(connection: sa.Connection, row: Mapping[str, Any]) -> None:
    """Put a workspace of nobody's on the list again, for everybody."""
    name = _free(connection, row["name"], True, TERMINAL)
    change = sa.update(WORKSPACES).where(WORKSPACES.c.id == row["id"])
    connection.execute(change.values(deleted_at=None, shared=True, name=name))


def _room(row: Mapping[str, Any], visitor: str) -> WorkspaceInfo:
    mine, deleted = row["owner"] == visitor, row["deleted_at"] is not None
    return WorkspaceInfo(row["id"], row["name"], row["shared"], mine, row["made_at"], deleted)


@contextmanager
def _unique(name: str, shared: bool) -> Iterator[None]:
    try:
        yield
    except sa.exc.IntegrityError as error:
        whose = "There is a shared workspace" if shared else "You have a workspace"
        raise BadRequest(f"{whose} called {name!r} already. Choose another name.", "workspace") from error
