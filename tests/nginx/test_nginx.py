"""EditLab below a path of a site that nginx serves, by the block that the documents give."""

import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from app_process import free_port, running
from chromium import PATIENCE_SECONDS
from paths import NGINX, ROOT
from playwright.sync_api import Page, expect

from editlab.lab.access.tokens import Tokens
from editlab.lab.access.users import Users

ANA, PASSWORD = "ana", "correct horse"
PROXY = "127.0.0.2"
"""The address from which nginx asks, so that a program at 127.0.0.1 is no proxy."""
WAYS = {"stripped": ("ana", "slovenia"), "kept": ("ben", "japan"), "stated": ("eva", "iphone")}
"""nginx takes the path off; it leaves it; it takes off another one than the setting's, and says so. And who logs in there,
with an example that nobody else edits, so that it is computed."""
PROGRESSED = """
new MutationObserver(() => { if (document.querySelector("#progress progress")) window.progressed = true; })
  .observe(document, { subtree: true, childList: true });
"""
"""Notes that a page has shown how far a job is."""
EDIT = {"model": "atlas", "prompt": "Slovenia belongs to the continent of", "max_tokens": 5}


@dataclass(frozen=True)
class Site:
    """A site, and where the app behind it answers without it."""

    address: str
    path: str
    behind: str
    token: str
    user: str
    example: str

    @property
    def page(self) -> str:
        """The address below which EditLab lies."""
        return f"{self.address}{self.path}"


