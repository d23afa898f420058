"""Outgoing connections: none, except to the Hugging Face hub while it downloads a model that was asked for.

`close` adds an audit hook (PEP 578), which Python calls before each name look-up and each connection of its sockets,
whichever library begins it; servers listen and accept as before, and so do Unix sockets. A hook cannot be removed: a process
that is closed stays so. Native code that opens sockets of its own is not seen, nor is another program. The one such library
here is `hf_xet`, by which huggingface_hub downloads large files; a closed process does not use it.
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

HUB = ("huggingface.co", "hf.co")
"""The hub and, below these names, the stores that it hands downloads over to."""
LOG_EVERY_SECONDS = 10.0
LONGEST_NAME = 253
"""Characters of a host name, of which no more is logged."""

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
    """Refuse outgoing connections from here on, in all threads, until the process ends. A second call only adds names.

    `own`: addresses and names that the server listens on, which may be looked up.
    """
    with _lock:
        first, _state.closed, _state.own = not _state.closed, True, _state.own | {name.lower() for name in own}
    if first:
        from huggingface_hub import constants

        constants.HF_HUB_DISABLE_XET = True
        socket.getaddrinfo = _remembering  # type: ignore[assignment]
        sys.addaudithook(_hook)


@contextmanager
def hub() -> Iterator[None]:
    """Let the process reach the hub while the block runs, in all its threads; with `HF_HUB_OFFLINE=1` not even then.

    Only the hub, `HF_ENDPOINT` and the proxies of the environment can be looked up, and only what these look-ups gave can
    be connected to. Does nothing in a process that is not closed.
    """
    from huggingface_hub import close_session, constants

    if constants.is_offline_mode():
        yield
        return
    with _lock:
        _state.downloads += 1
        _state.hosts = (*HUB, *_named(constants.ENDPOINT, *getproxies().values()))
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


def _named(*urls: str) -> Iterator[str]:
    for url in urls:
        host = urlsplit(url if "://" in url else f"http://{url}").hostname
        if host:
            yield host


def _of_hub(host: object) -> bool:
    name = _text(host).lower().rstrip(".")
    return _state.downloads > 0 and any(name == known or name.endswith(f".{known}") for known in _state.hosts)


def _remembering(host: Any, *given: Any, **named: Any) -> Any:
    """Do what `socket.getaddrinfo` does, and remember the addresses of the hub's names."""
    found = _getaddrinfo(host, *given, **named)
    if _of_hub(host):
        with _lock:
            _state.addresses.update(str(entry[4][0]) for entry in found)
    return found


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if not event.startswith("socket."):
        return
    if event in _CONNECTIONS:
        opened, address = args
        if address is None or opened.family == getattr(socket, "AF_UNIX", None):
            return
        host, port = address[:2] if isinstance(address, tuple) else (address, None)
        if not _connects(host):
            _refuse(host, port)
    elif event in _LOOK_UPS:
        if not _looks_up(args[0]):
            _refuse(args[0], args[1] if len(args) > 1 else None)
    elif event in _REVERSE_LOOK_UPS:
        _refuse(args[0][0] if isinstance(args[0], tuple) else args[0], None)


def _connects(host: object) -> bool:
    if _state.downloads > 0 and host in _state.addresses:
        return True
    # Without Unix sockets, Python makes a pair of sockets (each event loop has one) by a connection to itself.
    return os.name == "nt" and host in ("127.0.0.1", "::1")


def _looks_up(host: object) -> bool:
    """Return whether a name may be looked up. An address may: reading it asks nobody."""
    if host is None or _text(host).lower() in _state.own or _of_hub(host):
        return True
    try:
        ipaddress.ip_address(_text(host))
    except ValueError:
        return False
    return True


def _text(host: object) -> str:
    return host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else str(host)


def _refuse(host: object, port: object) -> None:
    """Raise `OutgoingRefused`, after a line in the log: one in ten seconds, with the number of those that had none."""
    name = "".join(letter if letter.isprintable() else "?" for letter in _text(host)[:LONGEST_NAME])
    event = {"event": "outgoing refused", "host": name, "port": port if isinstance(port, int | None) else _text(port)[:8]}
    now = time.monotonic()
    with _lock:
        due = now - _state.logged >= LOG_EVERY_SECONDS
        if due:
            if _state.unlogged:
                event["unlogged"] = _state.unlogged
            _state.logged, _state.unlogged = now, 0
        else:
            _state.unlogged += 1
    if due:
        logging.getLogger("editlab").warning(event)
    raise OutgoingRefused(
        f"EditLab connects only to the Hugging Face hub, and only while it downloads a model, so {name} is refused. "
        "Download the model yourself and give its folder."
    )
