"""Bounds on connections: how many may be open, and how long each may wait.

Each connection costs a file descriptor. Without a bound, idle connections use them up, and nobody is answered any more. So
the connection that has been idle longest makes room for a new one, and a request has to arrive within seconds.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import h11
from starlette.types import ASGIApp
from uvicorn import Config
from uvicorn import Server as UvicornServer
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.h11_impl import H11Protocol

from editlab.errors import BadRequest
from editlab.lab.access.addresses import network_of
from editlab.settings import Settings

try:
    import resource
except ImportError:  # not on Windows, which has no such limit
    resource = None  # type: ignore[assignment]

MOST_FILES = 65_536
MOST_CONNECTIONS, MOST_EACH = 4_096, 400
"""The most connections in all, and from one address, behind which many visitors can be."""
LEAST_CONNECTIONS = 16
MOST_BACKLOG, QUEUE = 128, 1_024
"""How many connections are accepted at once, and how many may wait for that, which costs no file descriptor yet."""
HEAD_SECONDS = 10.0
"""The time for a request's first line and headers, from the start of the connection or the previous answer."""
SILENT_SECONDS, SLOWEST = 60.0, 500
"""The time for which a body may stall or an answer stay unread, and the least bytes a second of a body after that time."""
FULL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

log = logging.getLogger(__name__)


class Bounds(NamedTuple):
    """The most connections in all and from one address (IPv6: /64), and how many are accepted at once."""

    total: int
    each: int
    backlog: int


