"""The directory of workspaces: their names, their owners, and which of them each visitor has open.

Only its owner sees a private workspace; every user sees a shared one under its name. The edits are in the ledger: a deleted
workspace is removed from the list, and its events are kept. A workspace that was made on the terminal has no owner. It stays
shared and on the list, because nobody could restore it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from secrets import token_hex
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from editlab.errors import BadRequest
from editlab.lab.ledger.bodies import LONGEST_NAME as LONGEST_ID
from editlab.lab.ledger.bodies import is_time
from editlab.lab.ledger.events import BESIDE
from editlab.lab.ledger.ledger import Ledger, now
from editlab.lab.ledger.names import MADE_ID, PARTICIPANT, WORKSHOP, handle_of, is_participant, normalize_name, numbered
from editlab.lab.ledger.tables import EVENTS, VISITORS, WORKSHOPS, WORKSPACES
from editlab.wording import noop

FIRST = noop("My edits")
"""The name of the workspace that each visitor gets on the first visit, unless a page names it in its own language."""
MOST_OWN = 100
SEEN_MINUTES = 5
"""A workspace's time of last use is written again after so many minutes."""
TERMINAL = ""
"""The owner of workspaces that were made on the terminal, or imported without an owner."""
MOST_LISTED = 20
"""Names in one message."""

_Id = Annotated[str, StringConstraints(max_length=LONGEST_ID)]
_Time = Annotated[str, StringConstraints(max_length=40), AfterValidator(is_time)]


@dataclass(frozen=True)
class WorkspaceInfo:
    """A workspace in the directory. `id`: the key of its events; `mine`: whether the visitor who asked is its owner."""

    id: str
    name: str
    shared: bool
    mine: bool
    made_at: str
    deleted: bool = False

    @property
    def handle(self) -> str:
        """Its name in pages, addresses and bundles. The id itself may be the visitor's id, which is a secret."""
        return handle_of(self.id)

    @property
    def title(self) -> str:
        """Its name, marked where it is shared."""
        return f"{self.name} (shared)" if self.shared else self.name


