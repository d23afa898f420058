"""Who calls a handler, and from where: the visitor, their session and their workspace, with Gradio's request hidden."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from starlette.requests import Request

from editlab.lab import Lab, Workspace, WorkspaceInfo
from editlab.lab.access.limits import Asker
from editlab.lab.ledger.directory import FIRST
from editlab.lab.ledger.names import PARTICIPANT, WORKSHOP
from editlab.lab.workshops import Participant
from editlab.web.core.language import gettext as _
from editlab.web.core.place import address_of_page

RESERVED = (PARTICIPANT, WORKSHOP)
"""How no browser's own id begins."""
ANY, MADE = re.compile(r"(?s).{1,64}"), re.compile(r"[\w-]{22}", re.ASCII)
"""Ids of visitors: any, and those of the form that the server makes."""


@dataclass(frozen=True)
class Visit:
    """One call of a handler. `workspace` and what depends on it are those that are open now, so they change on the way.

    visitor: the id of the user who is logged in, else of a workshop's participant, else of the browser. user: the name of
    the login, None without one. query: the address's parameters. page: its address in the browser.
    """

    lab: Lab = field(repr=False)
    visitor: str
    session: str
    user: str | None = None
    address: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    participant: Participant | None = None
    page: str = ""

    @classmethod
    def of(cls, lab: Lab, stated: Any, request: Any) -> Visit:
        """Return the visit behind Gradio's request. `stated`: the id that the browser keeps, which a login overrules."""
        session, user = str(request.session_hash), request.username
        participant = getattr(getattr(request, "state", None), "participant", None)
        if participant is not None:
            visitor, user = participant.id, None
        elif user is not None:
            visitor = lab.owner(user)
        else:
            visitor = stated if is_id(stated, lab) else lab.new_visitor_id(session)
        return cls(lab, visitor, session, user, address_of(request), request.query_params, participant, _page_of(request))

    @property
    def kept(self) -> dict[str, str]:
        """What the browser keeps as its visitor's id; nothing of a participant, whom the cookie names while it is valid."""
        return {} if self.participant is not None else {"visitor": self.visitor}

    @property
    def workspace_info(self) -> WorkspaceInfo:
        """The entry of the open workspace in the directory."""
        return self.lab.directory.current(self.visitor, _(FIRST))

    @property
    def workspace(self) -> Workspace:
        """The open workspace."""
        return self.enter(self.workspace_info)

    def enter(self, info: WorkspaceInfo) -> Workspace:
        """Return a workspace that the visitor may use, as its author."""
        return self.lab.workspace(info.id, self.author_in(info))

    @property
    def author(self) -> str:
        """The name that signs what the visitor does in the open workspace."""
        return self.author_in(self.workspace_info)

    def author_in(self, info: WorkspaceInfo) -> str:
        """Return the name that signs: the login's; without one, in a shared workspace, a name that says nothing else."""
        if self.user is not None:
            return self.user
        return f"visitor {self.lab.metrics.digest(self.visitor)[:4]}" if info.shared else ""

    @property
    def by(self) -> str:
        """The name of the user for the log; empty without a login."""
        return self.user or ""

    @property
    def asker(self) -> Asker:
        """The visitor and their address, as limits count them."""
        return Asker(self.visitor, self.address)


def is_id(stated: Any, lab: Lab) -> TypeGuard[str]:
    """Return whether what a browser states as its visitor's id can be one.

    A demo accepts only ids that the server made: a shorter one could be guessed, or be a workspace's name.
    """
    form = MADE if lab.limits.demo else ANY
    return isinstance(stated, str) and form.fullmatch(stated) is not None and not stated.startswith(RESERVED)


def _page_of(request: Any) -> str:
    """Return the page's address in the browser; empty where a handler is called without one."""
    return address_of_page(request) if getattr(request, "headers", None) else ""


def address_of(request: Request) -> str:
    """Return the address that a request comes from; empty where there is none, as of a Unix socket."""
    return request.client.host if request.client else ""
