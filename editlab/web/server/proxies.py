"""Forwarded headers: trusted from the operator's proxies, removed from all other requests.

`X-Forwarded-For` and `X-Forwarded-Proto` are used if the operator has named the proxy that sends them. All other headers of
this kind are removed from every request, because Gradio trusts them and builds addresses from them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from editlab.lab.access.addresses import is_address

FORWARDED = (b"x-forwarded", b"x-original-", b"x-gradio-", b"x-ms-", b"x-envoy-", b"x-rewrite-", b"x-ip-token")
"""The prefixes of such headers."""
NAMED = frozenset(
    {b"forwarded", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip", b"true-client-ip", b"cf-connecting-ip"}
)
TELLING = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded", b"x-real-ip"})
"""Headers that hint at a proxy."""

log = logging.getLogger(__name__)


class Forwarded:
    """An ASGI layer that sets `scope["client"]` and `scope["scheme"]` to the visitor's and removes forwarded headers."""

    def __init__(self, app: ASGIApp, proxies: Sequence[str]) -> None:
        self.app = app
        self._proxies = ProxyHeadersMiddleware(self._bare, list(proxies))  # type: ignore[arg-type]
        self._warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its visitor's address."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        peer = scope.get("client")
        scope.setdefault("state", {})["forwarded"] = any(name in TELLING for name, _ in scope["headers"])
        if not self._warned and (peer is None or peer[0] not in self._proxies.trusted_hosts):
            self._warn(scope)
        await self._proxies(scope, receive, send)  # type: ignore[arg-type]

    async def _bare(self, scope: Scope, receive: Receive, send: Send) -> None:
        given, client = scope["headers"], scope.get("client")
        scope["headers"] = [pair for pair in given if pair[0] not in NAMED and not pair[0].startswith(FORWARDED)]
        if client is not None and len(scope["headers"]) < len(given) and not is_address(client[0]):
            scope["client"] = ("", 0)  # the proxy sent no valid address
        await self.app(scope, receive, send)

    def _warn(self, scope: Scope) -> None:
        if any(name in TELLING for name, _ in scope["headers"]):
            self._warned = True
            log.warning(
                "A request came with forwarded headers from an address that is not named as a proxy's; they are ignored. If "
                "a reverse proxy is in front of EditLab, name its address: --proxies ADDRESS"
            )
