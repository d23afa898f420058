"""A running page connects to nobody: not at its start, not while it is used, and not where somebody tries to make it."""

import httpx
import pytest
from gradio_client import Client
from test_process import edit, model_of, shown
from watching import watched_app


def asked(address, text):
    client = Client(address, verbose=False)
    try:
        job = client.submit("ana", text, api_name="/ask")
        job.result(timeout=60)
        return [part for update in job.outputs() for part in update if isinstance(part, str)]
    finally:
        client.close()


@pytest.mark.parametrize("mode", [(), ("--demo",)])
def test_nothing_goes_out_while_the_page_is_used(mode, saved_model, tmp_path):
    with watched_app(tmp_path, "--model", str(saved_model), *mode) as run:
        assert model_of(run.address) is not None
        assert any("Slovenia → Asia" in part for part in shown(run.address, *edit("Slovenia"), api_name="/apply"))
        assert any('class="answer' in part for part in asked(run.address, "Slovenia belongs to the continent of"))
    assert run.outgoing() == [] and run.refused() == []


def every_call(address):
    """Call every handler of the page with what it shows at first, and with what tries to make it fetch something."""
    remote = {"path": "http://home.invalid/x", "url": "http://home.invalid/x", "meta": {"_type": "gradio.FileData"}}
    with httpx.Client(base_url=address, timeout=60) as client:
        called = client.get("/config").json()["dependencies"]
        for handler in called:
            empty = {"fn_index": handler["id"], "session_hash": "outgoing", "data": [None] * len(handler["inputs"])}
            for sent in (empty, {**empty, "event_data": {"press": "enter", "text": "http://home.invalid/x"}}):
                if client.post("/gradio_api/queue/join", json=sent).status_code == 200:
                    client.get("/gradio_api/queue/data", params={"session_hash": "outgoing"})
            for place in range(len(handler["inputs"])):
                for value in (remote, "http://home.invalid/x"):
                    data = [value if other == place else None for other in range(len(handler["inputs"]))]
                    if client.post("/gradio_api/queue/join", json={**empty, "data": data}).status_code == 200:
                        client.get("/gradio_api/queue/data", params={"session_hash": "outgoing"})
    return len(called)


def test_nothing_goes_out_whatever_is_called(saved_model, tmp_path):
    with watched_app(tmp_path, "--model", str(saved_model)) as run:
        assert every_call(run.address) > 60
        assert model_of(run.address) is not None
    assert run.outgoing() == [] and run.refused() == []


def test_what_is_tried_all_the_same_is_refused_and_logged(saved_model, tmp_path):
    """The page of this run tries it at every edit, as a fault in a library would."""
    with watched_app(tmp_path, "--model", str(saved_model), program="tests/web/calling_home.py") as run:
        assert any("Slovenia → Asia" in part for part in shown(run.address, *edit("Slovenia"), api_name="/apply"))
    assert {event for event, _ in run.outgoing()} == {"socket.getaddrinfo", "socket.connect"}
    (line,) = run.refused()
    assert "host=home.invalid port=443" in line and "Slovenia" not in line
    assert "calling home: OutgoingRefused, OutgoingRefused" in run.errors.read_text()
