"""What reaches Gradio: data of checked types, for every handler of every tab, alone, behind a login and in a demo.

All of it is driven from the page's own configuration, so that a new handler is covered as soon as it is there.
"""

import asyncio
import contextlib
import gc
import json
import secrets
from functools import partial
from pathlib import Path

import gradio as gr
import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import APIRouter
from gradio.blocks import Block
from gradio.route_utils import API_PREFIX
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from limits import RateLimitItemPerMinute
from over_the_wire import attributes, filled, routes_of, served
from starlette.requests import Request
from starlette.responses import JSONResponse
from visitors import TIMEOUT, wait_until

from editlab.facts import EditRequest
from editlab.lab import Lab
from editlab.lab.access.limits import EACH
from editlab.lab.access.users import Users
from editlab.lab.workspaces import edits
from editlab.probes import Passages
from editlab.settings import Settings
from editlab.web import create_app, create_page
from editlab.web.api import Api
from editlab.web.core.components import Parts
from editlab.web.core.handlers import Handlers
from editlab.web.core.inputs import LATE, FileButton, shape_of
from editlab.web.core.wiring import on
from editlab.web.server.firewall import MOST_OPEN, MOST_PAGES, MOST_UPLOADS, PAGES, Calls, Firewall
from editlab.web.server.guard import OPEN, Guard
from editlab.web.server.sessions import MOST as MOST_SESSIONS
from editlab.web.server.sessions import UNREAD_SECONDS, Sessions

MODES = ("alone", "auth", "demo")
JOIN, UPLOAD = "/gradio_api/queue/join", "/gradio_api/upload"
SESSION = "a1b2c3"
MARKER = "the file that nobody may read"


@pytest.fixture(scope="module")
def secret(tmp_path_factory) -> Path:
    """A file that the server may read and the page may not."""
    path = tmp_path_factory.mktemp("elsewhere") / "secret.txt"
    path.write_text(MARKER)
    return path


