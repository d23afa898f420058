"""What every request meets first: only the routes that the page uses are open, and nobody asks in another site's name.

Gradio serves more than the page needs: calls past the queue, a proxy, streams that are found by somebody's session. None of
that can be reached.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

OWN = ("/health", "/ready", "/metrics", "/model", "/login", "/logout")
API = "/gradio_api/"
PAGE = ("/", "/config", "/theme.css", "/favicon.ico", "/robots.txt", "/manifest.json")
CALLS = ("queue/join", "queue/data", "cancel", "reset", "upload", "upload_progress", "info", "startup-events", "theme.css")
FOLDERS = ("/exports/", "/static/", "/assets/", "/svelte/", f"{API}file=/", f"{API}heartbeat/")
OPEN = frozenset((*OWN, *PAGE, *(API + call for call in CALLS)))
SAFE = ("GET", "HEAD", "OPTIONS")
MOST_BYTES = 1_000_000
"""Of the body of a call; files come by `upload`."""


class Guard:
    """An ASGI layer. A subclass may ask for more in `admit`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or answer it with a refusal."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] != "http":
            await WebSocketClose()(scope, receive, send)
        else:
            answer = await self.admit(Request(scope, receive))
            if isinstance(answer, Response):
                await answer(scope, receive, send)
            else:
                await self.app(scope, answer or receive, send)

    async def admit(self, request: Request) -> Response | Receive | None:
        """A refusal, or how the body is to be read where it was read already."""
        path = request.scope["path"]
        if path not in OPEN and not path.startswith(FOLDERS):
            return PlainTextResponse("There is nothing here.", 404)
        if request.method not in SAFE and not from_here(request):
            return PlainTextResponse("Another site asked this of EditLab. Open EditLab itself and try again.", 403)
        return None


def from_here(request: Request) -> bool:
    """Whether the page itself asks, or no browser does: a browser says from where it sends."""
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("host")


async def read_body(request: Request, most: int = MOST_BYTES) -> bytes | None:
    """The body of a request; None where it is longer than that."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            return None
    return bytes(body)


def read_again(body: bytes, receive: Receive) -> Callable[[], Awaitable[Message]]:
    """A body that was read, for whoever reads it next."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again
