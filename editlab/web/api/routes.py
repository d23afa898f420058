"""How a call of the HTTP interface is declared, admitted and refused.

Each function behind an address states its cost and the scope that a token needs for it, as the page's handlers do. The
firewall reads both before anything else does; a function without them keeps the page from starting.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from editlab.errors import BadRequest, EditLabError
from editlab.lab import Lab, Workspace, WorkspaceInfo
from editlab.lab.access.limits import Asker, Cost, on_behalf_of
from editlab.web.api.errors import NO_OBJECT, Refusal, answer, explain, fault, fault_of

Scope = Literal["ask", "edit"]
Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Any]])

CALLS = ("/v1/", "/api/")
"""How the addresses of calls begin."""
API_PAGES = ("/docs", "/openapi.json")
"""What describes them."""

log = logging.getLogger(__name__)


def is_call(path: str) -> bool:
    """Return whether an address is one of the HTTP interface, existing or not."""
    return path.startswith(CALLS)


@dataclass(frozen=True)
class Declared:
    """The cost of a call, and the scope that it needs."""

    cost: Cost
    scope: Scope


def declared(cost: Cost, scope: Scope) -> Callable[[Handler], Handler]:
    """Declare the cost and the scope of a call."""

    def declare(work: Handler) -> Handler:
        work.declared = Declared(cost, scope)
        return work

    return declare


@dataclass(frozen=True)
class Caller:
    """Who calls. `user`: the name behind the token; None on this computer, whose user may see all its workspaces."""

    lab: Lab
    user: str | None
    visitor: str
    address: str

    @property
    def asker(self) -> Asker:
        """The caller and the address, as limits count them."""
        return Asker(self.visitor, self.address)

    def workspaces(self) -> tuple[WorkspaceInfo, ...]:
        """Return the workspaces that the caller may enter, their own first."""
        directory = self.lab.directory
        return directory.everything() if self.user is None else directory.workspaces(self.visitor)

    def enter(self, info: WorkspaceInfo) -> Workspace:
        """Open one of these workspaces; what is changed there is signed with the user's name."""
        return self.lab.workspace(info.id, self.user or "")

    def find(self, name: str) -> WorkspaceInfo | None:
        """Return the workspace with this name or handle, the caller's own one first; None where there is none."""
        infos = self.workspaces()
        named = (info for info in infos if info.name == name)
        return next(named, None) or next((info for info in infos if info.handle == name), None)

    def find_or_make(self, name: str) -> WorkspaceInfo:
        """Return the workspace with this name; a new one where there is none, private to a user. Raises `BadRequest`."""
        known = self.find(name)
        if known is not None:
            return known
        directory = self.lab.directory
        if self.user is None:
            return directory.adopt(name)
        try:
            return directory.make(self.visitor, name)
        except BadRequest:
            made = self.find(" ".join(name.split()))  # by another call at this moment, or with other white space
            if made is None:
                raise
            return made


def caller_of(request: Request) -> Caller:
    """Return who sends a call that the firewall has let through."""
    caller = request.scope["state"]["caller"]
    assert isinstance(caller, Caller)
    return caller


class ApiRoute(APIRoute):
    """A route whose errors are objects. Raises `TypeError` for a call that states no cost."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **more: Any) -> None:
        if not isinstance(getattr(endpoint, "declared", None), Declared):
            raise TypeError(f"{path} states no cost. Declare it with @declared(cost, scope).")
        super().__init__(path, endpoint, **more)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the route's handler, which works on behalf of the caller and lets no error out."""
        handle = super().get_route_handler()

        async def safely(request: Request) -> Response:
            try:
                with on_behalf_of(caller_of(request).asker):
                    return await handle(request)
            except RequestValidationError as error:
                return answer(400, explain(error.errors()))
            except HTTPException as error:  # bytes that are no text
                return answer(error.status_code, fault(error.status_code, NO_OBJECT))
            except Refusal as refusal:
                return answer(refusal.status, refusal.fault)
            except EditLabError as error:
                return answer(*fault_of(error))
            except Exception as error:
                return answer(500, unexpected(error))

        return safely


def unexpected(error: Exception) -> Any:
    """Log an error of ours under a number, and return what a caller reads of it."""
    number = secrets.token_hex(4)
    log.error("A call failed unexpectedly (%s)", number, exc_info=error)
    return fault(500, f"EditLab failed unexpectedly; nothing was changed. The server's log has the details under {number}.")


class Api:
    """The calls of one lab, as the firewall asks for them: which there are, and what each costs."""

    def __init__(self, router: APIRouter) -> None:
        self.router = router

    def find(self, scope: Any) -> Declared:
        """Return what the call of a request declares. Raises `Refusal` where there is none."""
        matches = [(route, route.matches(scope)[0]) for route in self.router.routes if isinstance(route, ApiRoute)]
        found = next((route for route, match in matches if match is Match.FULL), None)
        if found is not None:
            stated = found.endpoint.declared
            assert isinstance(stated, Declared)
            return stated
        allowed = sorted({method for route, match in matches if match is Match.PARTIAL for method in route.methods})
        if allowed:
            raise Refusal(405, f"This address takes {', '.join(allowed)}. Send that.", "method_not_allowed")
        raise Refusal(404, "There is no such call. /docs lists all of them.", "unknown_url")


def refuse_missing(name: str) -> BadRequest:
    """Return the error about a workspace that the caller has not, whoever else may have it."""
    return BadRequest(
        f"There is no workspace {name[:60]!r}, or it is not shared with you. GET /v1/models lists yours.", "workspace"
    )
