"""Forwarded headers: trusted from the operator's proxies, removed from all other requests.

`X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix` are used if the operator has named the proxy that sends them. All other
headers of this kind are removed from every request, because Gradio trusts them and builds addresses from them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from editlab.lab.access.addresses import is_address
from editlab.settings import LONGEST_ROOT, ROOT_PATH
from editlab.web.core.place import ROOT

FORWARDED = (b"x-forwarded", b"x-original-", b"x-gradio-", b"x-ms-", b"x-envoy-", b"x-rewrite-", b"x-ip-token", b"x-proxy")
"""The prefixes of such headers."""
NAMED = frozenset(
    {b"forwarded", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip", b"true-client-ip", b"cf-connecting-ip"}
)
TELLING = (b"x-forwarded", b"forwarded", b"x-real-ip")
"""The prefixes of headers that hint at a proxy."""
HOST_SEEN = "host_seen"
"""The name of the host that a proxy says that the browser asked, in `request.state`; None where it says nothing."""

log = logging.getLogger(__name__)


class Forwarded:
    """An ASGI layer that sets `scope["client"]` and `scope["scheme"]` to the visitor's and removes forwarded headers.

    It sets `request.state.root`, the path below which the browser sees EditLab: the proxy's, else `root`. `hosts`: whether a
    proxy's `X-Forwarded-Host` counts.
    """

    def __init__(self, app: ASGIApp, proxies: Sequence[str], root: str = "", hosts: bool = True) -> None:
        self.app, self._root, self._hosts = app, root, hosts
        self._proxies = ProxyHeadersMiddleware(self._bare, list(proxies))  # type: ignore[arg-type]
        self._warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its visitor's address."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        peer, state = scope.get("client"), scope.setdefault("state", {})
        trusted = peer is not None and peer[0] in self._proxies.trusted_hosts
        state["forwarded"] = _is_forwarded(scope)
        state[ROOT] = (_root_in(scope) if trusted else None) or self._root
        state[HOST_SEEN] = _only(scope, b"x-forwarded-host") if trusted and self._hosts else None
        if not trusted and not self._warned:
            self._warn(scope)
        await self._proxies(scope, receive, send)  # type: ignore[arg-type]

    async def _bare(self, scope: Scope, receive: Receive, send: Send) -> None:
        given, client = scope["headers"], scope.get("client")
        scope["headers"] = [pair for pair in given if pair[0] not in NAMED and not pair[0].startswith(FORWARDED)]
        if client is not None and len(scope["headers"]) < len(given) and not is_address(client[0]):
            scope["client"] = ("", 0)  # the proxy sent no valid address
        await self.app(scope, receive, send)

    def _warn(self, scope: Scope) -> None:
        if _is_forwarded(scope):
            self._warned = True
            log.warning(
                "A request came with forwarded headers from an address that is not named as a proxy's; they are ignored. If "
                "a reverse proxy is in front of EditLab, name its address: --proxies ADDRESS"
            )


def _is_forwarded(scope: Scope) -> bool:
    return any(name.startswith(TELLING) for name, _ in scope["headers"])


def _only(scope: Scope, header: bytes) -> str | None:
    """Return a header's value; None where it is missing, empty, or there more than once."""
    values = [value.decode("latin-1").strip() for name, value in scope["headers"] if name == header]
    return (values[0] or None) if len(values) == 1 else None


def _root_in(scope: Scope) -> str | None:
    """Return the path that a proxy states; None where it states none, or something that is none."""
    stated = (_only(scope, b"x-forwarded-prefix") or "").rstrip("/")
    return stated if len(stated) <= LONGEST_ROOT and ROOT_PATH.fullmatch(stated) else None
