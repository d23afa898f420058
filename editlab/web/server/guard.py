"""The guard: it closes every route that the page does not use, and refuses requests of other sites.

Gradio serves more than the page needs: calls without the queue, a proxy, files, streams of any session. The guard closes all
of that. It reads no body beyond its limit.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from editlab.web.api import API_PAGES, is_call
from editlab.web.api.errors import refuse
from editlab.wording import size

OWN = ("/health", "/ready", "/metrics", "/model", "/login", "/logout")
WORKSHOP = ("/workshop/now", "/workshop/guess", "/workshop/leave")
API = "/gradio_api/"
PAGE = ("/", "/config", "/theme.css", "/favicon.ico", "/robots.txt", "/manifest.json")
CALLS = ("queue/join", "queue/data", "cancel", "upload", "info", "startup-events", "theme.css")
FOLDERS = ("/join/", "/exports/", "/static/", "/assets/")
OPEN = frozenset((*OWN, *WORKSHOP, *PAGE, *API_PAGES, *(API + call for call in CALLS)))
SAFE = ("GET", "HEAD", "OPTIONS")
USUAL_PORT = re.compile(":(80|443)$")
"""A port that browsers leave out of their origin, and some proxies write into `Host`."""
MOST_BYTES, MOST_UPLOAD = 300_000, 27_000_000
"""Bytes of a request's body, and of one with a file."""


class TooLarge(HTTPException):
    """A body beyond its limit, which is answered with 413."""

    def __init__(self, most: int) -> None:
        super().__init__(413, f"This request is too large. At most {size(most)} are accepted here.")


class Guard:
    """An ASGI layer that refuses requests. A subclass may override `admit`.

    `login`: whether EditLab has a login page. Without one, these routes are closed, because Gradio has its own. `names`: the
    host names that the operator named.
    """

    def __init__(self, app: ASGIApp, login: bool = False, names: Collection[str] = ()) -> None:
        self.app, self._names = app, names
        self._open = OPEN if login else OPEN - {"/login", "/logout"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] != "http":
            await WebSocketClose()(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            receive = bounded_by(MOST_UPLOAD if scope["path"] == f"{API}upload" else MOST_BYTES, request)
            answer = await self.admit(Request(scope, receive))
            if isinstance(answer, Response):
                await answer(scope, receive, send)
            else:
                await self.app(scope, answer or receive, send)
        except TooLarge as error:
            await refused(request, 413, error.detail)(scope, receive, send)

    async def admit(self, request: Request) -> Response | Receive | None:
        """Return a refusal, how to receive a body again that was read, or None."""
        path = request.scope["path"]
        if path not in self._open and not path.startswith(FOLDERS) and not is_call(path):
            return PlainTextResponse("There is nothing here.", 404)
        if request.method not in SAFE and not from_here(request, self._names):
            return refused(request, 403, "This request came from another site. Open EditLab itself and try again.")
        return None


def refused(request: Request, status: int, message: str) -> Response:
    """Return a refusal: an object for a program that calls the HTTP interface, a text for all others."""
    if is_call(request.scope.get("path", "")):
        return refuse(status, message)
    return PlainTextResponse(message, status)


def from_here(request: Request, names: Collection[str] = ()) -> bool:
    """Return whether a request comes from the page itself or from no browser. Browsers send their origin.

    `names`: host names under which the browser may know the page, where a proxy writes another one into `Host`. Where one of
    them stands in it, the port counts as well: on another one is another server.
    """
    origin, host = request.headers.get("origin"), request.headers.get("host", "")
    if origin is None:
        return True
    site = origin.partition("://")[2]
    if site in (host, USUAL_PORT.sub("", host)):
        return bool(site)
    return site in names and host.partition(":")[0].lower().rstrip(".") not in names


def bounded_by(most: int, request: Request) -> Receive:
    """Return how to receive a body of at most `most` bytes. Raises `TooLarge`, at once for a larger `Content-Length`."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or len(declared) > 18 or int(declared) > most:
        raise TooLarge(most)
    read = 0

    async def receive() -> Message:
        nonlocal read
        message = await request.receive()
        read += len(message.get("body", b""))
        if read > most:
            raise TooLarge(most)
        return message

    return receive


async def read_body(request: Request, most: int) -> bytes:
    """Return the body of a request. Raises `TooLarge` where it has more than `most` bytes."""
    return await Request(request.scope, bounded_by(most, request)).body()


def receive_again(body: bytes, receive: Receive) -> Callable[[], Awaitable[Message]]:
    """Return how to receive a body again that was read."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again
