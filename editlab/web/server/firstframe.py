"""The first frame of the page: Gradio brings every style by script, so what must hold before stands in the page itself."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

END = b"</head>"
HIDDEN = b"""<style>
.wrap.default.full.translucent { visibility: hidden; }
.gradio-container { visibility: hidden; animation: 0s 10s forwards late; }
@keyframes late { to { visibility: visible; } }
</style>"""
"""Hides the page until its style sheet comes and shows it in its place, or for 10 s where it does not come."""


class FirstFrame:
    """An ASGI layer that writes `HIDDEN` into the head of the page at `/`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and the page back with its style."""
        if scope["type"] != "http" or scope["path"] != "/" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        start: Message = {}
        parts: list[bytes] = []

        async def write(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            if message["type"] != "http.response.body":
                return
            parts.append(message.get("body", b""))
            if message.get("more_body"):
                return
            body = b"".join(parts)
            if Headers(scope=start).get("content-type", "").startswith("text/html"):
                body = body.replace(END, HIDDEN + END, 1)
                MutableHeaders(scope=start)["content-length"] = str(len(body))
            await send(start)
            await send({"type": "http.response.body", "body": body})

        await self.app(scope, receive, write)
