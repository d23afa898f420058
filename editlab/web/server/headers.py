"""Security headers of every answer: no frames, no scripts of other sites, no access for other sites, no guessed types."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = {
    "default-src": "'self'",
    "script-src": "'self' 'unsafe-inline' 'unsafe-eval' blob:",  # Gradio's page needs all of them
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": "'self'",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
CSP, NOBODY = "Content-Security-Policy", "'none'"
FOR_OTHERS = b"access-control-"
"""The prefix of headers that let other sites read an answer. Gradio sends them to every page of this computer."""


class SecurityHeaders:
    """An ASGI layer that adds these headers to every answer, also to errors, unless the answer has its own.

    `frames`: the sites that may show the page in a frame; nobody may where there are none. An answer's own policy gets this
    as well.
    """

    def __init__(self, app: ASGIApp, frames: Collection[str] = ()) -> None:
        self.app = app
        self._frames = f"frame-ancestors {' '.join(frames) or NOBODY}"
        policy = "; ".join(f"{name} {value}" for name, value in POLICY.items())
        self._headers = HEADERS | {CSP: policy}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and add the headers to its answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def add(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [pair for pair in message.get("headers", ()) if not pair[0].startswith(FOR_OTHERS)]
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                headers[CSP] = f"{headers[CSP]}; {self._frames}"
            await send(message)

        try:
            await self.app(scope, receive, add)
        except Exception:
            if not started:
                await PlainTextResponse("EditLab failed on this request. See the server's log.", 500)(scope, receive, add)
            raise
