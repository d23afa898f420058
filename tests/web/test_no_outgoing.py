"""A running page connects to nobody: not at its start, not while it is used, and not where somebody tries to make it."""

import re

import httpx
import pytest
from over_the_wire import attributes, edit, model_of, shown
from watching import watched

from editlab.web.core.handlers import Handlers

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


def buttons():
    """Return the attributes of a button for each handler that is called by one, by its name."""
    kinds, found = [Handlers], {}
    for kind in kinds:
        kinds += kind.__subclasses__()
        for name, handler in vars(kind).items():
            declaration = getattr(handler, "declaration", None)
            if declaration is not None and declaration.pressed is not None:
                found[name] = attributes(declaration.pressed[1])
    return found


def every_call(address):
    """Call every handler as the page first does, with addresses as its texts, and with a remote file at each place."""
    pressed = buttons()
    with httpx.Client(base_url=address, timeout=60) as client:
        config = client.get("/config").json()
        parts = {part["id"]: part for part in config["components"]}
        for handler in config["dependencies"]:
            inputs, name = handler["inputs"], re.sub(r"_\d+$", "", handler["api_name"])  # Gradio numbers equal names
            first = [parts[part]["props"].get("value") for part in inputs]
            call = {"fn_index": handler["id"], "session_hash": "outgoing", "data": first}
            call |= {"event_data": pressed[name]} if name in pressed else {}
            texts = [HOME if parts[part]["type"] == "textbox" else value for part, value in zip(inputs, first, strict=True)]
            home = {"event_data": {key: HOME for key in pressed[name]}} if name in pressed else {}
            statuses = []
            distinct = [call, *(other for other in (call | {"data": texts}, call | home) if other != call)]
            for sent in distinct:
                statuses.append(client.post("/gradio_api/queue/join", json=sent).status_code)
                if statuses[-1] == 200:
                    client.get("/gradio_api/queue/data", params={"session_hash": "outgoing"})
            assert statuses[0] == 200, name
            for place in range(len(inputs)):
                data = [REMOTE if other == place else value for other, value in enumerate(first)]
                assert client.post("/gradio_api/queue/join", json=call | {"data": data}).status_code == 422
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
