"""A closed process begins no connection, except to the hub while a model is fetched. Each test closes a process of its own.

A hook of Python's audit cannot be taken out again, so none of this may run in the process of the tests.
"""

import http.server
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from urllib.parse import unquote, urlsplit

import pytest
from paths import ROOT
from tiny_models import save, tiny_model

HEAD = """
import asyncio, importlib.util, json, logging, os, socket, sys, threading
from urllib.request import urlopen

# The module alone: the package brings torch, which takes seconds.
spec = importlib.util.spec_from_file_location("editlab.network", "editlab/network.py")
network = sys.modules["editlab.network"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(network)
"""


def run(*parts, closed=True, **environment):
    """What a program prints as JSON, and what it wrote on standard error."""
    code = HEAD + ('network.close("127.0.0.1")\n' if closed else "") + "".join(map(dedent, parts))
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=kept | environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


TRIES = """
listening = socket.create_server(("127.0.0.1", 0))
waiting = socket.create_server(("::1", 0), family=socket.AF_INET6)
udp = socket.socket(type=socket.SOCK_DGRAM)
here, there = listening.getsockname(), waiting.getsockname()

async def by_asyncio():
    await asyncio.open_connection(*here)

TRIED = {
    "urlopen": lambda: urlopen("http://%s:%s/" % here, timeout=5),
    "connect": lambda: socket.socket().connect(here),
    "connect_ex": lambda: socket.socket().connect_ex(here),
    "ipv6": lambda: socket.socket(socket.AF_INET6).connect(there),
    "asyncio": lambda: asyncio.run(by_asyncio()),
    "sendto": lambda: udp.sendto(b"x", here),
    "sendmsg": lambda: udp.sendmsg([b"x"], [], 0, here),
    "getaddrinfo": lambda: socket.getaddrinfo("localhost", 80),
    "gethostbyname": lambda: socket.gethostbyname("localhost"),
    "gethostbyname_ex": lambda: socket.gethostbyname_ex("localhost"),
    "gethostbyaddr": lambda: socket.gethostbyaddr("127.0.0.1"),
    "getnameinfo": lambda: socket.getnameinfo(("127.0.0.1", 80), 0),
}

def outcome(how):
    try:
        how()
        return "passed"
    except OSError as error:
        error = getattr(error, "reason", error)
        return type(error).__name__ if isinstance(error, PermissionError) else repr(error)
"""


def test_nothing_goes_out_of_a_closed_process():
    found, _ = run(TRIES, "print(json.dumps({name: outcome(how) for name, how in TRIED.items()}))")
    assert found == dict.fromkeys(found, "OutgoingRefused") and len(found) == 12


def test_the_same_goes_out_of_an_open_one():
    """So that the test before this one tests something."""
    found, _ = run(
        TRIES + "print(json.dumps([name for name, how in TRIED.items() if outcome(how) == 'OutgoingRefused']))", closed=False
    )
    assert found == []


def test_a_thread_that_runs_already_is_closed_too():
    found, _ = run(
        TRIES,
        """
        go, said = threading.Event(), []
        thread = threading.Thread(target=lambda: (go.wait(), said.append(outcome(TRIED["connect"]))))
        thread.start()
        network.close()
        go.set()
        thread.join()
        print(json.dumps(said))
        """,
        closed=False,
    )
    assert found == ["OutgoingRefused"]


def test_a_closed_process_serves_pages_and_unix_sockets():
    """It cannot ask itself, so another process does."""
    found, _ = run(
        """
        import subprocess, time, uvicorn

        async def page(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"served"})

        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(page, log_level="error", lifespan="off"))
        threading.Thread(target=server.run, kwargs={"sockets": [listening]}).start()
        ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:%s/').read().decode())"
        asking = [sys.executable, "-c", ask % listening.getsockname()[1]]
        said = [subprocess.run(asking, capture_output=True, text=True).stdout.strip()]
        server.should_exit = True

        one, other = socket.socketpair()
        one.send(b"pair")
        said.append(other.recv(9).decode())

        def answer(reader, writer):
            writer.write(b"unix")
            writer.close()

        async def unix():
            place = f"\\0editlab-{os.getpid()}"
            async with await asyncio.start_unix_server(answer, place):
                reader, writer = await asyncio.open_unix_connection(place)
                said = await reader.read()
                writer.close()
                return said.decode()

        said.append(asyncio.run(unix()))
        print(json.dumps(said))
        """
    )
    assert found == ["served", "pair", "unix"]


def test_the_server_may_look_up_the_name_it_listens_on():
    found, _ = run(
        """
        network.close("LocalHost")
        async def serve():
            server = await asyncio.start_server(lambda reader, writer: None, "localhost", 0)
            server.close()
            return "listened"
        print(json.dumps(asyncio.run(serve())))
        """
    )
    assert found == "listened"


