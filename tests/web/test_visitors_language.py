"""A visitor is answered in their language: the page, what its handlers say, and what the server says itself."""

import json
import re

import pytest
from gradio_client import Client
from over_the_wire import others, served
from starlette.testclient import TestClient

from editlab.web import create_app
from editlab.web.core import language
from editlab.web.core.speaking import speaking
from editlab.web.core.visit import Visit

GERMAN, FRENCH = "de-AT,de;q=0.9,en;q=0.5", "fr-FR,fr;q=0.9"


@pytest.fixture(scope="module")
def app(lab):
    """The app with German, whether it is offered yet or not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(language, "LANGUAGES", ("en", "de"))
        yield create_app(lab)


@pytest.fixture
def visit(app):
    """`visit(accepted, address)`: the page as a new browser gets it."""

    def get(accepted="", address="/", client=None):
        client = client or TestClient(app, base_url="http://127.0.0.1")
        return client.get(address, headers={"Accept-Language": accepted})

    return get


def config_of(answer):
    return json.loads(re.search(r"window\.gradio_config = (\{.*?\});</script>", answer.text, re.DOTALL)[1])


def value_of(config, name):
    (props,) = (part["props"] for part in config["components"] if part["props"].get("elem_id") == name)
    return props["value"]


def test_the_page_comes_in_the_browsers_language(visit):
    assert value_of(config_of(visit(GERMAN)), "apply") == "Edit anwenden"
    for accepted in ("", FRENCH, "en-GB,de;q=0.9"):
        answer = visit(accepted)
        assert value_of(config_of(answer), "apply") == "Apply edit"
        assert answer.headers["Content-Language"] == "en" and "Accept-Language" in answer.headers["Vary"]


def test_the_pages_of_all_languages_differ_in_texts_alone(visit):
    def bare(value):
        if isinstance(value, dict):
            return {name: bare(part) for name, part in value.items()}
        if isinstance(value, list):
            return [bare(part) for part in value]
        return "" if isinstance(value, str) else value

    english, german = config_of(visit()), config_of(visit(GERMAN))
    assert english != german and bare(english) == bare(german)


def test_an_address_names_a_language_and_it_is_kept_for_the_visit(app, visit):
    client = TestClient(app, base_url="http://127.0.0.1")
    assert visit("", "/?lang=tlh", client).headers["Content-Language"] == "en" and not client.cookies
    assert visit("", "/?lang=de", client).headers["Content-Language"] == "de"
    assert visit("en", "/", client).headers["Content-Language"] == "de"
    assert visit("en", "/?lang=en", client).headers["Content-Language"] == "en"
    assert visit(GERMAN, "/", client).headers["Content-Language"] == "en"


def test_a_handler_and_the_firewall_answer_in_the_visitors_language(app):
    with served(app) as address:
        client = Client(address, verbose=False, headers={"Accept-Language": GERMAN})
        try:
            job = client.submit("ana", "", *others(client, "/keys_discuss", 1), api_name="/keys_discuss")
            job.result(timeout=60)
        finally:
            client.close()
    assert "Es gibt nichts zu fragen." in str(job.outputs())


def test_the_first_workspace_is_named_in_the_visitors_language_and_keeps_its_name(lab):
    visits = {name: Visit(lab, name, name) for name in ("ana", "ben")}
    with speaking("de"):
        assert visits["ana"].workspace_info.name == "Meine Edits"
    assert {name: visit.workspace_info.name for name, visit in visits.items()} == {"ana": "Meine Edits", "ben": "My edits"}
