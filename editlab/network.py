"""Refusal of outgoing connections, except to the Hugging Face hub during a download that was asked for.

`close` adds an audit hook (PEP 578). Python calls it before each name look-up and each connection, in whichever library;
servers and Unix sockets work as before. A hook cannot be removed: a closed process stays closed. The hook does not see
native code that opens sockets of its own, nor other programs. The one such library here is `hf_xet`, by which
huggingface_hub downloads large files; a closed process does not use it.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from editlab.wording import noop

HUB = ("huggingface.co", "hf.co")
"""The domains of the hub and of the stores to which it redirects downloads."""
LOG_EVERY_SECONDS = 10.0
LONGEST_NAME = 253
"""Characters of a host name that are logged."""

_CONNECTIONS = ("socket.connect", "socket.sendto", "socket.sendmsg")
_LOOK_UPS = ("socket.getaddrinfo", "socket.gethostbyname")
_REVERSE_LOOK_UPS = ("socket.gethostbyaddr", "socket.getnameinfo")
_getaddrinfo = socket.getaddrinfo


class OutgoingRefused(PermissionError):
    """An outgoing connection or name look-up that was refused."""


@dataclass
class _State:
    closed: bool = False
    own: frozenset[str] = frozenset()
    downloads: int = 0
    hosts: tuple[str, ...] = ()
    addresses: set[str] = field(default_factory=set)
    logged: float = float("-inf")
    unlogged: int = 0


_state, _lock = _State(), threading.Lock()


def close(*own: str) -> None:
    """Refuse outgoing connections from now on, in all threads, until the process ends. A second call only adds names.

    `own`: the addresses and names on which the server listens, which may be looked up.
    """
    with _lock:
        first, _state.closed, _state.own = not _state.closed, True, _state.own | {name.lower() for name in own}
    if first:
        from huggingface_hub import constants

        constants.HF_HUB_DISABLE_XET = True
        socket.getaddrinfo = _look_up  # type: ignore[assignment]
        sys.addaudithook(_hook)


@contextmanager
def hub() -> Iterator[None]:
    """Let all threads connect to the hub while the block runs, unless `HF_HUB_OFFLINE=1`.

    Only the hub, `HF_ENDPOINT` and the environment's proxies can be looked up, and only the addresses that these look-ups
    return can be connected to. Does nothing in a process that is not closed.
    """
    from huggingface_hub import close_session, constants

    if constants.is_offline_mode():
        yield
        return
    with _lock:
        _state.downloads += 1
        _state.hosts = (*HUB, *_hosts_of(constants.ENDPOINT, *getproxies().values()))
    try:
        yield
    finally:
        with _lock:
            _state.downloads -= 1
            last = _state.downloads == 0
            if last:
                _state.addresses.clear()
        if last and _state.closed:
            close_session()  # so that no connection to the hub stays open


def _hosts_of(*urls: str) -> Iterator[str]:
    for url in urls:
        host = urlsplit(url if "://" in url else f"http://{url}").hostname
        if host:
            yield host


def _is_hub(host: object) -> bool:
    name = _text(host).lower().rstrip(".")
    return _state.downloads > 0 and any(name == known or name.endswith(f".{known}") for known in _state.hosts)


def _look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
    """Call `socket.getaddrinfo`, and remember the addresses of the hub's names."""
    entries = _getaddrinfo(host, *args, **kwargs)
    if _is_hub(host):
        with _lock:
            _state.addresses.update(str(entry[4][0]) for entry in entries)
    return entries


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if not event.startswith("socket."):
        return
    if event in _CONNECTIONS:
        opened, address = args
        if address is None or opened.family == getattr(socket, "AF_UNIX", None):
            return
        host, port = address[:2] if isinstance(address, tuple) else (address, None)
        if not _may_connect(host):
            _refuse(host, port)
    elif event in _LOOK_UPS:
        if not _may_look_up(args[0]):
            _refuse(args[0], args[1] if len(args) > 1 else None)
    elif event in _REVERSE_LOOK_UPS:
        _refuse(args[0][0] if isinstance(args[0], tuple) else args[0], None)


def _may_connect(host: object) -> bool:
    if _state.downloads > 0 and host in _state.addresses:
        return True
    # Without Unix sockets, Python makes a pair of sockets, which each event loop has, by a connection to itself.
    return os.name == "nt" and host in ("127.0.0.1", "::1")


def _may_look_up(host: object) -> bool:
    """Return whether a name may be looked up. An address may, because no server is asked for it."""
    if host is None or _text(host).lower() in _state.own or _is_hub(host):
        return True
    try:
        ipaddress.ip_address(_text(host))
    except ValueError:
        return False
    return True


def _text(host: object) -> str:
    return host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else str(host)


def _refuse(host: object, port: object) -> None:
    """Raise `OutgoingRefused`. Log it at most once in ten seconds, with the number of refusals that were not logged."""
    name = "".join(letter if letter.isprintable() else "?" for letter in _text(host)[:LONGEST_NAME])
    record = {"event": "outgoing refused", "host": name, "port": port if isinstance(port, int | None) else _text(port)[:8]}
    now = time.monotonic()
    with _lock:
        due = now - _state.logged >= LOG_EVERY_SECONDS
        if due:
            if _state.unlogged:
                record["unlogged"] = _state.unlogged
            _state.logged, _state.unlogged = now, 0
        else:
            _state.unlogged += 1
    if due:
        logging.getLogger("editlab").warning(record)
    raise OutgoingRefused(
        noop(
            f"The connection to {name} was refused: EditLab connects only to the Hugging Face hub, and only while it "
            "downloads a model. Download the model yourself and give its folder."
        )
    )
