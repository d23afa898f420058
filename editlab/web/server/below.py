"""The path below which browsers see EditLab, taken off: inside, every address begins at `/`."""

from __future__ import annotations

from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from editlab.web.core.place import root_of
from editlab.web.server.guard import SAFE

ANYWHERE = (b"x-gradio-server", b".")
"""Lets Gradio's page take its own address in the browser for the server's, whatever proxies make of host and path."""


class Below:
    """An ASGI layer that answers below the path of `request.state.root`, and at the top, where a proxy has taken it off."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on without the path, or lead the browser from `/editlab` to `/editlab/`."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        root, path = root_of(Request(scope)), scope["path"]
        if root and path == unquote(root) and scope["method"] in SAFE:
            query = scope["query_string"].decode("latin-1")
            await RedirectResponse(f"{root}/{'?' if query else ''}{query}", 308)(scope, receive, send)
            return
        inside = path.removeprefix(unquote(root)) if path.startswith(f"{unquote(root)}/") else path
        headers = [*scope["headers"], ANYWHERE]
        await self.app({**scope, "path": inside, "raw_path": inside.encode(), "headers": headers}, receive, send)