def bounds_for(files: int, used: int, alone: bool) -> Bounds:
    """Return the bounds of a process that may have `files` files open and has `used` already.

    The event loop can accept `backlog` connections three times before the first of them is refused. `alone`: all requests
    come from one address, which then has no bound of its own.
    """
    backlog = min(MOST_BACKLOG, max(4, files // 32))
    reserve = used + max(64, files // 8) + 3 * backlog
    total = max(LEAST_CONNECTIONS, min(MOST_CONNECTIONS, files - reserve))
    return Bounds(total, total if alone else min(MOST_EACH, total // 2), backlog)


def raise_file_limit() -> int:
    """Raise the limit of open files as far as allowed, at most to 65,536, and return it."""
    if resource is None:
        return MOST_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return most
    return most if soft == resource.RLIM_INFINITY else min(soft, MOST_FILES)


async def bind(host: str, port: int) -> list[socket.socket]:
    """Return a socket for each address of a host, bound to a port by asyncio's rules. They do not listen yet.

    Raises `BadRequest` where another program listens on the port, or the host is no address of this computer.
    """
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(asyncio.Protocol, host, port, start_serving=False)
    except OSError as error:
        raise cannot_listen(host, port, error) from error
    try:
        return [one.dup() for one in server.sockets]
    finally:
        server.close()


def cannot_listen(host: str, port: int, error: OSError) -> BadRequest:
    """Return the error about a host and a port on which EditLab cannot listen, and what to do."""
    known = error.errno and not isinstance(error, socket.gaierror)
    why = os.strerror(error.errno) if known else error.strerror or str(error)
    return BadRequest(
        f"EditLab cannot listen on {host}, port {port}: {why}. Choose another port with --port, or another address with "
        "--host."
    )


class Server(UvicornServer):
    """A server that queues more connections than it accepts at once. In asyncio, both are the same number.

    `listening` is called as soon as connections are accepted.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.listening: Callable[[], None] = lambda: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen with the longer queue. Raises `BadRequest` where another program listens there."""
        try:
            await super().startup(sockets)
        except OSError as error:  # another program has begun to listen there since the sockets were bound
            await self.lifespan.shutdown()
            raise cannot_listen(self.config.host, self.config.port, error) from error
        for listener in (one for server in self.servers for one in server.sockets):
            with socket.socket(fileno=os.dup(listener.fileno())) as same:
                same.listen(QUEUE)
        self.listening()


def server_for(app: ASGIApp, settings: Settings, **more: Any) -> Server:
    """Return a server for an app, within the bounds of this process. It ignores forwarded headers."""
    bounds = bounds_for(raise_file_limit(), _open_files(), settings.single_user)
    connections = Connections(bounds, settings.proxies)

    class Bounded(Connection):
        """A connection of this server."""

        shared = connections

    config = Config(
        app,
        host=settings.host,
        port=settings.port,
        http=Bounded,
        ws="none",
        proxy_headers=False,  # `proxies` reads them
        server_header=False,
        backlog=bounds.backlog,
        log_config=None,
        log_level="warning",
        access_log=False,
        **more,
    )
    return Server(config)


class Connections:
    """The open connections of a server, used only on its event loop.

    `proxies`: addresses and networks of proxies, to which the bound of one address does not apply.
    """

    def __init__(self, bounds: Bounds, proxies: Collection[str] = ()) -> None:
        self._bounds = bounds
        self._proxies = ProxyHeadersMiddleware(_nothing, list(proxies)).trusted_hosts
        self._open: dict[Connection, str] = {}
        self._from: dict[str, int] = {}
        self._waiting: OrderedDict[Connection, None] = OrderedDict()
        self._waiting_from: dict[str, OrderedDict[Connection, None]] = {}

    def enter(self, connection: Connection, address: str) -> bool:
        """Admit a new connection and return True, or return False where there is no room. It may cut an idle one."""
        place = "" if address in self._proxies else network_of(address)
        if place and self._from.get(place, 0) >= self._bounds.each and not self._make_room(self._waiting_from.get(place)):
            return False
        if len(self._open) >= self._bounds.total and not self._make_room(self._waiting):
            return False
        self._open[connection] = place
        self._from[place] = self._from.get(place, 0) + 1
        self.wait(connection)
        return True

    def wait(self, connection: Connection) -> None:
        """Note that a connection is idle. The longest idle connection is the first to make room."""
        self._waiting[connection] = None
        self._waiting_from.setdefault(self._open[connection], OrderedDict())[connection] = None

    def work(self, connection: Connection) -> None:
        """Note that a connection has a request. It is not cut until the answer is complete."""
        place = self._open[connection]
        self._waiting.pop(connection, None)
        waiting = self._waiting_from.get(place, OrderedDict())
        waiting.pop(connection, None)
        if not waiting:
            self._waiting_from.pop(place, None)

    def leave(self, connection: Connection) -> None:
        """Note that a connection has ended."""
        if connection not in self._open:
            return
        self.work(connection)
        place = self._open.pop(connection)
        self._from[place] -= 1
        if not self._from[place]:
            del self._from[place]

    def _make_room(self, waiting: OrderedDict[Connection, None] | None) -> bool:
        log.warning({"event": "connections", "why": "the most that are allowed are open"})
        if not waiting:
            return False
        oldest = next(iter(waiting))
        self.leave(oldest)
        oldest.cut()
        return True


class Connection(H11Protocol):
    """A connection of uvicorn that is cut when it takes too long."""

    shared: Connections

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._awaits: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self._began, self._bytes = 0.0, 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Serve the connection, or refuse it where there are too many."""
        peer = transport.get_extra_info("peername")
        if self.shared.enter(self, str(peer[0]) if isinstance(peer, tuple) else ""):
            super().connection_made(transport)
            self._restart_clock()
        else:
            self.transport = transport
            transport.write(FULL)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks and release the connection."""
        self.shared.leave(self)
        for timer in (self._timer, self._stuck):
            if timer is not None:
                timer.cancel()
        if self.flow is not None:  # it was served
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read data, and cut a connection whose body comes too slowly."""
        if self.flow is None or self.transport.is_closing():
            return
        super().data_received(data)
        self._bytes += len(data)
        self._restart_clock()
        if self._awaits == "body":
            if self.loop.time() - self._began > SILENT_SECONDS + self._bytes / SLOWEST:
                self.cut()
            else:
                self._wait(SILENT_SECONDS)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._restart_clock()

    def pause_writing(self) -> None:
        """Start a clock, because the visitor does not read the answer."""
        super().pause_writing()
        self._stuck = self.loop.call_later(SILENT_SECONDS, self.cut)

    def resume_writing(self) -> None:
        """Stop that clock, because the visitor reads again."""
        super().resume_writing()
        if self._stuck is not None:
            self._stuck.cancel()

    def cut(self) -> None:
        """End the connection at once and drop data that was not sent."""
        self.transport.abort()

    def _restart_clock(self) -> None:
        """Restart the clock if the connection now waits for something else."""
        state = self.conn.their_state
        awaits = "head" if state is h11.IDLE else "body" if state is h11.SEND_BODY else None
        if awaits == self._awaits or self.transport.is_closing():
            return
        self._awaits, self._began, self._bytes = awaits, self.loop.time(), 0
        if awaits == "head":
            self.shared.wait(self)
            self._wait(HEAD_SECONDS)
        else:
            self.shared.work(self)
            self._wait(SILENT_SECONDS if awaits == "body" else None)

    def _wait(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._too_late, seconds)

    def _too_late(self, seconds: float) -> None:
        if self.flow.read_paused:  # EditLab itself does not read
            self._wait(seconds)
        else:
            self.cut()


async def _nothing(*_args: object) -> None:
    """Do nothing, in place of an app that is never called."""


def _open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:  # only Linux has this folder
        return MOST_BACKLOG