@pytest.fixture(scope="module", params=MODES)
def mode(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def lab(mode, tiny_llama, facts, tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "editlab.lab.access.users.PasswordHasher", partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
        )
        given = {"demo": mode == "demo"}
        if mode == "auth":
            users = tmp_path_factory.mktemp("users") / "users"
            for name in ("ana", "ben"):
                Users(users).add(name, "correct horse")
            given = {"auth": users}
        settings_ = Settings(model=tiny_llama.name, data=data, **given)
        lab = Lab(tiny_llama, facts, Passages((), ()), answer_tokens=4, data=data, settings=settings_)
        yield lab
        lab.close()


@contextlib.contextmanager
def client_of(address, mode, name="ana"):
    with httpx.Client(base_url=address, timeout=TIMEOUT) as client:
        if mode == "auth":
            answer = client.post("/login", data={"name": name, "password": "correct horse"})
            assert answer.status_code == 303, answer.text
        yield client


@pytest.fixture
def client(address, mode, lab):
    lab.limits._window.storage.reset()
    with client_of(address, mode) as client:
        yield client


@pytest.fixture(scope="module")
def page(lab):
    return create_page(lab)


@pytest.fixture(scope="module")
def calls(page):
    """Every handler of the page by its number."""
    return Calls(page)


@pytest.fixture(scope="module")
def open_gate(lab, page):
    with asyncio.Runner() as runner:
        yield Gate(lab, page, runner)


@pytest.fixture
def gate(open_gate, lab, monkeypatch):
    """The firewall alone, with what it hands on in place of Gradio; nobody counts how often a test calls."""
    monkeypatch.setattr(lab.limits, "count_call", lambda who, new: None)
    return open_gate


class Gate:
    """Calls the layers by themselves, without a client in between: many thousand calls take seconds."""

    def __init__(self, lab, page, runner):
        self._runner, self.page = runner, page
        self.fns, self.reached = dict(self.page.fns), []

        async def taken(scope, receive, send):
            self.reached.append(await Request(scope, receive).json())
            await JSONResponse({})(scope, receive, send)

        self.sessions = Sessions(self.page)
        self._layers = Guard(Firewall(taken, lab, Calls(self.page), Api(APIRouter()), self.sessions, lambda request: None))

    def send(self, body, address="192.0.2.1"):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = [(b"host", b"localhost"), (b"content-length", str(len(content)).encode())]
        scope = {"type": "http", "method": "POST", "path": JOIN, "query_string": b"", "headers": headers}
        scope["client"] = (address, 1)
        asked, said = [{"type": "http.request", "body": content}], []

        async def receive():
            return asked.pop()

        async def send(message):
            said.append(message)

        self.reached.clear()
        self._runner.run(self._layers(scope, receive, send))
        return httpx.Response(said[0]["status"], content=b"".join(message.get("body", b"") for message in said))


def call(number, fn, **more):
    """What the page sends first: each component's own value, and of a declared button its attributes."""
    values = [getattr(component, "value", None) for component in fn.inputs]
    body = {"fn_index": number, "session_hash": SESSION, "data": values, **more}
    if isinstance(fn.fn.pressed, type):
        body = {"event_data": attributes(fn.fn.pressed)} | body
    return body


def files(path):
    """What Gradio would take for a file that it is to copy or to fetch, alone and nested."""
    plain = {"path": str(path), "meta": {"_type": "gradio.FileData"}}
    remote = {"path": "http://127.0.0.1:1/x", "url": "http://127.0.0.1:1/x", "meta": {"_type": "gradio.FileData"}}
    yield from (plain, remote, {**plain, "orig_name": "x.txt", "size": 3, "is_stream": True}, {**plain, "url": "x"})
    yield from ([plain], {"value": plain}, {"a": [{"b": [remote]}]}, [[[plain]]])


WRONG = {
    "text": [3, 1.5, True, [], ["x"], {}, {"value": "x"}, "x" * 20_001],
    "bool": ["yes", 1, 0, "true", [], {}],
    "number": ["1", True, [], {}, "NaN", 1e300, 10**400, -(10**15)],
    "file": ["x", 3, "/etc/hostname", [], {}],
}


def kind_of(component):
    if isinstance(component, gr.Checkbox):
        return "bool"
    if isinstance(component, gr.Number | gr.Slider) or component.elem_id == "inside-token":
        return "number"
    return "file" if isinstance(component, FileButton) else "text"


# Every handler, every input


def test_there_are_handlers_to_be_tried(gate):
    assert len(gate.fns) > 60 and sum(len(fn.inputs) for fn in gate.fns.values()) > 250


def test_what_the_page_sends_first_goes_on(gate):
    for number, fn in gate.fns.items():
        assert gate.send(call(number, fn)).status_code == 200, fn.api_name
        assert gate.reached[0]["data"] == call(number, fn)["data"]


def test_no_input_of_any_handler_takes_a_file_that_the_browser_describes(gate, secret):
    for number, fn in gate.fns.items():
        for place, component in enumerate(fn.inputs):
            for file in files(secret):
                sent = call(number, fn)
                sent["data"][place] = file
                answer = gate.send(sent)
                assert answer.status_code == 422 and gate.reached == [], (fn.api_name, component.elem_id, file)
                assert str(secret) not in answer.text


def test_no_handler_takes_a_file_beside_its_inputs(gate, secret):
    for number, fn in gate.fns.items():
        for file in list(files(secret))[:6]:
            for sent in (
                call(number, fn, event_data=file),
                call(number, fn, event_data={"press": file}),
                call(number, fn, oauth_token=file),
                call(number, fn, simple_format=file),
                call(number, fn, request=file),
                {**call(number, fn), "data": file},
                {**call(number, fn), "data": [file]},
                {**call(number, fn), "session_hash": file},
            ):
                assert gate.send(sent).status_code == 422 and gate.reached == [], (fn.api_name, sent)


def test_no_input_takes_another_type(gate):
    for number, fn in gate.fns.items():
        for place, component in enumerate(fn.inputs):
            for wrong in WRONG[kind_of(component)]:
                sent = call(number, fn)
                sent["data"][place] = wrong
                answer = gate.send(sent)
                assert answer.status_code in (413, 422), (fn.api_name, component.elem_id, str(wrong)[:40])
                assert gate.reached == [] and len(answer.text) < 1_000


def test_ten_megabytes_are_not_read_for_any_handler(gate):
    large = b"x" * 10**7
    for number in gate.fns:
        sent = b'{"fn_index": %d, "session_hash": "a", "data": ["%s"]}' % (number, large)
        assert gate.send(sent).status_code == 413 and gate.reached == []


def test_a_text_is_as_long_as_its_field(gate):
    checked = 0
    for number, fn in gate.fns.items():
        for place, component in enumerate(fn.inputs):
            if isinstance(component, gr.Textbox):
                for length, status in ((component.max_length, 200), (component.max_length + 1, 422)):
                    sent = call(number, fn)
                    sent["data"][place] = "x" * length
                    assert gate.send(sent).status_code == status, (fn.api_name, component.elem_id)
                checked += 1
    assert checked > 80


def test_whoever_typed_too_much_is_told_at_which_field(gate):
    number, fn = next((number, fn) for number, fn in gate.fns.items() if fn.api_name == "inside_many")
    for value, said in (
        (500, "“Number of edits” is at most 200. Write a smaller number."),
        (0, "is at least 2. Write a la"),
    ):
        sent = call(number, fn)
        sent["data"][1] = value
        assert said in gate.send(sent).json()["detail"]
    number, fn = next((number, fn) for number, fn in gate.fns.items() if fn.api_name == "ask")
    sent = {**call(number, fn), "data": [None, "x" * 2_001]}
    assert gate.send(sent).json()["detail"] == "“Ask all models” has at most 2,000 characters. Shorten it."


def test_a_choice_is_one_of_those_that_there_are(gate):
    checked = 0
    for number, fn in gate.fns.items():
        for place, (component, kind) in enumerate(zip(fn.inputs, fn.fn.types, strict=True)):
            choices = shape_of(kind).choices
            if choices and not isinstance(component, LATE):
                for choice in choices:
                    sent = call(number, fn)
                    sent["data"][place] = choice
                    assert gate.send(sent).status_code == 200
                sent["data"][place] = "none of them"
                assert gate.send(sent).status_code == 422, (fn.api_name, component.elem_id)
                checked += 1
    assert checked > 20


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"data": []}',
        b'{"fn_index": 0, "data": []}',
        b'{"fn_index": "0", "session_hash": "a", "data": []}',
        b'{"fn_index": 100000, "session_hash": "a", "data": []}',
        b'{"fn_index": -1, "session_hash": "a", "data": []}',
        b'{"fn_index": 0, "session_hash": "' + b"a" * 65 + b'", "data": [null]}',
        b'{"fn_index": 0, "session_hash": "../a", "data": [null]}',
        b"[" * 100_000,
        b'{"fn_index": 0, "session_hash": "a", "data": [' + b'{"a":' * 30_000 + b"1" + b"}" * 30_000 + b"]}",
        b'{"fn_index": ' + b"9" * 100_000 + b', "session_hash": "a", "data": []}',
    ],
)
def test_what_is_no_call_is_refused_in_a_sentence(gate, body):
    answer = gate.send(body)
    assert answer.status_code == 422 and gate.reached == []
    assert "Reload the page" in answer.json()["detail"] and len(answer.text) < 1_000


