"""The page as it is served: health, a round trip over the wire, and what is closed."""

import gzip
import json
import os
import re
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from gradio.context import Context
from gradio_client import Client
from over_the_wire import others, served

from editlab.errors import BadRequest
from editlab.settings import Settings
from editlab.web import create_app
from editlab.web.core.theme import STYLES


@pytest.fixture(scope="module")
def server(lab):
    with served(create_app(lab)) as address:
        yield address


def get(url):
    with urlopen(url, timeout=20) as response:
        return response.status, response.read()


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:7860", 200), ("127.0.0.1", 200), ("[::1]:7860", 200), ("rebound.example:7860", 400), ("", 400)],
)
def test_on_this_computer_only_its_own_names_are_answered(server, host, status):
    """A site that lets its own name point here could read everything otherwise."""
    if status == 200:
        assert get(Request(f"{server}/model", headers={"Host": host}))[0] == 200
    else:
        with pytest.raises(HTTPError) as refused, urlopen(Request(f"{server}/model", headers={"Host": host}), timeout=20):
            pass
        assert refused.value.code == status
        refused.value.close()


def test_another_site_can_send_nothing(server):
    headers = {"Content-Type": "application/json", "Origin": "http://elsewhere.example"}
    request = Request(f"{server}/gradio_api/queue/join", b"{}", headers)
    with pytest.raises(HTTPError) as refused, urlopen(request, timeout=20):
        pass
    assert refused.value.code == 403
    refused.value.close()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "Only this computer reaches it, and there is no login."),
        ({"host": "0.0.0.0", "trusted_network": True}, "everybody who reaches it may do everything"),
        ({"host": "0.0.0.0", "demo": True}, "a public demo: everybody who reaches it can use it within limits"),
        ({"host": "0.0.0.0", "auth": "users"}, "The users in users can log in."),
    ],
)
def test_who_can_reach_the_page_is_said(given, said):
    assert said in Settings(**given).reach()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "localhost.example"])
def test_a_page_for_everybody_has_to_be_meant(host):
    with pytest.raises(BadRequest) as refused:
        Settings(host=host, port=7000).reach()
    for way in ("--auth FILE", "--demo", "ssh -L 7000:127.0.0.1:7000"):
        assert way in str(refused.value)


def test_a_space_is_a_public_demo(monkeypatch):
    monkeypatch.setenv("SPACE_ID", "somebody/editlab")
    settings = Settings()
    assert (settings.host, settings.demo, settings.single_user) == ("0.0.0.0", True, False)


def test_health_answers_as_soon_as_the_model_can_be_asked(server):
    status, body = get(f"{server}/health")
    assert (status, json.loads(body)) == (200, {"status": "ok"})


def test_the_page_names_no_other_host_and_calls_nobody(server):
    _, page = get(server)
    config = json.loads(get(f"{server}/config")[1])
    assert b"fonts.googleapis" not in page and b"fonts.gstatic" not in page
    assert config["analytics_enabled"] is False and os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"


def test_an_edit_over_the_wire(server, lab):
    client = Client(server, verbose=False, httpx_kwargs={"timeout": 60})
    try:
        fields = ("", "", "rome", "off", "Slovenia", "{} belongs to the continent of", "Antarctica", "Europe")
        job = client.submit("over-the-wire", *fields, *others(client, "/apply", len(fields)), api_name="/apply")
        job.result(timeout=120)
        shown = [part for update in job.outputs() for part in update if isinstance(part, str)]
    finally:
        client.close()
    assert any('id="answer-edited" class="answer edited changed"' in part for part in shown)
    assert any("<details" in part for part in shown)
    assert len(lab.workspace("over-the-wire").records) == 1


def test_the_page_is_sent_compressed_and_without_what_only_programs_read(lab, monkeypatch):
    # Gradio numbers components by process: behind many apps of other tests each of 10,000 numbers has two more digits.
    monkeypatch.setattr(Context, "id", 0)
    request = {"headers": {"Accept-Encoding": "gzip"}}
    with served(create_app(lab)) as address, urlopen(Request(address, **request), timeout=20) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        sent = response.read()
    page = gzip.decompress(sent)
    assert len(sent) < 150_000 and re.search(rb'"named_endpoints": ?\{\}', page)
    assert len(page) < 545_000 and b"api_info_as" not in page and b"example_inputs" not in page


def test_the_queue_cannot_be_gone_round(server):
    body = json.dumps({"data": ["x", "", "", "rome", "off", "Slovenia", "{} is in", "Asia", ""]}).encode()
    request = Request(f"{server}/gradio_api/run/apply", body, {"Content-Type": "application/json"})
    with pytest.raises(HTTPError) as refused, urlopen(request, timeout=20):
        pass
    assert refused.value.code in (403, 404)
    refused.value.close()


@pytest.mark.parametrize(
    "path",
    [
        "redoc",
        "gradio_api/openapi.json",
        "gradio_api/mcp/sse",
        "monitoring/summary",
        "gradio_api/monitoring/summary",
        "gradio_api/file=http://127.0.0.1:1/",
        "gradio_api/proxy=http://127.0.0.1:1/",
        "gradio_api/call/open/somebodys-session",
        "gradio_api/token",
    ],
)
def test_what_nobody_needs_is_closed(server, path):
    with pytest.raises(HTTPError) as refused, urlopen(f"{server}/{path}", timeout=20):
        pass
    assert refused.value.code in (403, 404)
    refused.value.close()


def test_no_selector_in_a_media_query_is_one_that_gradio_breaks():
    broken = re.compile(r"\.gradio-container|\.presenting|\([^()]*,")
    for path in STYLES:
        text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        for block in re.findall(r"@media[^{]*\{((?:[^{}]*\{[^{}]*\})*)", text):
            selectors = re.findall(r"([^{}]+)\{", block)
            assert selectors and [own.strip() for own in selectors if broken.search(own)] == []
