"""A running page connects to nobody: not at its start, not while it is used, and not where somebody tries to make it."""

import httpx
import pytest
from over_the_wire import edit, model_of, shown
from watching import watched

pytestmark = pytest.mark.slow


def used(address):
    """Edit and ask, as a visitor does."""
    assert model_of(address) is not None
    assert any("Slovenia → Asia" in part for part in shown(address, *edit("Slovenia"), api_name="/apply"))
    assert any('class="answer' in part for part in shown(address, "Slovenia belongs to the continent of", api_name="/ask"))


def test_nothing_goes_out_while_a_demo_is_used(saved_model, tmp_path):
    with watched(tmp_path, saved_model, "--demo") as run:
        used(run.address)
    assert run.outgoing() == [] and run.refused() == []


HOME = "http://home.invalid/x"
REMOTE = {"path": HOME, "url": HOME, "meta": {"_type": "gradio.FileData"}}


def every_call(address):
    """Call every handler with nothing, with addresses in all its texts, and with a file elsewhere at each place."""
    with httpx.Client(base_url=address, timeout=60) as client:
        config = client.get("/config").json()
        texts = {part["id"] for part in config["components"] if part["type"] == "textbox"}
        for handler in config["dependencies"]:
            inputs = handler["inputs"]
            empty = {"fn_index": handler["id"], "session_hash": "outgoing", "data": [None] * len(inputs)}
            written = {**empty, "data": [HOME if part in texts else None for part in inputs]}
            statuses = []
            for sent in (empty, written, {**empty, "event_data": {"press": "enter", "text": HOME}}):
                statuses.append(client.post("/gradio_api/queue/join", json=sent).status_code)
                if statuses[-1] == 200:
                    client.get("/gradio_api/queue/data", params={"session_hash": "outgoing"})
            assert statuses[0] == 200, handler["api_name"]
            for place in range(len(inputs)):
                data = [REMOTE if other == place else None for other in range(len(inputs))]
                assert client.post("/gradio_api/queue/join", json={**empty, "data": data}).status_code == 422
    return len(config["dependencies"])


def test_nothing_goes_out_however_the_page_is_used_and_whatever_is_called(saved_model, tmp_path):
    with watched(tmp_path, saved_model) as run:
        used(run.address)
        assert every_call(run.address) > 60
        assert model_of(run.address) is not None
    assert run.outgoing() == [] and run.refused() == []


def test_what_is_tried_all_the_same_is_refused_and_logged(saved_model, tmp_path):
    """The page of this run tries it at every edit, as a fault in a library would."""
    with watched(tmp_path, saved_model, program="tests/web/calling_home.py") as run:
        assert any("Slovenia → Asia" in part for part in shown(run.address, *edit("Slovenia"), api_name="/apply"))
    assert {event for event, _ in run.outgoing()} == {"socket.getaddrinfo", "socket.connect"}
    (line,) = run.refused()
    assert "host=home.invalid port=443" in line and "Slovenia" not in line
    assert "calling home: OutgoingRefused, OutgoingRefused" in run.app.written