def test_a_call_has_as_many_values_as_its_handler(gate):
    for number, fn in gate.fns.items():
        for data in ([None] * (len(fn.inputs) + 1), [None] * (len(fn.inputs) - 1) if fn.inputs else [1]):
            assert gate.send({**call(number, fn), "data": data}).status_code == 422


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.data())
def test_whatever_is_sent_gradio_gets_scalars_alone_or_nothing(gate, drawn):
    number = drawn.draw(st.sampled_from(sorted(gate.fns)))
    fn = gate.fns[number]
    values = drawn.draw(st.lists(st.none() | json_values, min_size=len(fn.inputs), max_size=len(fn.inputs)))
    sent = call(number, fn, event_data=drawn.draw(json_values)) | {"data": values}
    sent |= drawn.draw(st.dictionaries(st.sampled_from(["batched", "event_id", "trigger_id", "x"]), json_values, max_size=2))
    answer = gate.send(sent)
    assert answer.status_code in (200, 422)
    for reached in gate.reached:
        assert set(reached) <= {"fn_index", "session_hash", "trigger_id", "data", "event_data"}
        assert all(value is None or isinstance(value, str | int | float | bool) for value in reached["data"])
        pressed = reached.get("event_data") or {}
        assert all(value is None or isinstance(value, str) for value in pressed.values())


