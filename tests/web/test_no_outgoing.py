"""A running page connects to nobody: not at its start, not while it is used, and not where somebody tries to make it."""

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


def test_what_is_tried_all_the_same_is_refused_and_logged(saved_model, tmp_path):
    """The page of this run tries it at every edit, as a fault in a library would."""
    with watched_app(tmp_path, "--model", str(saved_model), program="tests/web/calling_home.py") as run:
        assert any("Slovenia → Asia" in part for part in shown(run.address, *edit("Slovenia"), api_name="/apply"))
    assert {event for event, _ in run.outgoing()} == {"socket.getaddrinfo", "socket.connect"}
    (line,) = run.refused()
    assert "host=home.invalid port=443" in line and "Slovenia" not in line
    assert "calling home: OutgoingRefused, OutgoingRefused" in run.errors.read_text()
