"""`editlab.show`: an app in this process, found again, and where a notebook's browser finds it."""

import json
import re
import subprocess
import sys
import types
from urllib.request import urlopen

import pytest

import editlab
from editlab import notebook
from editlab.errors import BadRequest
from editlab.notebook import place_of
from editlab.settings import Settings

VARIABLES = ("JUPYTERHUB_SERVICE_PREFIX", "JUPYTERHUB_PUBLIC_URL", "JPY_PARENT_PID", "VSCODE_PROXY_URI", "VSCODE_PID")


@pytest.fixture(autouse=True)
def nowhere(monkeypatch):
    """No notebook is around."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(notebook, "find_spec", lambda name: None)
    yield
    notebook._close()


def jupyter(monkeypatch, tmp_path, **about):
    """A Jupyter server has started this process."""
    (tmp_path / "jpserver-41.json").write_text(json.dumps({"base_url": "/", "port": 8888, "hostname": "localhost"} | about))
    paths = types.ModuleType("jupyter_core.paths")
    paths.jupyter_runtime_dir = lambda: str(tmp_path)
    monkeypatch.setitem(sys.modules, "jupyter_core", types.ModuleType("jupyter_core"))
    monkeypatch.setitem(sys.modules, "jupyter_core.paths", paths)
    monkeypatch.setenv("JPY_PARENT_PID", "41")


def allowed(place):
    """The settings that a place means, after their checks."""
    return Settings(**place.settings)


# In this process


def test_a_page_is_started_once_found_again_and_ended(saved_model, tmp_path):
    settings = {"model": str(saved_model), "data": tmp_path, "check_ups": False, "measure_statistics": False}
    first = editlab.show("team", **settings)
    address = first.url.partition("?")[0]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?workspace=[0-9a-f]{16}", first.url)
    again = editlab.show()
    assert again.url.startswith(address) and again.url != first.url
    assert editlab.show("team", **settings).url == first.url
    with pytest.raises(BadRequest, match="already runs here with other settings"):
        editlab.show("team", model="atlas")
    with pytest.raises(BadRequest, match="name"):
        editlab.show("")
    with urlopen(f"{address}health", timeout=20) as answer:
        assert answer.status == 200 and "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    first.close()
    with pytest.raises(OSError), urlopen(f"{address}health", timeout=20):
        pass
    again.close()  # it has ended already


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"port": 70_000}, "These settings are not valid: port"),
        ({"colour": "red"}, "colour"),
        ({"frame_ancestors": ("*",)}, "'\\*' is no site"),
        ({"host": "0.0.0.0"}, "everybody on the network could use EditLab"),
        ({"model": "no/such/folder/at/all"}, "no/such/folder"),
    ],
)
def test_what_does_not_fit_is_a_sentence_and_starts_nothing(given, said, tmp_path):
    with pytest.raises(editlab.EditLabError, match=said):
        editlab.show(data=tmp_path, **given)
    assert notebook._running is None


def test_a_frame_is_drawn_and_what_stands_in_it_is_text():
    shown = notebook.Shown('http://x/"><script>', 300)
    drawn = shown._repr_html_()
    assert "<script>" not in drawn and 'height="300"' in drawn and drawn.count("http://x/&quot;") == 2


@pytest.mark.slow
def test_import_editlab_imports_neither_page_nor_model():
    code = (
        "import sys, editlab; print([name for name in ('torch', 'gradio', 'pydantic', 'sqlalchemy') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# Where a browser finds it


def test_at_a_jupyter_server_of_this_computer_that_server_alone_may_show_it(monkeypatch, tmp_path):
    jupyter(monkeypatch, tmp_path)
    place = place_of(9000)
    assert place.url == "http://localhost:9000/"
    assert allowed(place).frame_ancestors == ("http://localhost:8888", "http://127.0.0.1:8888")
    jupyter(monkeypatch, tmp_path, hostname="127.0.0.1", secure=True)
    place = place_of(9000)
    assert place.url == "http://127.0.0.1:9000/"
    assert allowed(place).frame_ancestors == ("https://localhost:8888", "https://127.0.0.1:8888")


@pytest.mark.parametrize("written", ["", "[]", "{}", "null"])
def test_a_server_that_wrote_nothing_is_none(monkeypatch, tmp_path, written):
    jupyter(monkeypatch, tmp_path)
    (tmp_path / "jpserver-41.json").write_text(written)
    assert place_of(9000).url == "http://127.0.0.1:9000/"
    (tmp_path / "jpserver-41.json").unlink()
    assert allowed(place_of(9000)).frame_ancestors == ()


def test_with_a_proxy_at_that_server_the_page_lies_below_it(monkeypatch, tmp_path):
    jupyter(monkeypatch, tmp_path, base_url="/lab/")
    monkeypatch.setattr(notebook, "find_spec", lambda name: object())
    place = place_of(9000)
    assert place.url == "/lab/proxy/9000/"
    assert (allowed(place).root_path, allowed(place).frame_ancestors) == ("/lab/proxy/9000", ("'self'",))


def test_on_a_hub_the_page_lies_below_the_users_server(monkeypatch, tmp_path):
    jupyter(monkeypatch, tmp_path)
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ana@lab/")
    place = place_of(9000)
    assert place.url == "/user/ana@lab/proxy/9000/"
    assert (allowed(place).root_path, allowed(place).frame_ancestors) == ("/user/ana@lab/proxy/9000", ("'self'",))
    assert allowed(place).hostnames == ()
    monkeypatch.setenv("JUPYTERHUB_PUBLIC_URL", "https://hub.example/user/ana@lab/")
    assert allowed(place_of(9000)).hostnames == ("hub.example",)


@pytest.mark.parametrize(
    ("stated", "url", "root"),
    [
        ("https://code.example/proxy/{{port}}/", "https://code.example/proxy/9000/", "/proxy/9000"),
        ("https://{{port}}--code.example", "https://9000--code.example/", ""),
        ("./proxy/{{port}}", "http://127.0.0.1:9000/", ""),
    ],
)
def test_an_editor_says_where_its_proxy_is(monkeypatch, stated, url, root):
    monkeypatch.setenv("VSCODE_PROXY_URI", stated)
    place = place_of(9000)
    assert (place.url, allowed(place).root_path) == (url, root)
    assert all(name.endswith("code.example") for name in allowed(place).hostnames)


def test_vs_code_on_this_computer_may_show_it_and_no_site(monkeypatch):
    monkeypatch.setenv("VSCODE_PID", "41")
    assert allowed(place_of(9000)).frame_ancestors == ("vscode-webview:", "vscode-file:")


def test_in_colab_the_proxys_name_for_this_runtime_is_one_of_its_own(monkeypatch):
    output = types.ModuleType("google.colab.output")
    asked = []
    output.eval_js = lambda code: asked.append(code) or "https://abc-9000.prod.colab.dev/"
    for name in ("google", "google.colab"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "google.colab.output", output)
    place = place_of(9000)
    assert asked == ["google.colab.kernel.proxyPort(9000)"] and place.url == "https://abc-9000.prod.colab.dev/"
    settings = allowed(place)
    assert settings.hostnames == (".colab-user-runtimes.internal", "abc-9000.prod.colab.dev")
    assert settings.frame_ancestors == ("https://colab.research.google.com", "https://*.googleusercontent.com")