def test_a_demo_counts_clicks_before_gradio_sees_them(open_gate, mode, lab):
    gate = open_gate
    lab.limits._window.storage.reset()
    number, fn = next((number, fn) for number, fn in gate.fns.items() if fn.api_name == "tokenize")
    statuses = [gate.send({**call(number, fn), "session_hash": f"s{count}"}).status_code for count in range(310)]
    lab.limits._window.storage.reset()
    assert statuses == ([200] * 300 + [429] * 10 if mode == "demo" else [200] * 310)


@pytest.mark.parametrize("stated", ["participant:{}", "workshop:{}", "short{}", "", None])
def test_a_demo_counts_by_its_address_who_states_an_id_that_it_did_not_make(open_gate, mode, lab, stated):
    gate = open_gate
    lab.limits._window.storage.reset()
    number, fn = next((number, fn) for number, fn in gate.fns.items() if fn.api_name == "tokenize")

    def send(count, address="192.0.2.1"):
        sent = {**call(number, fn), "session_hash": f"s{count}"}
        sent["data"][0] = stated and stated.format(count)
        return gate.send(sent, address).status_code

    statuses = [send(count) for count in range(310)]
    elsewhere = send(400, "198.51.100.1")
    lab.limits._window.storage.reset()
    assert statuses == ([200] * 300 + [429] * 10 if mode == "demo" else [200] * 310)
    assert elsewhere == 200, "others who state the same are not refused with them"


# A handler that is not declared as all are


def test_a_handler_without_a_cost_does_not_start(lab):
    class Other(Handlers):
        def free_of_charge(self, visit):
            yield {}

    with gr.Blocks() as page:
        parts = Parts({"visitor": gr.BrowserState()})
        with pytest.raises(TypeError, match="states no cost"):
            on(parts, page.load, Other(lab).free_of_charge)
        page.load(lambda: None, outputs=[parts.html("x")])
    with pytest.raises(TypeError, match="states no cost"):
        Calls(page)


# Over the wire, with Gradio behind it


def join(client, name, *data, **more):
    config = client.get("/config").json()
    found = next(item for item in config["dependencies"] if item["api_name"] == name)
    first = {component["id"]: component["props"].get("value") for component in config["components"]}
    values = [*data, *(first[id] for id in found["inputs"][len(data) :])]
    sent = {"fn_index": found["id"], "session_hash": more.pop("session", SESSION), "data": values, **more}
    return client.post(JOIN, json=sent)


def everything_under(folder):
    return [
        path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".sqlite", ".sqlite-wal", ".sqlite-shm")
    ]


def test_a_text_that_says_it_is_a_file_brings_no_file(client, lab, secret):
    before = everything_under(lab.settings.data)
    for file in files(secret):
        answer = join(client, "tokenize", "", file)
        assert answer.status_code == 422
        answer = join(client, "tokenize", file)
        assert answer.status_code == 422
    assert everything_under(lab.settings.data) == before
    for path in (secret, Path("/etc/hostname"), lab.settings.data / "ledger.sqlite"):
        for way in (f"/gradio_api/file={path}", f"/gradio_api/file/{path}", f"/file={path}", f"/gradio_api/proxy={path}"):
            answer = client.get(way)
            assert answer.status_code in (403, 404) and MARKER not in answer.text, way