class WorkspaceRow(BaseModel):
    """A workspace's row in the table and in archives."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    id: _Id
    owner: _Id
    name: Annotated[str, AfterValidator(lambda name: _check_normalized(name))]
    shared: bool
    made_at: _Time
    seen_at: _Time
    deleted_at: _Time | None = None


class Directory:
    """The workspaces of a ledger. `visitor` is the id of a user, or the id that a browser keeps."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._ids: dict[str, str] = {}

    def workspaces(self, visitor: str, deleted: bool = False) -> tuple[WorkspaceInfo, ...]:
        """Return the workspaces that a visitor may enter, their own first; with `deleted`, those that they have deleted."""
        where = WORKSPACES.c.owner == visitor
        where &= WORKSPACES.c.deleted_at.is_not(None) if deleted else WORKSPACES.c.deleted_at.is_(None)
        if not deleted and not is_participant(visitor):
            where |= WORKSPACES.c.shared & WORKSPACES.c.deleted_at.is_(None)
        with self._ledger.transaction() as connection:
            rows = connection.execute(sa.select(WORKSPACES).where(where).order_by(WORKSPACES.c.made_at)).mappings().all()
        return tuple(sorted((_info(row, visitor) for row in rows), key=lambda info: (info.shared, not info.mine)))

    def everything(self) -> tuple[WorkspaceInfo, ...]:
        """Return all workspaces on the list, for who may see them all; those of workshops are not on it."""
        with self._ledger.transaction() as connection:
            chosen = sa.select(WORKSPACES).where(WORKSPACES.c.deleted_at.is_(None)).order_by(WORKSPACES.c.made_at)
            rows = connection.execute(chosen).mappings().all()
        return tuple(_info(row, TERMINAL) for row in rows if not row["owner"].startswith((PARTICIPANT, WORKSHOP)))

    def current(self, visitor: str, first: str = FIRST) -> WorkspaceInfo:
        """Return the workspace that a visitor has open; where it is gone, their first one.

        On the first visit it is made, by the name `first`.
        """
        with self._ledger.transaction() as connection:
            chosen = connection.scalar(sa.select(VISITORS.c.workspace).where(VISITORS.c.id == visitor))
            row = _row(connection, chosen) if chosen else None
            if row is not None and _may_enter(row, visitor):
                if _minutes_since(row["seen_at"]) > SEEN_MINUTES:
                    connection.execute(sa.update(WORKSPACES).where(WORKSPACES.c.id == row["id"]).values(seen_at=now()))
                return _info(row, visitor)
        own = [info for info in self.workspaces(visitor) if info.mine]
        self._settle(visitor, (own[0] if own else self._first(visitor, first)).id, chosen)
        return self.current(visitor, first)

    def _settle(self, visitor: str, id: str, instead: str | None) -> None:
        """Open a workspace for a visitor who has `instead` or none open, but not if they have just entered another one."""
        row = {"id": visitor, "workspace": id, "seen_at": now()}
        with self._ledger.transaction() as connection:
            connection.execute(sa.insert(VISITORS).prefix_with("OR IGNORE"), row)
            if instead is not None:
                where = (VISITORS.c.id == visitor) & (VISITORS.c.workspace == instead)
                connection.execute(sa.update(VISITORS).where(where).values(workspace=id))

    def enter(self, visitor: str, id: str) -> WorkspaceInfo:
        """Open a workspace for a visitor. Raises `BadRequest` where it does not exist or they may not enter it."""
        with self._ledger.transaction() as connection:
            row = _known(connection, visitor, id)
            connection.execute(sa.delete(VISITORS).where(VISITORS.c.id == visitor))
            connection.execute(sa.insert(VISITORS), {"id": visitor, "workspace": id, "seen_at": now()})
            connection.execute(sa.update(WORKSPACES).where(WORKSPACES.c.id == id).values(seen_at=now()))
            return _info(row, visitor)

    def find(self, visitor: str, handle: str, deleted: bool = False) -> WorkspaceInfo:
        """Return the workspace with this handle that a visitor may enter, or has deleted; a shared one also by its name.

        Raises `BadRequest`.
        """
        infos = self.workspaces(visitor, deleted)
        by_name = (info for info in infos if info.shared and info.name == handle)
        info = next((info for info in infos if info.handle == handle), None) or next(by_name, None)
        if info is None:
            raise BadRequest("There is no such workspace, or it is not shared with you. Choose one from the list.")
        return info

    def last_event(self, handle: str, model: str, visitor: str | None = None) -> int | None:
        """Return the number of a workspace's last event that changed its edits, 0 without any; None where there is none.

        With a `visitor`, one that they may not enter is none either.
        """
        with self._ledger.transaction() as connection:
            if handle not in self._ids:
                self._ids = {handle_of(id): id for id in connection.scalars(sa.select(WORKSPACES.c.id))}
            id = self._ids.get(handle, "")
            row = _row(connection, id)
            if not id or (visitor is not None and (row is None or not _may_enter(row, visitor))):
                return None
            own = (EVENTS.c.model == model) & (EVENTS.c.workspace == id) & EVENTS.c.kind.not_in(BESIDE)
            return connection.scalar(sa.select(sa.func.max(EVENTS.c.number)).where(own)) or 0

    def may_enter(self, visitor: str, id: str) -> bool:
        """Return whether a workspace is a visitor's own, or shared."""
        with self._ledger.transaction() as connection:
            row = _row(connection, id)
        return row is not None and _may_enter(row, visitor)

    def owner_of(self, id: str) -> str | None:
        """Return the owner of a workspace; None where there is none."""
        with self._ledger.transaction() as connection:
            row = _row(connection, id)
        return None if row is None else row["owner"]

    def make(self, visitor: str, name: str, shared: bool = False, id: str = "") -> WorkspaceInfo:
        """Make a workspace. Raises `BadRequest` for a name that is taken or not allowed."""
        name, at = normalize_name(name), now()
        if is_participant(visitor) and self.workspaces(visitor):
            raise BadRequest("In a workshop you have one workspace. Undo your edits there, or remove them.")
        if visitor != TERMINAL and sum(info.mine for info in self.workspaces(visitor)) >= MOST_OWN:
            raise BadRequest(f"You have {MOST_OWN} workspaces. Delete one first.")
        row = {"id": id or token_hex(8), "owner": visitor, "name": name, "shared": shared}
        with _unique(name, shared), self._ledger.transaction() as connection:
            connection.execute(sa.insert(WORKSPACES), {**row, "made_at": at, "seen_at": at, "deleted_at": None})
        return WorkspaceInfo(row["id"], name, shared, True, at)

    def begin_anew(self, visitor: str, first: str = FIRST) -> WorkspaceInfo:
        """Open a new, empty workspace for a visitor, for example because the one that was open cannot be read.

        Its name is `first`, with a number where that is taken.
        """
        taken = {info.name for info in self.workspaces(visitor)}
        made = self.make(visitor, next(name for name in numbered(first) if name not in taken))
        return self.enter(visitor, made.id)

    def _first(self, visitor: str, name: str) -> WorkspaceInfo:
        """Make the workspace of a first visit. Its id is the visitor's, which is the key of the events in older ledgers."""
        with self._ledger.transaction() as connection:
            taken = _row(connection, visitor) is not None
        try:
            return self.make(visitor, name, id="" if taken else visitor)
        except BadRequest:  # another request of the same visitor has made it at this moment
            return next(info for info in self.workspaces(visitor) if info.mine)

    def adopt(self, name: str) -> WorkspaceInfo:
        """Return the workspace of this name for the terminal (see `look_up`); make a shared one where there is none.

        Raises `BadRequest` for a name that is not allowed.
        """
        with self._ledger.transaction() as connection:
            row = _row(connection, name)
            if row is not None and row["owner"] == TERMINAL and not (row["shared"] and row["deleted_at"] is None):
                _make_visible(connection, row)
        known = self.look_up(name)
        if known is not None:
            return known
        try:
            return self.make(TERMINAL, name, shared=True, id="" if row is not None else normalize_name(name))
        except BadRequest:
            made = self.look_up(normalize_name(name))  # by another process at this moment, or with other white space
            if made is None:
                raise
            return made

    def look_up(self, name: str) -> WorkspaceInfo | None:
        """Return the workspace with this id, or the shared one with this name; None where none is on the list."""
        with self._ledger.transaction() as connection:
            shared = (WORKSPACES.c.name == name) & WORKSPACES.c.shared & WORKSPACES.c.deleted_at.is_(None)
            row = _row(connection, name)
            if row is None or row["deleted_at"] is not None:
                row = connection.execute(sa.select(WORKSPACES).where(shared)).mappings().first()
        return None if row is None else _info(row, TERMINAL)

    def id_of(self, name: str) -> str:
        """Return the id of a workspace for the terminal (see `look_up`), also of one that is deleted or has no row.

        Raises `BadRequest`, which lists those that exist.
        """
        info = self.look_up(name)
        if info is not None:
            return info.id
        with self._ledger.transaction() as connection:
            if _row(connection, name) is not None:
                return name
            if connection.scalar(sa.select(EVENTS.c.id).where(EVENTS.c.workspace == name).limit(1)) is not None:
                return name
            shared = sa.select(WORKSPACES.c.name).where(WORKSPACES.c.shared & WORKSPACES.c.deleted_at.is_(None))
            names = connection.scalars(shared.order_by(WORKSPACES.c.name)).all()
            others = connection.scalar(
                sa.select(sa.func.count())
                .select_from(WORKSPACES)
                .where(~WORKSPACES.c.shared & WORKSPACES.c.deleted_at.is_(None))
            )
        listed = ", ".join(map(repr, names[:MOST_LISTED])) or "none"
        more = noop(f" and {len(names) - MOST_LISTED} more") if len(names) > MOST_LISTED else ""
        private = noop(f"; {others} more are private; use their id") if others else ""
        raise BadRequest(f"There is no workspace {name[:80]!r}. Shared ones are: {listed}{more}{private}.")

    def rename(self, visitor: str, id: str, name: str, was: str) -> WorkspaceInfo:
        """Rename a workspace that is called `was`. Raises `BadRequest`, also where somebody else has just renamed it."""
        name = normalize_name(name)
        with self._ledger.transaction() as connection:
            shared = _known(connection, visitor, id)["shared"]
        with _unique(name, shared), self._ledger.transaction() as connection:
            where = (WORKSPACES.c.id == id) & (WORKSPACES.c.name == was)
            if not connection.execute(sa.update(WORKSPACES).where(where).values(name=name)).rowcount:
                new = _known(connection, visitor, id)["name"]
                raise BadRequest(f"Somebody has just renamed it to {new!r}. Nothing was changed. Rename it again if needed.")
            return _info(_known(connection, visitor, id), visitor)

    def share(self, visitor: str, id: str, on: bool) -> WorkspaceInfo:
        """Share a workspace of the visitor's own with all users, or make it private. Raises `BadRequest`."""
        with self._ledger.transaction() as connection:
            row = _own(connection, visitor, id, noop("share"), on)
        with _unique(row["name"], on), self._ledger.transaction() as connection:
            connection.execute(sa.update(WORKSPACES).where(WORKSPACES.c.id == id).values(shared=on))
        return replace(_info(row, visitor), shared=on)

    def delete(self, visitor: str, id: str) -> WorkspaceInfo:
        """Remove a workspace of the visitor's own from the list; its events stay in the ledger. Raises `BadRequest`."""
        with self._ledger.transaction() as connection:
            row = _own(connection, visitor, id, noop("delete"))
            connection.execute(sa.update(WORKSPACES).where(WORKSPACES.c.id == id).values(deleted_at=now()))
        return replace(_info(row, visitor), deleted=True)

    def restore(self, visitor: str, id: str) -> WorkspaceInfo:
        """Restore a workspace that the visitor has deleted. Raises `BadRequest`, also where its name is taken meanwhile."""
        info = next((info for info in self.workspaces(visitor, deleted=True) if info.id == id), None)
        if info is None:
            raise BadRequest("There is no such workspace among those that you have deleted. Choose one from the list.")
        with _unique(info.name, info.shared), self._ledger.transaction() as connection:
            connection.execute(sa.update(WORKSPACES).where(WORKSPACES.c.id == id).values(deleted_at=None))
        return replace(info, deleted=False)