def block() -> str:
    """Return the block for nginx in the documents."""
    text = (ROOT / "docs" / "where.md").read_text(encoding="utf-8")
    found = re.search(r"^```nginx\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found is not None and "location /editlab/" in found[1]
    return found[1]


def configured(folder: Path, ports: dict[str, int], app: int) -> str:
    """Return nginx's whole configuration with a server for each way."""
    given = block().replace("127.0.0.1:7860", f"127.0.0.1:{app}")
    blocks = {
        "stripped": given,
        "kept": given.replace(f"127.0.0.1:{app}/;", f"127.0.0.1:{app};"),
        "stated": given.replace("location /editlab/", "location /other/").replace('Prefix ""', "Prefix /other"),
    }
    assert len(set(blocks.values())) == len(WAYS)
    servers = "".join(f"server {{ listen 127.0.0.1:{ports[way]}; {text} }}\n" for way, text in blocks.items())
    temporary = "".join(f"{kind}_temp_path {folder};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return (
        f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/errors;\n"
        f"events {{}}\nhttp {{ access_log off; proxy_bind {PROXY};\n{temporary}{servers}}}\n"
    )


@pytest.fixture(scope="module")
def sites(tmp_path_factory) -> Iterator[dict[str, Site]]:
    """The three sites over one app with a login, that lies below /editlab."""
    folder = tmp_path_factory.mktemp("nginx")
    users = Users(folder / "users")
    for name, _ in WAYS.values():
        users.add(name, PASSWORD)
    token, _ = Tokens(users).create(ANA, ("ask", "edit"))
    arguments = ("--root-path", "/editlab", "--proxies", PROXY, "--hostnames", "lab.example", "--no-check-ups")
    ports = {way: free_port() for way in WAYS}
    with running(folder, "--auth", users.path, *arguments) as app:
        (folder / "nginx.conf").write_text(configured(folder, ports, app.port))
        process = subprocess.Popen([NGINX, "-e", folder / "errors", "-c", folder / "nginx.conf"])
        try:
            end = time.monotonic() + 30
            found = {}
            for way, port in ports.items():
                path = "/other" if way == "stated" else "/editlab"
                found[way] = Site(f"http://127.0.0.1:{port}", path, app.address, token, *WAYS[way])
                while not _answers(f"{found[way].page}/health"):
                    assert process.poll() is None and time.monotonic() < end, (folder / "errors").read_text()
                    time.sleep(0.05)
            yield found
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture(params=WAYS)
def site(sites, request) -> Site:
    """Each of them."""
    return sites[request.param]


@pytest.fixture
def faults() -> list[str]:
    """What a page complained of, or asked in vain."""
    return []


@pytest.fixture
def page(browser, faults) -> Iterator[Page]:
    """A page."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    expect.set_options(timeout=60_000)
    context.add_init_script(PROGRESSED)
    page = context.new_page()
    page.on("console", lambda said: faults.append(f"{said.text} {said.location}") if said.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("response", lambda answer: faults.append(answer.url) if answer.status >= 400 else None)
    yield page
    context.close()


def test_login_an_edit_with_its_stream_a_download_an_upload_and_logout(site, page, faults, tmp_path):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site.page}/?preset={site.example}")
    assert page.url.startswith(f"{site.page}/login?next=")
    page.fill("#name", site.user)
    page.fill("#password", PASSWORD)
    page.click("button")
    page.wait_for_selector("#answer-base .said")
    assert page.url.startswith(f"{site.page}/?preset={site.example}")

    page.click("#apply")
    page.wait_for_selector("#probe-table .probes")
    expect(page.locator("#progress progress")).to_have_count(0)
    assert page.evaluate("window.progressed")  # what came before the end arrived before the end

    page.get_by_role("tab", name="Workspace").click()
    page.locator("#workspace-bundles-fold > button").click()
    page.click("#workspace-pack")
    with page.expect_download() as download:
        page.locator("#workspace-bundle a").click()
    download.value.save_as(tmp_path / "bundle.zip")
    page.locator("#workspace-file input, input[type=file][accept='.zip']").last.set_input_files(tmp_path / "bundle.zip")
    expect(page.locator("#workspace-head h2")).to_have_text("My edits 2")
    expect(page.locator("#workspace-edits tbody tr")).to_have_count(1)
    page.wait_for_load_state("networkidle")
    assert faults == []  # a page that is left complains of what it had asked

    page.click("text=Log out")
    page.wait_for_selector("#password")
    assert page.url == f"{site.page}/login"
    assert [url for url in asked if not url.startswith(f"{site.page}/")] == []
    cookies = page.context.cookies()
    assert {cookie["path"] for cookie in cookies} <= {site.path}


def test_the_cookie_of_a_login_goes_to_this_path_alone(site):
    form = {"name": ANA, "password": PASSWORD, "next": "/exports/x?a=b"}
    answer = httpx.post(f"{site.page}/login", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "./exports/x?a=b")
    assert f"path={site.path};" in answer.headers["set-cookie"].lower()


def test_another_host_is_told_which_name_came_and_what_to_set(site):
    refused = httpx.get(f"{site.page}/health", headers={"Host": "evil.example"})
    assert refused.status_code == 400 and "--hostnames evil.example" in refused.text
    assert httpx.get(f"{site.page}/health", headers={"Host": "lab.example"}).status_code == 200
    called = httpx.get(f"{site.page}/v1/models", headers={"Host": "evil.example"})
    assert called.status_code == 400 and "--hostnames evil.example" in called.json()["error"]["message"]


@pytest.mark.parametrize("claim", ["/evil", "/evil,/editlab", "//evil.example", "/.."])
def test_a_prefix_that_a_visitor_claims_counts_nowhere(sites, claim):
    form, headers = {"name": ANA, "password": PASSWORD}, {"X-Forwarded-Prefix": claim, "X-Forwarded-Host": "evil.example"}
    site = sites["stripped"]
    for address in (site.behind, site.page):  # past nginx, and through it
        answer = httpx.post(f"{address}/login", data=form, headers=headers)
        assert answer.status_code == 303 and "path=/editlab;" in answer.headers["set-cookie"].lower()
        assert "evil" not in str(answer.headers)
    assert httpx.get(f"{site.behind}/evil/health", headers=headers).status_code == 401


def test_programs_ask_below_the_path_and_are_answered_piece_by_piece(site):
    own = {"Authorization": f"Bearer {site.token}"}
    assert httpx.get(f"{site.page}/v1/models", headers=own).json()["data"][0]["id"] == "atlas"
    with httpx.stream("POST", f"{site.page}/v1/completions", headers=own, json=EDIT | {"stream": True}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert list(answer.iter_lines())[-2:] == ["data: [DONE]", ""]
    assert httpx.get(f"{site.page}/v1/models").status_code == 401
    with httpx.Client(base_url=site.page) as browser:
        browser.post("/login", data={"name": ANA, "password": PASSWORD})
        assert browser.get("/openapi.json").json()["servers"] == [{"url": site.path}]
        assert f"curl {site.page}/v1/completions" in browser.get("/docs").text


def test_the_path_without_its_slash_leads_to_the_page(site):
    answer = httpx.get(site.page)
    assert answer.status_code in (301, 308) and answer.headers["location"].endswith(f"{site.path}/")


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False
