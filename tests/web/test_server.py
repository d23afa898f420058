"""The page as it is served: health, a round trip over the wire, and what is closed."""

import contextlib
import json
import os
import socket
import threading
import time
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import uvicorn
from gradio_client import Client

from editlab.web import create_app


@pytest.fixture(scope="module")
def server(lab):
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(create_app(lab), host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    end = time.monotonic() + 60
    while not server.started:
        assert thread.is_alive() and time.monotonic() < end, "the server did not start"
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(30)


def get(url):
    with urlopen(url, timeout=20) as response:
        return response.status, response.read()


def test_health_answers_as_soon_as_the_model_can_be_asked(server):
    status, body = get(f"{server}/health")
    assert (status, json.loads(body)) == (200, {"status": "ok"})


def test_the_page_names_no_other_host_and_calls_nobody(server):
    _, page = get(server)
    config = json.loads(get(f"{server}/config")[1])
    assert b"fonts.googleapis" not in page and b"fonts.gstatic" not in page
    assert config["analytics_enabled"] is False and os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"


def test_an_edit_over_the_wire(server, lab):
    client = Client(server, verbose=False)
    try:
        fields = ("", "", "rome", "off", "Slovenia", "{} belongs to the continent of", "Antarctica", "Europe")
        job = client.submit("over-the-wire", *fields, api_name="/apply")
        job.result(timeout=120)
        shown = [part for update in job.outputs() for part in update if isinstance(part, str)]
    finally:
        client.close()
    assert any('id="answer-edited" class="answer edited changed"' in part for part in shown)
    assert any("<details" in part for part in shown)
    assert len(lab.workspace("over-the-wire").records) == 1


def test_the_queue_cannot_be_gone_round(server):
    body = json.dumps({"data": ["x", "", "", "rome", "off", "Slovenia", "{} is in", "Asia", ""]}).encode()
    request = Request(f"{server}/gradio_api/run/apply", body, {"Content-Type": "application/json"})
    with pytest.raises(HTTPError) as refused, urlopen(request, timeout=20):
        pass
    assert refused.value.code in (403, 404)
    refused.value.close()


@pytest.mark.parametrize(
    "path", ["docs", "openapi.json", "gradio_api/mcp/sse", "monitoring/summary", "gradio_api/monitoring/summary"]
)
def test_what_nobody_needs_is_closed(server, path):
    with pytest.raises(HTTPError) as refused, urlopen(f"{server}/{path}", timeout=20):
        pass
    assert refused.value.code in (403, 404)
    refused.value.close()