def test_a_refusal_is_one_line_of_the_log_with_host_and_port_alone():
    found, errors = run(
        """
        logging.basicConfig(format="%(message)s")
        said = []
        for name in ("secret.example", "other.example", ".".join(["x" * 60] * 100), "last.example"):
            try:
                urlopen(f"http://{name}:81/what-was-typed?q=1", timeout=5)
            except OSError as error:
                said.append(str(error))
        network._state.logged = 0.0
        network.LOG_EVERY_SECONDS = 0.0
        try:
            socket.getaddrinfo("a\\nb", 1)
        except OSError as error:
            said.append(str(error))
        print(json.dumps(said))
        """
    )
    lines = [line for line in errors.splitlines() if "outgoing refused" in line]
    assert lines == [
        "{'event': 'outgoing refused', 'host': 'secret.example', 'port': 81}",
        "{'event': 'outgoing refused', 'host': 'a?b', 'port': 1, 'unlogged': 3}",
    ]
    assert "typed" not in errors and all("was refused" in said and len(said) < 500 for said in found)


def test_a_closed_process_downloads_by_python_alone():
    """hf_xet has sockets of its own, past the hook."""
    found, _ = run(
        """
        from huggingface_hub.utils._runtime import is_xet_available
        print(json.dumps([is_xet_available(), "hf_xet" in sys.modules]))
        """
    )
    assert found == [False, False]


# The hub


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the hub as a download asks: a model's list of files, and the files."""

    protocol_version = "HTTP/1.1"
    folder: Path
    asked: list[str]
    COMMIT = "c0ffee" * 6 + "c0ff"

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        self.asked.append(path)
        files = sorted(file.name for file in self.folder.iterdir())
        if path.startswith("/api/models/owner/name/tree/"):
            tree = [
                {"type": "file", "oid": name, "size": (self.folder / name).stat().st_size, "path": name} for name in files
            ]
            return self.answer(json.dumps(tree).encode())
        if path.startswith("/api/models/owner/name"):
            listed = {"id": "owner/name", "sha": self.COMMIT, "siblings": [{"rfilename": name} for name in files]}
            return self.answer(json.dumps(listed).encode())
        name = path.removeprefix(f"/owner/name/resolve/{self.COMMIT}/")
        if name in files:
            return self.answer((self.folder / name).read_bytes(), ETag=f'"{name}"', **{"X-Repo-Commit": self.COMMIT})
        return self.answer(b"", 404, **{"X-Error-Code": "EntryNotFound"})

    def answer(self, body, status=200, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_given):
        pass


@pytest.fixture
def hub(tmp_path):
    """The address of a hub with one model, `owner/name`, and the paths that were asked of it."""
    model = tiny_model("llama")
    save(model, tmp_path / "m", max_shard_size="100KB")
    handler = type("OwnHub", (Hub,), {"folder": tmp_path / "m", "asked": []})
    with serving(handler) as address:
        yield address, handler.asked


@contextmanager
def serving(handler):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.slow
def test_a_hub_model_is_fetched_and_the_process_is_closed_before_and_after(hub, tmp_path):
    address, asked = hub
    body = """
        from editlab import LanguageModel
        before = outcome(lambda: urlopen(os.environ["HF_ENDPOINT"] + "/api/models/owner/name", timeout=5))
        model = LanguageModel.load("owner/name@main")
        after = outcome(lambda: urlopen(os.environ["HF_ENDPOINT"] + "/api/models/owner/name", timeout=5))
        print(json.dumps([before, after, model.revision, model.fingerprint]))
    """
    settings = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "0", "HF_TOKEN": ""}
    found, _ = run(TRIES, body, **settings)
    assert found == ["OutgoingRefused", "OutgoingRefused", Hub.COMMIT, tiny_model("llama").fingerprint]
    assert any(path.endswith(".safetensors") for path in asked)
    asked.clear()
    found, _ = run(TRIES, body, **settings | {"HF_HUB_OFFLINE": "1"})
    assert found[2:] == [Hub.COMMIT, tiny_model("llama").fingerprint] and asked == [], "from the cache, without a connection"


def test_while_a_model_is_fetched_nobody_but_the_hub_is_reached(hub):
    address, _ = hub
    found, _ = run(
        TRIES,
        """
        with network.hub():
            with network.hub():
                pass
            known = outcome(lambda: urlopen(os.environ["HF_ENDPOINT"] + "/api/models/owner/name", timeout=5).close())
            other = socket.create_server(("127.0.0.2", 0)).getsockname()
            names = ["huggingface.co", "cdn-lfs.hf.co", "evil-huggingface.co", "huggingface.co.evil.example"]
            looked = [network._may_look_up(name) for name in names]
            said = [outcome(lambda: socket.create_connection(other)), outcome(lambda: socket.getaddrinfo("evil.example", 1))]
        print(json.dumps([known, looked, said]))
        """,
        HF_ENDPOINT=address,
        HF_HUB_OFFLINE="0",
    )
    assert found == ["passed", [True, True, False, False], ["OutgoingRefused"] * 2]


def test_offline_means_offline(hub):
    address, _ = hub
    found, _ = run(
        TRIES,
        """
        with network.hub():
            print(json.dumps(outcome(lambda: urlopen(os.environ["HF_ENDPOINT"], timeout=5))))
        """,
        HF_ENDPOINT=address,
        HF_HUB_OFFLINE="1",
    )
    assert found == "OutgoingRefused"


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_the_way_to_the_hub(variable, hub):
    address, _ = hub
    found, _ = run(
        TRIES,
        """
        with network.hub():
            print(json.dumps([outcome(lambda: socket.create_connection(("127.0.0.1", PORT)).close())]))
        """.replace("PORT", address.rsplit(":", 1)[1]),
        HF_HUB_OFFLINE="0",
        **{variable: address},
    )
    assert found == ["passed"]
