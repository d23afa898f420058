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

HOST = re.compile(rb"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_.-]+))(?::[0-9]{0,5})?")
REFUSED = (
    "EditLab does not answer to the host name {name}. If the name is yours, start EditLab with --hostnames {name} (or set "
    "EDITLAB_HOSTNAMES={name}). A reverse proxy must pass the Host header on."
)
NO_NAME = "This request names no host, or more than one. A reverse proxy must pass the Host header on, once."


class AllowedHosts:
    """An ASGI layer that answers 400 to requests for any other host than `names`.

    `numbers`: whether IP addresses are allowed too, which cannot be pointed elsewhere.
    """

    def __init__(self, app: ASGIApp, names: Collection[str], numbers: bool) -> None:
        self.app, self._names, self._numbers = app, frozenset(names), numbers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        name = _name_of(scope) if scope["type"] == "http" else ""
        if scope["type"] != "http" or name in self._names or (self._numbers and is_address(name)):
            await self.app(scope, receive, send)
        else:
            message = REFUSED.format(name=name) if name else NO_NAME
            await refused(Request(scope), 400, message)(scope, receive, send)


def _name_of(scope: Scope) -> str:
    """Return the host name of a request in lower case; empty where there is none, or not exactly one."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    match = HOST.fullmatch(hosts[0].strip()) if len(hosts) == 1 else None
    return "" if match is None else (match[1] or match[2]).decode("ascii").lower().removesuffix(".")
