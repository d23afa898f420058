"""A server that somebody tries to keep from answering: connections that ask nothing, guesses under claimed addresses."""

import asyncio
import contextlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import httpx
import pytest
from app_process import answers, free_port, running
from over_the_wire import served
from starlette.responses import PlainTextResponse
from visitors import wait_until

from editlab.errors import BadRequest
from editlab.lab.access.users import Users
from editlab.settings import Settings
from editlab.web.server import connections
from editlab.web.server.connections import Bounds, Connections, bind, bounds_for, server_for

MARKER = "Zanzibar"
HALF = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
FILES = 256


# The process


@pytest.fixture(scope="module")
def process(saved_model, tmp_path_factory):
    """An app behind a login that may have 256 files open."""
    folder = tmp_path_factory.mktemp("process")
    Users(folder / "users").add("ana", "correct horse")
    with running(folder, "--no-check-ups", "--auth", folder / "users", files=FILES, model=saved_model) as app:
        yield app


@pytest.mark.slow
def test_connections_that_ask_nothing_keep_nobody_out_and_fill_no_log(process):
    before = len(process.written)
    with contextlib.ExitStack() as stack:
        for _ in range(400):
            half = stack.enter_context(contextlib.closing(socket.create_connection(("127.0.0.1", process.port), 5)))
            with contextlib.suppress(ConnectionError):
                half.sendall(HALF)
        assert all(answers(process, seconds=5) for _ in range(3))
    log = process.written[before:]
    assert len(log) < 5_000 and "system resource" not in log


@pytest.mark.slow
def test_what_is_typed_into_the_wrong_field_is_not_in_the_log(process):
    """Gradio prints the errors of its queue with the values in them."""
    with httpx.Client(base_url=process.address, timeout=20) as client:
        assert client.post("/login", data={"name": "ana", "password": "correct horse"}).status_code == 303
        config = client.get("/config").json()
        kinds = {part["id"]: part["type"] for part in config["components"]}
        figures = next(function for function in config["dependencies"] if function["api_name"] == "monitor_limits")
        data = [MARKER if kinds[part] == "number" else None for part in figures["inputs"]]
        assert MARKER in data
        body = {"data": data, "fn_index": figures["id"], "session_hash": "typed"}
        assert client.post("/gradio_api/queue/join", json=body).status_code == 422
    garbage = f"{MARKER} / HTTP/1.1\r\n{MARKER}\r\n\r\n".encode()
    with contextlib.closing(socket.create_connection(("127.0.0.1", process.port), 5)) as connection:
        connection.sendall(garbage)
        assert b"400" in connection.recv(1_000)
    assert answers(process)
    assert MARKER not in process.written


@pytest.mark.slow
def test_guesses_under_claimed_addresses_are_refused_after_the_limit(process):
    with httpx.Client(base_url=process.address, timeout=20) as client:
        form, claimed = {"name": "ana", "password": MARKER}, [f"198.51.100.{number}" for number in range(30)]
        codes = [client.post("/login", data=form, headers={"X-Forwarded-For": own}).status_code for own in claimed]
    assert codes == [401] * 5 + [429] * 25
    assert process.written.count("--proxies ADDRESS") == 1
    assert "198.51.100." not in process.written and MARKER not in process.written


@pytest.mark.slow
def test_what_a_process_keeps_its_owner_alone_reads(process):
    for path in ("data", "data/ledger.sqlite", "data/secrets/cookie-secret"):
        assert (process.file.parent / path).stat().st_mode & 0o077 == 0, path


# How many


@pytest.mark.parametrize("files", [128, 256, 1_024, 4_096, 65_536])
@pytest.mark.parametrize("alone", [True, False])
def test_connections_leave_files_for_everything_else(files, alone):
    bounds = bounds_for(files, 40, alone)
    assert bounds.total + 3 * bounds.backlog + 40 + 32 <= files or bounds.total == 16
    assert 16 <= bounds.total <= 4_096 and 4 <= bounds.backlog <= 128
    assert bounds.each == bounds.total if alone else bounds.each <= bounds.total / 2 and bounds.each <= 400


class Fake:
    def __init__(self):
        self.ended = False

    def cut(self):
        self.ended = True


def test_whoever_has_waited_longest_makes_room_and_whoever_is_being_answered_does_not():
    held = Connections(Bounds(3, 3, 4))
    first, second, third, fourth, fifth = (Fake() for _ in range(5))
    for one in (first, second, third):
        assert held.enter(one, "192.0.2.1")
    held.work(first)
    assert held.enter(fourth, "192.0.2.1")
    assert [one.ended for one in (first, second, third, fourth)] == [False, True, False, False]
    held.work(third)
    held.work(fourth)
    assert not held.enter(fifth, "192.0.2.1")
    held.wait(third)
    assert held.enter(fifth, "192.0.2.1") and third.ended
    for one in (first, fourth, fifth):
        held.leave(one)
        held.leave(one)
    assert not any((held._open, held._from, held._waiting, held._waiting_from))


def test_one_address_has_its_own_bound_and_others_are_not_touched():
    held = Connections(Bounds(10, 2, 4))
    others = [Fake() for _ in range(2)]
    assert all(held.enter(one, f"192.0.2.{number}") for number, one in enumerate(others))
    network = [Fake() for _ in range(3)]
    assert all(held.enter(one, f"2001:db8::{number}") for number, one in enumerate(network))
    assert [one.ended for one in (*others, *network)] == [False, False, True, False, False]
    for one in network[1:]:
        held.work(one)
    assert not held.enter(Fake(), "2001:db8::9") and held.enter(Fake(), "2001:db8:0:1::9")


