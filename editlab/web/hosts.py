"""Which names the server answers to.

A site can let its own name point to this computer's address (DNS rebinding): for the browser, its scripts then come from
the same place as the page. What they cannot choose is the `Host` header, which carries that name.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from editlab.lab.addresses import is_address

HOST = re.compile(rb"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_.-]+))(?::[0-9]{0,5})?")
REFUSED = (
    "EditLab does not answer to this name. If it is yours, start EditLab with --hostnames NAME (or EDITLAB_HOSTNAMES=NAME); "
    "a reverse proxy has to hand on the Host header."
)


class AllowedHosts:
    """An ASGI layer that answers 400 to requests for any other host than `names`.

    `numbers`: whether an IP address is answered too. Nobody can let an address point elsewhere.
    """

    def __init__(self, app: ASGIApp, names: Collection[str], numbers: bool) -> None:
        self.app, self._names, self._numbers = app, frozenset(names), numbers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or refuse it."""
        if scope["type"] != "http" or self._allowed(scope):
            await self.app(scope, receive, send)
        else:
            await PlainTextResponse(REFUSED, 400)(scope, receive, send)

    def _allowed(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name == b"host"]
        found = HOST.fullmatch(given[0].strip()) if len(given) == 1 else None
        if found is None:
            return False
        host = (found[1] or found[2]).decode("ascii").lower().removesuffix(".")
        return host in self._names or (self._numbers and is_address(host))