def _check_normalized(name: str) -> str:
    """Return a name that is in its normal form. Raises `ValueError` for another one."""
    try:
        if normalize_name(name) == name:
            return name
    except BadRequest as error:
        raise ValueError(str(error)) from error
    raise ValueError("a name has extra white space")


def _minutes_since(at: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds() / 60


def _row(connection: sa.Connection, id: str) -> Mapping[str, Any] | None:
    return connection.execute(sa.select(WORKSPACES).where(WORKSPACES.c.id == id)).mappings().first()


def _may_enter(row: Mapping[str, Any], visitor: str) -> bool:
    shared = row["shared"] and not is_participant(visitor)
    return row["deleted_at"] is None and (shared or row["owner"] == visitor)


def _known(connection: sa.Connection, visitor: str, id: str) -> Mapping[str, Any]:
    row = _row(connection, id)
    if row is None or not _may_enter(row, visitor):
        raise BadRequest("There is no such workspace, or it is not shared with you. Choose one from the list.")
    return row


def _own(connection: sa.Connection, visitor: str, id: str, what: str, shared: bool = False) -> Mapping[str, Any]:
    """Return the row of a visitor's own workspace. Raises `BadRequest`. One without an owner may only be `shared`."""
    if is_participant(visitor):
        raise BadRequest(f"In a workshop you cannot {what} your workspace. It is private, and ends with the workshop.")
    row = _known(connection, visitor, id)
    if row["owner"] == TERMINAL and not shared:
        raise BadRequest(
            f"{row['name']!r} was made on the terminal and has no owner: nobody could restore it. Branch it into a "
            "workspace of your own, or delete it on the terminal: editlab ledger forget --workspace NAME."
        )
    if row["owner"] not in (TERMINAL, visitor):
        raise BadRequest(f"Only the owner of {row['name']!r} can {what} it. Nothing was changed.")
    return row


def rows(ledger: Ledger, ids: Collection[str] | None = None) -> tuple[WorkspaceRow, ...]:
    """Return the rows of these workspaces, or of all, with deleted ones."""
    chosen = sa.select(WORKSPACES).order_by(WORKSPACES.c.made_at, WORKSPACES.c.id)
    if ids is not None:
        chosen = chosen.where(WORKSPACES.c.id.in_(ids))
    with ledger.transaction() as connection:
        return tuple(WorkspaceRow.model_construct(**row) for row in connection.execute(chosen).mappings())


def ids_of_owner(ledger: Ledger, owner: str) -> tuple[str, ...]:
    """Return the ids of an owner's workspaces, with deleted ones and what their workshops began with.

    Raises `BadRequest`, which lists owners, for none.
    """
    own = sa.select(WORKSPACES.c.id).where(WORKSPACES.c.owner == owner)
    seeds = sa.select(WORKSHOPS.c.seed).where(WORKSHOPS.c.owner == owner)
    with ledger.transaction() as connection:
        ids = connection.scalars(sa.union(own, seeds)).all() if owner else ()
        if ids:
            return tuple(ids)
        owners = connection.scalars(sa.select(WORKSPACES.c.owner).where(WORKSPACES.c.owner != TERMINAL).distinct()).all()
    listed = ", ".join(map(repr, sorted(owners)[:MOST_LISTED])) or "none"
    more = noop(f" and {len(owners) - MOST_LISTED} more") if len(owners) > MOST_LISTED else ""
    raise BadRequest(f"There is no owner {owner[:80]!r}. Owners are: {listed}{more}.")


def row_without_owner(id: str, name: Any = None) -> WorkspaceRow:
    """Return the row of a workspace without a known owner: shared, called `name` or, where that is not allowed, its id."""
    for known in (name, None if MADE_ID.fullmatch(id) else id):
        try:
            called = normalize_name(known) if isinstance(known, str) else ""
        except BadRequest:
            continue
        if called:
            break
    else:
        called = f"Imported {handle_of(id)[:6]}"
    at = now()
    return WorkspaceRow(id=id, owner=TERMINAL, name=called, shared=True, made_at=at, seen_at=at)


def add_rows(connection: sa.Connection, rows: Iterable[WorkspaceRow]) -> None:
    """Add rows of another ledger. An id that exists keeps its row; a name that is taken gets a number."""
    for row in rows:
        if _row(connection, row.id) is None:
            name = row.name if row.deleted_at is not None else _free(connection, row.name, row.shared, row.owner)
            connection.execute(sa.insert(WORKSPACES), {**row.model_dump(), "name": name})


def _free(connection: sa.Connection, name: str, shared: bool, owner: str) -> str:
    """Return a name; where it is taken, the first free one with a number."""
    where = WORKSPACES.c.deleted_at.is_(None) & (
        WORKSPACES.c.shared if shared else ~WORKSPACES.c.shared & (WORKSPACES.c.owner == owner)
    )
    found = sa.select(WORKSPACES.c.id).where(where)
    return next(free for free in numbered(name) if connection.scalar(found.where(WORKSPACES.c.name == free)) is None)


def _make_visible(connection: sa.Connection, row: Mapping[str, Any]) -> None:
    """Put a workspace without an owner back on the list, shared."""
    name = _free(connection, row["name"], True, TERMINAL)
    change = sa.update(WORKSPACES).where(WORKSPACES.c.id == row["id"])
    connection.execute(change.values(deleted_at=None, shared=True, name=name))


def _info(row: Mapping[str, Any], visitor: str) -> WorkspaceInfo:
    mine, deleted = row["owner"] == visitor, row["deleted_at"] is not None
    return WorkspaceInfo(row["id"], row["name"], row["shared"], mine, row["made_at"], deleted)


@contextmanager
def _unique(name: str, shared: bool) -> Iterator[None]:
    try:
        yield
    except sa.exc.IntegrityError as error:
        raise BadRequest(
            f"There is a shared workspace called {name!r} already. Choose another name."
            if shared
            else f"You have a workspace called {name!r} already. Choose another name.",
            "workspace",
        ) from error