def test_gradio_itself_would_refuse_it_too(lab, mode, secret):
    """Should something get past the firewall: Gradio knows that it has launched, and that no path may be served."""
    inner = next(route.app for route in create_app(lab).routes if hasattr(getattr(route, "app", None), "get_blocks"))
    page = inner.get_blocks()
    assert page.has_launched and page.blocked_paths == ["/"]
    function = next(number for number, fn in page.fns.items() if fn.api_name == "tokenize")
    data = [None, {"path": str(secret), "meta": {"_type": "gradio.FileData"}}, *[None] * 7]
    with served(inner) as address, httpx.Client(base_url=address, timeout=TIMEOUT) as client:
        client.get(f"{API_PREFIX}/startup-events")
        joined = client.post(JOIN, json={"fn_index": function, "session_hash": "inner", "data": data})
        if mode == "auth":
            assert joined.status_code == 401 and client.get(f"{API_PREFIX}/file={secret}").status_code == 401
            return
        told = client.get(f"{API_PREFIX}/queue/data?session_hash=inner").text
        assert '"success":false' in told.replace(" ", "") and MARKER not in told
        assert client.get(f"{API_PREFIX}/file={secret}").status_code == 403
    assert MARKER not in "".join(path.read_text(errors="ignore") for path in everything_under(lab.settings.data))


def test_a_value_in_the_wrong_field_reaches_neither_log_nor_answer(client, capfd, caplog):
    typed = f"password-{secrets.token_hex(8)}"
    for name in ("apply", "check_file", "inside_draw", "model_plan", "monitor_limits", "set_mask"):
        found = next(i for i in client.get("/config").json()["dependencies"] if i["api_name"] == name)
        for place in range(len(found["inputs"])):
            data = [None] * len(found["inputs"])
            data[place] = typed
            sent = {"fn_index": found["id"], "session_hash": secrets.token_hex(4), "data": data}
            answer = client.post(JOIN, json=sent)
            assert typed not in answer.text
            if answer.status_code == 200:
                client.get("/gradio_api/queue/data", params={"session_hash": sent["session_hash"]})
    out = capfd.readouterr()
    assert typed not in out.out + out.err + caplog.text


# Files


def upload(client, name="edits.csv", content=b"subject,prompt,target_new\n", **options):
    return client.post(UPLOAD, files={"files": (name, content)}, **options)


def as_file(path):
    return {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "edits.csv"}


def test_a_file_is_its_sessions_alone(client, address, mode, lab):
    called = upload(client).json()[0]
    assert str(lab.settings.data) not in called
    assert join(client, "check_file", "", as_file(called), session="mine").status_code == 200
    assert join(client, "check_file", "", as_file(called), session="mine").status_code == 200
    assert join(client, "check_file", "", as_file(called), session="another").status_code == 422
    with client_of(address, mode, "ben") as other:
        assert join(other, "check_file", "", as_file(called), session="theirs").status_code == 422


@pytest.mark.parametrize(
    "named", ["x", "../../ledger.sqlite", "/etc/hostname", "", "http://127.0.0.1:1/", "0" * 32 + "/edits.csv"]
)
def test_a_file_that_nobody_sent_is_none(client, named):
    answer = join(client, "check_file", "", as_file(named))
    assert answer.status_code == 422 and "Choose it again" in answer.json()["detail"]


def test_a_file_has_the_form_that_its_button_takes(client):
    called = upload(client, "bundle.zip").json()[0]
    answer = join(client, "check_file", "", as_file(called))
    assert answer.status_code == 422 and ".csv, .tsv, .txt, .json, .jsonl" in answer.json()["detail"]


def test_a_file_is_as_large_as_the_limit_says(client, lab):
    most = lab.limits.file_bytes
    assert upload(client, content=bytes(most)).status_code == 200
    assert upload(client, content=bytes(most + 1)).status_code == 413
    assert upload(client, content=bytes(most * 2)).status_code == 413
    chunks = (b"x" * 100_000 for _ in range(400))
    assert client.post(UPLOAD, content=chunks, headers={"content-type": "multipart/form-data; boundary=x"}).status_code in (
        400,
        413,
    )