def test_a_declared_proxy_has_no_bound_of_its_own():
    held = Connections(Bounds(10, 2, 4), ("10.0.0.0/8",))
    proxied = [Fake() for _ in range(8)]
    for one in proxied:
        assert held.enter(one, "10.0.0.7")
        held.work(one)
    assert not any(one.ended for one in proxied)


# How long


@pytest.fixture(scope="module")
def plain():
    """The address of an app that reads a body and answers how long that is; at /large, with more than anybody takes."""

    async def app(scope, receive, send):
        if scope["type"] == "http" and scope["path"] == "/large":
            await PlainTextResponse("x" * 30_000_000)(scope, receive, send)
        elif scope["type"] == "http":
            length, more = 0, True
            while more:
                message = await receive()
                length, more = length + len(message.get("body", b"")), message.get("more_body", False)
            await PlainTextResponse(str(length))(scope, receive, send)

    with served(app) as address:
        yield address


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(connections, "SILENT_SECONDS", 0.3)


@contextlib.contextmanager
def connected(address):
    with contextlib.closing(socket.create_connection((httpx.URL(address).host, httpx.URL(address).port), 10)) as connection:
        yield connection


def closed(connection):
    """Whether the server has ended it, without a word."""
    try:
        return connection.recv(100) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("sent", [b"", b"GET", HALF, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"])
def test_a_request_that_does_not_come_is_waited_for_so_long_and_no_longer(plain, impatient, sent):
    with connected(plain) as connection:
        connection.sendall(sent)
        assert closed(connection)


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\nX: ", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n"])
def test_dripping_gains_nothing(plain, impatient, start):
    with connected(plain) as connection:
        connection.sendall(start)

        def refused():
            try:
                connection.sendall(b"x")
            except ConnectionError:
                return True
            time.sleep(0.02)
            return False

        wait_until(refused)


def test_an_answer_that_nobody_takes_is_not_kept(plain, impatient, monkeypatch):
    cut, real = threading.Event(), connections.Connection.cut
    monkeypatch.setattr(connections.Connection, "cut", lambda connection: (real(connection), cut.set()))
    with connected(plain) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        assert cut.wait(30)
        taken = 0
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(1_000_000):
                taken += len(part)
        assert taken < 30_000_000


def test_where_all_connections_are_being_answered_a_new_one_hears_that_it_is_too_many(monkeypatch):
    monkeypatch.setattr(connections, "bounds_for", lambda *_: Bounds(1, 1, 4))
    begun, go_on = threading.Event(), threading.Event()

    async def app(scope, receive, send):
        if scope["type"] == "http":
            begun.set()
            await asyncio.to_thread(go_on.wait, 30)
            await PlainTextResponse("done")(scope, receive, send)

    with served(app) as address, ThreadPoolExecutor(1) as pool:
        first = pool.submit(httpx.get, address, timeout=30)
        assert begun.wait(30)
        refused = httpx.get(address, timeout=30)
        go_on.set()
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert first.result().text == "done" == httpx.get(address, timeout=30).text


def test_a_second_request_may_come_on_the_same_connection_and_a_long_body_arrives(plain, impatient):
    connection = HTTPConnection(httpx.URL(plain).host, httpx.URL(plain).port, timeout=10)
    for length in (0, 5, 3_000_000, 1):
        connection.request("POST", "/", b"x" * length)
        assert connection.getresponse().read() == str(length).encode()
    assert connection.sock is not None
    connection.close()


# The port


def test_a_port_that_is_taken_or_a_host_of_another_computer_is_a_sentence():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(BadRequest, match=rf"127\.0\.0\.1, port {port}: Address already in use\. .* --port"):
            asyncio.run(bind("127.0.0.1", port))
    for one in asyncio.run(bind("127.0.0.1", port)):
        one.close()
    with pytest.raises(BadRequest, match="another address with --host"):
        asyncio.run(bind("192.0.2.1", port))


def test_all_addresses_of_a_host_are_bound_and_none_is_listened_on_yet():
    port = free_port()
    sockets = asyncio.run(bind("localhost", port))
    expected = {found[4][0] for found in socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM)}
    try:
        assert {one.getsockname()[0] for one in sockets} <= expected and sockets
        assert all(one.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) for one in sockets)
        assert not any(one.get_inheritable() for one in sockets), "a process that starts again would hold its own port"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5)
    finally:
        for one in sockets:
            one.close()


def test_it_says_that_it_listens_once_that_is_true():
    port, seen = free_port(), []
    server = server_for(PlainTextResponse("Hello."), Settings(port=port))

    def listening():
        with socket.create_connection(("127.0.0.1", port), 5):
            seen.append(port)
        server.should_exit = True

    server.listening = listening
    server.run(asyncio.run(bind("127.0.0.1", port)))
    assert seen == [port] and server.started


def test_a_port_that_was_taken_while_the_model_was_loaded_is_a_sentence():
    port = free_port()
    sockets = asyncio.run(bind("127.0.0.1", port))
    server, seen = server_for(PlainTextResponse("Hello."), Settings(port=port)), []
    server.listening = lambda: seen.append(port)
    with socket.create_server(("127.0.0.1", port)), pytest.raises(BadRequest, match="Address already in use"):
        server.run(sockets)
    assert seen == [] and not server.started
    for one in sockets:
        one.close()
