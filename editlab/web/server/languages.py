"""The language of a visit: the one that the address names (`?lang=de`), kept for the visit, else the browser's."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from editlab.web.core.language import choose
from editlab.web.core.place import cookie_path
from editlab.web.core.speaking import speaking

COOKIE = "editlab-lang"


class Languages:
    """An ASGI layer that answers each request in its visitor's language. It sets `request.state.language`.

    Gradio runs handlers outside of the request that called them; from there, `web.core.wiring` reads it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        stated, kept = request.query_params.get("lang"), request.cookies.get(COOKIE)
        chosen = choose((stated, kept), request.headers.get("accept-language", ""))
        request.state.language = chosen

        async def say(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Language"] = chosen
                headers.add_vary_header("Accept-Language")
                if stated == chosen != kept:
                    headers.append("Set-Cookie", _cookie(chosen, request))
            await send(message)

        with speaking(chosen):
            await self.app(scope, receive, say)


def _cookie(chosen: str, request: Request) -> str:
    """Return the header that lets a browser keep a language until it is closed."""
    answer = Response()
    answer.set_cookie(COOKIE, chosen, path=cookie_path(request), httponly=True, samesite="lax")
    return answer.headers["set-cookie"]