@pytest.mark.parametrize(
    "name", ["../../x.csv", "/etc/x.csv", "..\\x.csv", "\x00.csv", "a" * 300 + ".csv", "é" * 300 + ".csv", ""]
)
def test_a_file_lies_in_a_folder_of_its_own_whatever_it_is_called(client, lab, name):
    answer = upload(client, name or "blob")
    assert answer.status_code == 200
    folder, own = answer.json()[0].split("/")
    found = next((lab.settings.data / "uploads").glob(f"*/{folder}/*"))
    assert found.name == own and ".." not in own and found.stat().st_mode & 0o777 == 0o600
    assert (found.parent.stat().st_mode | found.parent.parent.stat().st_mode) & 0o777 == 0o700


def test_uploads_are_bounded_whoever_sends_them(client, lab):
    for number in range(60):
        assert upload(client, f"{number}.csv").status_code == 200
    assert len(lab.uploads) <= 40
    folder = lab.settings.data / "uploads"
    assert len([path for path in folder.rglob("*") if path.is_file()]) <= 40


NO_FORM = [
    (b"", "text/plain"),
    (b"x", "multipart/form-data"),
    (b"a=b", "application/x-www-form-urlencoded"),
    (b"{}", "application/json"),
]


@pytest.mark.parametrize(("content", "kind"), NO_FORM)
def test_a_form_without_a_file_is_refused(client, content, kind):
    assert client.post(UPLOAD, content=content, headers={"content-type": kind}).status_code == 400
    two = [("files", ("a.csv", b"x")), ("files", ("b.csv", b"x"))]
    assert client.post(UPLOAD, files=two).status_code == 400


def test_files_on_their_way_are_bounded_for_each_who_sends_them(lab, calls):
    started, statuses = [], []

    def asked(firewall, address):
        scope = asked_for(UPLOAD, "POST") | {"client": (address, 1)}
        scope["headers"] = [(b"content-type", b"multipart/form-data; boundary=x")]

        async def receive():
            started.append(address)
            await asyncio.Event().wait()

        async def send(message):
            statuses.append(message.get("status"))

        return firewall(scope, receive, send)

    async def many():
        firewall = Firewall(None, lab, calls, Api(APIRouter()), Sessions(gr.Blocks()), lambda request: None)
        waiting = [asyncio.create_task(asked(firewall, address)) for address in ["192.0.2.1"] * 20 + ["192.0.2.2"]]
        await asyncio.sleep(0)
        await asyncio.wait(waiting, timeout=0.5)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return firewall

    firewall = asyncio.run(many())
    assert started == ["192.0.2.1"] * MOST_UPLOADS + ["192.0.2.2"]
    assert [status for status in statuses if status] == [429] * (20 - MOST_UPLOADS)
    assert not firewall._uploading


# Pages


def asked_for(path, method="GET"):
    return {"type": "http", "method": method, "path": path, "query_string": b"", "headers": [], "client": ("192.0.2.1", 1)}


def test_few_pages_are_made_at_a_time_and_a_slow_reader_keeps_nobody_waiting(lab, calls):
    now, most, made = 0, 0, []

    async def slow_gradio(scope, receive, send):
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.001)
        now -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"page"})

    async def many():
        read = asyncio.Event()

        async def send(message):
            made.append(message["type"])
            await read.wait()

        firewall = Firewall(slow_gradio, lab, calls, Api(APIRouter()), Sessions(gr.Blocks()), lambda request: None)
        pages = [asyncio.create_task(firewall(asked_for(path), None, send)) for path in PAGES * 4]
        while len(made) < len(pages):
            await asyncio.sleep(0.001)
        read.set()
        await asyncio.gather(*pages)

    lab.limits._window.storage.reset()
    asyncio.run(asyncio.wait_for(many(), TIMEOUT))
    assert most == MOST_PAGES and made.count("http.response.body") == len(PAGES) * 4


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_demo_counts_what_costs_as_much_as_a_page(client, mode, monkeypatch, path, method):
    few = {"pages": RateLimitItemPerMinute(3)}
    monkeypatch.setattr("editlab.lab.access.limits.EACH", EACH | few)
    answers = [client.request(method, f"{path}?x={number}") for number in range(4)]
    assert [answer.status_code == 429 for answer in answers] == [False, False, False, mode == "demo"]
    if mode == "demo" and method == "GET":
        assert "3 page loads a minute" in answers[-1].text


