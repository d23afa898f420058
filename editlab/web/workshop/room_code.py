"""The join link as a QR code, and what stands in the way of a phone that follows it."""

from __future__ import annotations

import io
from ipaddress import ip_address
from urllib.parse import urlsplit

import segno
from markupsafe import Markup

from editlab.settings import LOOPBACK
from editlab.web.core.language import gettext as _
from editlab.web.workshop import room_words as words

BORDER = 4
"""Modules of white around the code, without which cameras do not find it."""


def link_of(page: str, code: str) -> str:
    """Return the join link. `page`: the address of the page in the presenter's browser."""
    return f"{page}/join/{code}"


def qr(link: str) -> Markup:
    """Return a link as a QR code in SVG, dark on white in every theme."""
    svg = io.BytesIO()
    code = segno.make(link, error="m", micro=False)
    code.save(svg, kind="svg", xmldecl=False, svgns=False, omitsize=True, border=BORDER, dark="#000", light="#fff", nl=False)
    return Markup(svg.getvalue().decode())


def warning(page: str) -> str:
    """Return why phones cannot follow a link, or should not; empty where nothing is to be said."""
    parts = urlsplit(page)
    host = (parts.hostname or "").lower()
    if host in LOOPBACK or _is_loopback(host):
        return _(words.LOOPBACK)
    return _(words.PLAIN_HTTP) if parts.scheme == "http" else ""


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.endswith(".localhost")
