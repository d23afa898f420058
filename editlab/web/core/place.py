"""Where the page lies for a browser: on which host, and below which path of it.

Inside, every address begins at `/`. The page's own links are relative, so that they lead right below any path, also below
one that a proxy takes off and tells nobody. What stands outside of the page needs the whole address: a cookie's path, a join
link.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

from starlette.requests import Request

ROOT = "root"
"""The name of the path in `request.state`, where the server's layers set it."""


def root_of(request: Any) -> str:
    """Return the path below which the browser sees EditLab, as `/editlab`; empty at the top of a site."""
    return str(getattr(getattr(request, "state", None), ROOT, ""))


def cookie_path(request: Request) -> str:
    """Return the path of a cookie, so that it goes to no other program of the site."""
    return root_of(request) or "/"


def cookie_name(name: str, request: Request) -> str:
    """Return a cookie's name at a path of a site. It differs from path to path: a browser sends those of paths above too."""
    return name + quote(root_of(request), safe="")


def seen_from(request: Request, target: str) -> str:
    """Return an address of EditLab, such as `/login`, relative to the address of a request."""
    up = request.scope["path"].count("/") - 1
    return ("../" * up or "./") + target.removeprefix("/")


def address_of_page(request: Any) -> str:
    """Return the page's address without a slash at its end, as the browser sees it; empty where no host is named.

    The browser names it itself where a call comes from the page (`Referer`): that is right behind any proxy.
    """
    host = request.headers.get("host")
    if host is None:
        return ""
    page = urlsplit(request.headers.get("referer", ""))
    if page.netloc == host and page.scheme in ("http", "https"):
        return f"{page.scheme}://{host}{page.path.rpartition('/')[0]}"
    return f"{request.url.scheme}://{host}{root_of(request)}"