# Bodies, sessions, routes


def test_no_body_is_read_beyond_its_size(client):
    many = b"x" * 5_000_000
    for path in ("/gradio_api/queue/join", "/gradio_api/cancel", "/login", "/logout", "/gradio_api/reset", "/"):
        answer = client.post(path, content=many)
        assert answer.status_code in (401, 404, 405, 413), path
        assert answer.status_code == 413 or path not in ("/gradio_api/queue/join", "/gradio_api/cancel")

        def endless():
            for _ in range(500):
                yield b"x" * 10_000

        answer = client.post(path, content=endless())
        assert answer.status_code in (401, 404, 405, 413) or (path, answer.status_code) == ("/logout", 303), path


def test_sessions_are_bounded_and_small():
    page = gr.Blocks()
    sessions = Sessions(page)

    async def calls():
        for number in range(MOST_SESSIONS + 200):
            await sessions.note_call(f"s{number}", "a")
            page._queue.pending_messages_per_session[f"s{number}"] = None
            page._queue.pending_event_ids_session[f"s{number}"] = {"open"} if number == 0 else set()
            sessions[f"s{number}"]

    asyncio.run(calls())
    assert len(sessions.session_data) <= MOST_SESSIONS + 1
    assert len(page._queue.pending_event_ids_session) <= MOST_SESSIONS + 1
    assert "s0" in page._queue.pending_event_ids_session and "s1" not in page._queue.pending_event_ids_session
    assert sessions["s0"].config_values == {}


OPENED = 6


def test_gradio_keeps_next_to_nothing_of_a_session(app, client):
    """It would keep a copy of every component that is updated, a megabyte a session."""
    inner = next(route.app for route in app.routes if hasattr(getattr(route, "app", None), "get_blocks"))
    gc.collect()
    before = sum(Block in type(thing).__mro__ for thing in gc.get_objects())
    for number in range(OPENED):
        session = f"kept{number}"
        assert join(client, "tokenize", None, "Slovenia", "{} is in", "Asia", session=session).status_code == 200
        client.get("/gradio_api/queue/data", params={"session_hash": session})
        assert set(vars(inner.state_holder.session_data[session])) >= {"_kept", "_latest"}
    gc.collect()
    assert sum(Block in type(thing).__mro__ for thing in gc.get_objects()) - before <= 2 * OPENED


def test_a_session_whose_answers_nobody_fetches_asks_no_further(gate):
    number, fn = next(iter(gate.fns.items()))
    gate.page._queue.pending_event_ids_session["full"] = {str(one) for one in range(MOST_OPEN)}
    answer = gate.send({**call(number, fn), "session_hash": "full"})
    assert answer.status_code == 429 and gate.reached == []


def test_an_address_whose_answers_nobody_fetches_asks_no_further(gate, monkeypatch):
    number, fn = next(iter(gate.fns.items()))
    monkeypatch.setattr("editlab.web.server.firewall.MOST_UNREAD", 3)
    waiting = gate.page._queue.pending_event_ids_session
    for name in ("one", "two", "three"):
        assert gate.send({**call(number, fn), "session_hash": name}).status_code == 200
        waiting[name] = {name}
    assert gate.send({**call(number, fn), "session_hash": "four"}).status_code == 429
    with gate.sessions.listen("two"):
        assert gate.send({**call(number, fn), "session_hash": "four"}).status_code == 200
    for name in ("one", "two", "three"):
        waiting.pop(name)


