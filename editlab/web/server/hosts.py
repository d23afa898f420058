"""Check of host names: EditLab answers only to its own.

A site can point its name to this computer's address (DNS rebinding). For the browser, its scripts then have the same origin
as the page. They cannot change the `Host` header, which still has the site's name.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from editlab.lab.access.addresses import is_address
from editlab.web.server.guard import refused
from editlab.web.server.proxies import HOST_SEEN

HOST = re.compile(rb"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_.-]+))(?::[0-9]{0,5})?")
REFUSED = (
    "EditLab does not answer to the host name {name}. If the name is yours, start EditLab with --hostnames {name} (or set "
    "EDITLAB_HOSTNAMES={name}). A reverse proxy must pass the Host header on."
)
NO_NAME = "This request names no host, or more than one. A reverse proxy must pass the Host header on, once."


class AllowedHosts:
    """An ASGI layer that answers 400 to requests for any other host than `names`.

    `numbers`: whether IP addresses are allowed too, which cannot be pointed elsewhere. Where a proxy says which host the
    browser asked, both names have to be allowed, and the browser's is passed on: a proxy that lets visitors write that
    header opens nothing.
    """

    def __init__(self, app: ASGIApp, names: Collection[str], numbers: bool) -> None:
        self.app, self._names, self._numbers = app, tuple(names), numbers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        stated = scope.get("state", {}).get(HOST_SEEN)
        seen = [] if stated is None else [host.strip().encode() for host in stated.split(",")]  # the browser's is the first
        asked = [_name_in(hosts[0]) if len(hosts) == 1 else "", *map(_name_in, seen)]
        wrong = next((name for name in asked if not self._allows(name)), None)
        if wrong is not None:
            message = REFUSED.format(name=wrong) if wrong else NO_NAME
            await refused(Request(scope), 400, message)(scope, receive, send)
            return
        if seen:
            scope["headers"] = [(name, seen[0] if name == b"host" else value) for name, value in scope["headers"]]
        await self.app(scope, receive, send)

    def _allows(self, name: str) -> bool:
        return named(name, self._names) or (self._numbers and is_address(name))


def named(name: str, names: Collection[str]) -> bool:
    """Return whether a host name is one of `names`, or lies below one that begins with a dot."""
    return any(name.endswith(own) and name != own if own.startswith(".") else name == own for own in names)


def _name_in(host: bytes) -> str:
    """Return the name in a `Host` header in lower case, without its port; empty where there is none."""
    match = HOST.fullmatch(host.strip())
    return "" if match is None else (match[1] or match[2]).decode("ascii").lower().removesuffix(".")
