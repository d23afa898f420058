"""What every request meets first: only the routes that the page uses are open, and nobody asks in another site's name.

Gradio serves more than the page needs: calls past the queue, a proxy, files, streams that are found by somebody's session.
None of that can be reached. No body is read beyond its size.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

OWN = ("/health", "/ready", "/metrics", "/model", "/login", "/logout")
API = "/gradio_api/"
PAGE = ("/", "/config", "/theme.css", "/favicon.ico", "/robots.txt", "/manifest.json")
CALLS = ("queue/join", "queue/data", "cancel", "upload", "info", "startup-events", "theme.css")
FOLDERS = ("/exports/", "/static/", "/assets/")
OPEN = frozenset((*OWN, *PAGE, *(API + call for call in CALLS)))
SAFE = ("GET", "HEAD", "OPTIONS")
MOST_BYTES, MOST_UPLOAD = 300_000, 27_000_000
"""Of the body of a call, and of one that brings a file."""


class TooLarge(HTTPException):
    """A body that is larger than what is read."""

    def __init__(self, most: int) -> None:
        super().__init__(413, f"At most {most:,} bytes are taken here.")


class Guard:
    """An ASGI layer. A subclass may ask for more in `admit`.

    `login`: whether there is a page to log in at; Gradio has one too, which nobody shall find where there is none.
    """

    def __init__(self, app: ASGIApp, login: bool = False) -> None:
        self.app = app
        self._open = OPEN if login else OPEN - {"/login", "/logout"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or answer it with a refusal."""
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
            await PlainTextResponse(error.detail, 413)(scope, receive, send)

    async def admit(self, request: Request) -> Response | Receive | None:
        """A refusal, or how the body is to be read where it was read already."""
        path = request.scope["path"]
        if path not in self._open and not path.startswith(FOLDERS):
            return PlainTextResponse("There is nothing here.", 404)
        if request.method not in SAFE and not from_here(request):
            return PlainTextResponse("Another site asked this of EditLab. Open EditLab itself and try again.", 403)
        return None


def address_of(request: Request) -> str:
    """Return the address that a request comes from; empty where there is none, as of a Unix socket."""
    return request.client.host if request.client else ""


def from_here(request: Request) -> bool:
    """Whether the page itself asks, or no browser does: a browser says from where it sends."""
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("host")


def bounded_by(most: int, request: Request) -> Receive:
    """Return how a body of at most so many bytes is received. Raises `TooLarge`, at once where the head says it already."""
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
    """Return the body of a request. Raises `TooLarge` where it has more than so many bytes."""
    return await Request(request.scope, bounded_by(most, request)).body()


def read_again(body: bytes, receive: Receive) -> Callable[[], Awaitable[Message]]:
    """A body that was read, for whoever reads it next."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again