def test_answers_that_nobody_fetches_for_long_are_dropped():
    page = gr.Blocks()
    sessions, queue = Sessions(page), page._queue

    async def calls():
        for name in ("left", "heard", "fresh"):
            await sessions.note_call(name, "a")
            queue.pending_event_ids_session[name] = {name}
            queue.pending_messages_per_session[name] = "what it said"
        for name in ("left", "heard"):
            sessions._callers[name].at -= 2 * UNREAD_SECONDS
        with sessions.listen("heard"):
            await sessions.note_call("new", "b")
        assert {"heard", "fresh"} <= set(queue.pending_event_ids_session)
        assert "left" not in queue.pending_event_ids_session and "left" not in queue.pending_messages_per_session
        assert not sessions.knows("left") and sessions.knows("fresh")

    asyncio.run(calls())


def test_a_stream_of_a_session_that_asked_nothing_is_none(client):
    assert client.get("/gradio_api/queue/data?session_hash=nobody").status_code == 404


@pytest.mark.parametrize(
    "query", ["", "?session_hash=", "?session_hash=../x", "?session_hash=a&session_hash=b", "?session_hash=" + "a" * 65]
)
def test_a_stream_names_one_session(client, query):
    assert client.get(f"/gradio_api/queue/data{query}").status_code in (403, 422)


EXPECTED = {
    *(f"/{name}" for name in ("", "health", "ready", "metrics", "model", "config", "login", "logout", "theme.css")),
    *("/favicon.ico", "/robots.txt", "/manifest.json", "/exports/x", "/static/x", "/assets/x"),
    *(f"/gradio_api/{name}" for name in ("queue/join", "queue/data", "cancel", "upload", "info", "startup-events")),
    *("/gradio_api/theme.css", "/join/x", "/workshop/now", "/workshop/guess", "/workshop/leave"),
    *("/docs", "/openapi.json", "/api/edits", "/api/edits/undo", "/api/probes"),
    *(f"/v1/{name}" for name in ("models", "models/x", "completions", "chat/completions")),
}
"""Every way in. A route that an upgrade of Gradio opens is none of them, and the test below fails."""


def test_no_route_is_open_that_is_not_on_the_list(app, client, address, mode):
    routes = filled(routes_of(app), "x")
    assert len(routes) > 80
    reached = set()
    for path in sorted({path for _, path in routes} - {"/login", "/logout"}):
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
            with client.stream(method, path) as answer:
                if answer.status_code != 404:
                    reached.add(path)
    assert len(reached) > 10 and reached <= EXPECTED
    assert OPEN <= EXPECTED


def test_without_a_login_there_is_none(client, mode):
    for path in ("/login", "/logout"):
        assert (client.post(path, data={"username": "a", "password": "b"}).status_code == 404) == (mode != "auth")


# What one visitor cannot do to another


def test_an_edit_of_somebody_else_is_not_reached_by_ids(client, address, mode, lab, few_steps):
    owner = "ana" if mode == "auth" else secrets.token_urlsafe(16)
    edits.apply(lab.workspace(lab.directory.current(owner).id), EditRequest("{} is in", "Zanzibar", "Asia")).result(TIMEOUT)
    edit = lab.workspace(lab.directory.current(owner).id).records[0].id
    with client_of(address, mode, "ben") as other:
        session = secrets.token_hex(4)
        handle = lab.directory.current(owner).handle
        for name, pressed in (
            ("change_edit", {"press": "remove", "edit": edit}),
            ("workspace_edit", {"press": "switch", "edit": edit}),
            ("workspace_press", {"press": "enter", "workspace": handle}),
            ("workspace_press", {"press": "delete", "workspace": handle}),
            ("follow_link", {"press": "follow", "workspace": handle}),
        ):
            visitor = None if mode == "auth" else secrets.token_urlsafe(16)
            assert join(other, name, visitor, event_data=pressed, session=session).status_code == 200
            told = other.get("/gradio_api/queue/data", params={"session_hash": session}).text
            assert "Zanzibar" not in told
    wait_until(lambda: not lab.worker.open)
    assert [record.on for record in lab.workspace(lab.directory.current(owner).id).records] == [True]
