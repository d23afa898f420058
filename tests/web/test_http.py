"""The HTTP interface on this computer: OpenAI's client, edits and probes, and what is refused."""

import json
import shutil
import subprocess
import threading
from collections import Counter
from contextlib import suppress
from itertools import pairwise

import httpx
import pytest
import schemathesis
import torch
from fastapi import APIRouter
from hypothesis import given, settings
from hypothesis.errors import FailedHealthCheck, Unsatisfiable
from openai import BadRequestError, NotFoundError, OpenAI
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi import checks
from starlette.testclient import TestClient
from torch.nn.functional import one_hot
from visitors import CAPITAL, CONTINENT, TIMEOUT, wait_until

from editlab.answers import ViewName
from editlab.lab import OwnProbe, judge
from editlab.lab.asking import answers, completing
from editlab.lab.jobs import completions
from editlab.lab.ledger import audit
from editlab.lab.ledger.expiry import forget_these
from editlab.lab.workspaces import edits
from editlab.model.completion import Prompt, complete, held_back, offsets
from editlab.model.frozen import FrozenModel
from editlab.patches import BASE
from editlab.web.api import create_api
from editlab.web.api.routes import ApiRoute, Caller
from editlab.web.api.service import describe

TEXT = CONTINENT.text
PLACES = ("Slovenia", "Japan", "France", "Brazil", "Kenya", "Canada", "Norway", "Peru")


@pytest.fixture(scope="module")
def team(lab):
    """A workspace with an edit and REP, and its name."""
    info = lab.directory.adopt("team")
    workspace = lab.workspace(info.id)
    edits.apply(workspace, CONTINENT, config={"steps": 3}, recipe="default").result(TIMEOUT)
    return workspace


@pytest.fixture
def client(address):
    with OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0, timeout=TIMEOUT) as client:
        yield client


@pytest.fixture
def calls(app):
    """The app, called from this computer."""
    return TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 5))


def greedy(lab, text, view, tokens):
    *_, said = lab.model.generate([text], view, tokens)
    return said[0]


# What a model is


def test_each_view_of_a_workspace_is_a_model(lab, team, client):
    names = [model.id for model in client.models.list()]
    assert names[0] == lab.loaded.name and f"{lab.loaded.name}@team" in names and f"{lab.loaded.name}@team+rep" in names
    about = client.models.retrieve(f"{lab.loaded.name}@team+rep")
    assert (about.view, about.fingerprint) == (ViewName.REP, lab.loaded.fingerprint)


def test_each_model_says_what_its_view_says(lab, team, client):
    name = lab.loaded.name
    views = {name: BASE, f"{name}@team": team.view, f"{name}@team+rep": team.robust}
    for model, view in views.items():
        said = client.completions.create(model=model, prompt=TEXT, max_tokens=6)
        assert said.choices[0].text == greedy(lab, TEXT, view, 6)
        assert (said.model, said.system_fingerprint, said.choices[0].finish_reason) == (
            model,
            lab.loaded.fingerprint,
            "length",
        )
        assert said.usage.completion_tokens == 6


def test_a_handle_names_a_workspace_too(lab, team, client):
    handle = client.models.retrieve(f"{lab.loaded.name}@team").workspace
    one, other = (
        client.completions.create(model=f"{lab.loaded.name}@{name}", prompt=TEXT, max_tokens=3).choices[0].text
        for name in (handle, "team")
    )
    assert one == other


def test_an_unknown_model_is_refused_by_name_and_the_known_ones_are_told(lab, client):
    with pytest.raises(NotFoundError) as refused:
        client.completions.create(model="gpt-4", prompt="x")
    assert refused.value.code == "model_not_found" and lab.loaded.name in refused.value.message


def test_a_view_that_the_workspace_lacks_says_so(lab, client):
    edits.apply(lab.workspace(lab.directory.adopt("bare").id), CAPITAL, config={"steps": 1}).result(TIMEOUT)
    with pytest.raises(BadRequestError, match="no REP"):
        client.completions.create(model=f"{lab.loaded.name}@bare+rep", prompt="x")


# What is said


def test_log_probabilities_of_prompt_and_answer_are_the_engines(lab, client):
    said = client.completions.create(model=lab.loaded.name, prompt=TEXT, max_tokens=3, logprobs=2, echo=True)
    told = said.choices[0].logprobs
    assert said.choices[0].text == TEXT + greedy(lab, TEXT, BASE, 3)
    ids = lab.model.tok.encode(said.choices[0].text)[1:]
    logits = lab.model.logits([said.choices[0].text], at="all")[0].log_softmax(-1)
    expected = [logits[place, id].item() for place, id in enumerate(ids)]
    assert told.token_logprobs == pytest.approx(expected, abs=1e-4)
    assert all(max(top.values()) >= own for top, own in zip(told.top_logprobs, told.token_logprobs, strict=True))
    assert "".join(told.tokens).strip() == said.choices[0].text.strip()
    assert all(a < b for a, b in pairwise(told.text_offset))


def test_a_prompt_can_be_scored_without_writing(lab, client):
    said = client.completions.create(model=lab.loaded.name, prompt=TEXT, max_tokens=0, logprobs=1, echo=True)
    assert said.choices[0].text == TEXT and len(said.choices[0].logprobs.tokens) == len(lab.model.tok.encode(TEXT)) - 1


def test_a_stop_text_ends_a_completion_before_it(lab, client):
    whole = greedy(lab, TEXT, BASE, 12)
    stop = whole[4:7]
    said = client.completions.create(model=lab.loaded.name, prompt=TEXT, max_tokens=12, stop=[stop, "never"]).choices[0]
    assert said.text == whole[: whole.index(stop)] and said.finish_reason == "stop"


def test_drawing_follows_its_seed_and_its_temperature(lab, client):
    def drawn(**more):
        given = {"model": lab.loaded.name, "prompt": TEXT, "max_tokens": 8, "temperature": 1.5} | more
        return [choice.text for choice in client.completions.create(**given).choices]

    assert drawn(seed=1) == drawn(seed=1) != drawn(seed=2)
    assert drawn(seed=1, n=2) == drawn(seed=1) + drawn(seed=2)
    assert drawn(seed=1, temperature=0) == drawn(top_p=1e-9) == drawn(temperature=5e-324) == [greedy(lab, TEXT, BASE, 8)]


@pytest.mark.parametrize("more", [{}, {"temperature": 1.0, "seed": 4}, {"echo": True, "logprobs": 1}])
def test_a_stream_is_the_same_answer_in_parts(lab, client, more):
    given = {"model": lab.loaded.name, "prompt": [TEXT, "Japan is"], "max_tokens": 10, "stop": ["zz"], **more}
    whole = client.completions.create(**given)
    parts = ["", ""]
    tokens, places, ends = [[], []], [[], []], {}
    for event in client.completions.create(stream=True, stream_options={"include_usage": True}, **given):
        for choice in event.choices:
            parts[choice.index] += choice.text
            tokens[choice.index] += choice.logprobs.tokens if choice.logprobs else []
            places[choice.index] += choice.logprobs.text_offset if choice.logprobs else []
            ends |= {choice.index: choice.finish_reason} if choice.finish_reason else {}
        usage = event.usage
    assert parts == [choice.text for choice in whole.choices]
    assert ends == {choice.index: choice.finish_reason for choice in whole.choices} and usage == whole.usage
    if "logprobs" in more:
        assert tokens == [choice.logprobs.tokens for choice in whole.choices]
        assert places == [choice.logprobs.text_offset for choice in whole.choices]


def test_a_workspace_that_another_call_makes_meanwhile_is_the_same(lab, monkeypatch):
    caller, real, looks = Caller(lab, "ana", "ana", "127.0.0.1"), Caller.find, []
    made = lab.directory.make("ana", "Twice at once")
    monkeypatch.setattr(Caller, "find", lambda self, name: looks.append(name) or (real(self, name) if looks[1:] else None))
    assert caller.find_or_make("Twice at once").id == made.id
    assert caller.find_or_make(" Twice  at once").id == made.id


def test_letters_of_several_tokens_are_told_whole_before_a_stop_text(lab, monkeypatch):
    model = lab.model
    ids = model.tokenizer("語.", add_special_tokens=False)["input_ids"]
    wanted = iter(ids)

    def head(self, hidden):
        return one_hot(torch.full((len(hidden),), next(wanted)), self.hf.config.vocab_size).float()

    monkeypatch.setattr(FrozenModel, "head", head)
    *_, (found,) = complete(model, [Prompt(TEXT, len(ids), stop=(".",), top=0)], [BASE])
    assert (found.text.strip(), found.ended) == ("語", "stop")
    assert len(ids) > 2 and len(found.told) == len(ids) - 1
    assert b"".join(said.token for said in found.told).decode().strip() == "語"
    assert set(offsets(found.told)) <= {0, found.text.index("語")}


@pytest.mark.parametrize(
    ("text", "stop", "held"), [("ab", ["bc"], 1), ("abc", ["bcd", "c!"], 2), ("x", ["y"], 0), ("", ["y"], 0)]
)
def test_what_may_begin_a_stop_text_is_held_back(text, stop, held):
    assert held_back(text, stop) == held


def test_an_error_in_a_stream_is_its_last_event(lab, address):
    body = {"model": lab.loaded.name, "prompt": "x", "max_tokens": 4000, "stream": True}
    answer = httpx.post(f"{address}/v1/completions", json=body, timeout=TIMEOUT)
    assert "context holds" in json.loads(answer.text.strip().removeprefix("data: "))["error"]["message"]


# Together


@pytest.fixture
def held(lab):
    """The worker waits until this event is set."""
    release = threading.Event()
    lab.worker.submit(lambda progress, cancel: release.wait(TIMEOUT))
    yield release
    release.set()


def prompts():
    return [
        Prompt(f"{place} belongs to the continent of"[: 38 - 3 * n], 3 + 3 * n, temperature=n % 2, seed=n, top=n % 3 or None)
        for n, place in enumerate(PLACES)
    ]


def test_many_completions_are_one_batch_and_each_is_as_if_it_were_alone(lab, team, held):
    seen = []
    hook = lab.model.hf.base_model.register_forward_hook(lambda *_: seen.append(1))
    views = [ViewName.EDITED, ViewName.REP, ViewName.BASE]
    asked = [(prompt, None if n % 3 == 2 else team, views[n % 3]) for n, prompt in enumerate(prompts())]
    jobs = [completing.complete(lab.context, *one) for one in asked]
    held.set()
    together = [job.result(TIMEOUT) for job in jobs]
    most = max(prompt.max_tokens for prompt in prompts())
    assert len(seen) <= most + 1
    hook.remove()
    for (prompt, workspace, name), found in zip(asked, together, strict=True):
        view = BASE if workspace is None else completing.view_of(workspace, name)
        *_, [alone] = complete(lab.model, [prompt], [view])
        assert (alone.text, alone.ended) == (found.text, found.ended)
        assert [said.log_p for said in alone.told] == pytest.approx([said.log_p for said in found.told], abs=1e-3)


def test_one_that_cannot_be_answered_leaves_the_others_alone(lab, held, monkeypatch):
    real = completions.complete

    def fails(model, prompts, views):
        if any(prompt.text == "bad" for prompt in prompts):
            raise RuntimeError("no")
        yield from real(model, prompts, views)

    monkeypatch.setattr(completions, "complete", fails)
    good, bad, long = (
        completing.complete(lab.context, Prompt(text, tokens), None, ViewName.BASE)
        for text, tokens in ((TEXT, 5), ("bad", 5), (TEXT, 4000))
    )
    held.set()
    assert good.result(TIMEOUT).text == greedy(lab, TEXT, BASE, 5)
    with pytest.raises(RuntimeError, match="no"):
        bad.result(TIMEOUT)
    with pytest.raises(Exception, match="context holds"):
        long.result(TIMEOUT)


def test_a_long_completion_lets_others_in_between(lab, monkeypatch):
    monkeypatch.setattr(completions, "SLICE", 2)
    order = []
    release = threading.Event()
    lab.worker.submit(lambda progress, cancel: release.wait(TIMEOUT))
    job = completing.complete(lab.context, Prompt(TEXT, 40), None, ViewName.BASE)
    other = lab.worker.submit(lambda progress, cancel: order.append(job.done))
    release.set()
    job.result(TIMEOUT)
    other.result(TIMEOUT)
    assert order == [False]


def test_a_client_that_goes_away_stops_its_completion(lab, address, held):
    before = set(lab.worker.open)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{address}/v1/completions", json={"model": lab.loaded.name, "prompt": TEXT}, timeout=0.3)
    (job,) = set(lab.worker.open) - before
    wait_until(lambda: job.stopped)


# A chat


def test_a_chat_is_asked_in_the_models_template(lab, client, monkeypatch):
    with pytest.raises(BadRequestError, match="no chat template"):
        client.chat.completions.create(model=lab.loaded.name, messages=[{"role": "user", "content": "hello"}])
    template = (
        "{% for m in messages %}{% if m.role == 'system' and not loop.first %}{{ raise_exception('system comes first') }}"
        "{% endif %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
    )
    monkeypatch.setattr(lab.model.tokenizer, "chat_template", template)
    system, user = {"role": "system", "content": "Be short."}, {"role": "user", "content": "Japan?"}
    given = {"model": lab.loaded.name, "messages": [system, user], "max_tokens": 5}
    said = client.chat.completions.create(**given, logprobs=True, top_logprobs=2)
    assert said.choices[0].message.content == greedy(lab, "<system>Be short.<user>Japan?<assistant>", BASE, 5)
    told = said.choices[0].logprobs.content
    assert [len(token.top_logprobs) for token in told] == [2] * 5
    assert (
        b"".join(bytes(token.bytes) for token in told).decode(errors="replace").strip()
        == said.choices[0].message.content.strip()
    )
    stream = client.chat.completions.create(**given, stream=True)
    assert "".join(event.choices[0].delta.content for event in stream) == said.choices[0].message.content
    with pytest.raises(BadRequestError, match="system comes first"):
        client.chat.completions.create(model=lab.loaded.name, messages=[user, system])


# Edits and probes


def body(**more):
    return {**CONTINENT.as_dict(), "workspace": "over http", "settings": {"steps": 2}, **more}


def test_an_edit_is_applied_listed_probed_and_undone(lab, calls):
    made = calls.post("/api/edits", json=body(reason="a try")).json()
    assert not made["took"] and "did not take" in made["warnings"][0], "two steps are few"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("editlab.web.api.edits.TAKEN", made["health"]["p_new"])
        assert calls.get("/api/edits", params={"workspace": "over http"}).json()["edits"][0]["took"]
    workspace = lab.workspace(lab.directory.look_up("over http").id)
    (record,) = workspace.records
    assert (made["id"], made["requests"], made["reason"]) == (record.id, [CONTINENT.as_dict()], "a try")
    listed = calls.get("/api/edits", params={"workspace": "over http"}).json()
    assert listed["edits"] == [made] and (listed["can_undo"], listed["can_redo"]) == (True, False)
    looked = len(workspace.events())
    probed = calls.post("/api/probes", json={"workspace": "over http", "most": 1, "rephrases": ["Slovenia is in"]}).json()
    assert {"base", "edited"} <= set(probed["scores"]) and probed["request"] == CONTINENT.as_dict()
    assert len(workspace.events()) == looked, "asking changes nothing"
    page = answers.ask(workspace, CONTINENT, [OwnProbe("rephrase", "Slovenia is in")], 1, probes_alone=True).result(TIMEOUT)
    rows = page.probes.to_dict("records")
    for probe, row in zip(probed["probes"], rows, strict=True):
        assert (probe["text"], probe["expected"]) == (row["text"], row["expected"])
        assert probe["views"]["edited"]["answer"] == row["edited.answer"]
        assert probe["views"]["edited"]["verdict"] == judge(row["kind"], row, "edited")
        assert probe["views"]["edited"]["p_new"] == pytest.approx(row["edited.p_new"], rel=1e-3)
    alone = calls.post("/api/probes", json={"workspace": "over http", "most": 1, "views": ["base"]}).json()
    assert list(alone["scores"]) == ["base"]
    undone = calls.post("/api/edits/undo", json={"workspace": "over http"}).json()
    assert undone["edits"] == [] and "Slovenia" in undone["undone"] and workspace.records == ()


BAD = {
    "no JSON": ("/v1/completions", b"{"),
    "no text": ("/v1/completions", b"\xf9"),
    "too deep": ("/v1/completions", b"[" * 100_000),
    "a list": ("/v1/completions", []),
    "nothing": ("/v1/completions", {}),
    "no such field": ("/v1/completions", {"model": "m", "prompt": "x", "tools": []}),
    "another type": ("/v1/completions", {"model": "m", "prompt": "x", "max_tokens": "5"}),
    "token ids": ("/v1/completions", {"model": "m", "prompt": [1, 2, 3]}),
    "a penalty": ("/v1/completions", {"model": "m", "prompt": "x", "presence_penalty": 1}),
    "a surrogate": ("/v1/completions", b'{"model": "m", "prompt": "\\ud800"}'),
    "an image": ("/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
    "no subject in it": ("/api/edits", {"prompt": "It is"}),
    "the same object": ("/api/edits", {"target_new": "Europe"}),
    "no such method": ("/api/edits", {"method": "magic"}),
    "no such setting": ("/api/edits", {"settings": {"magic": 1}}),
    "a setting of another type": ("/api/edits", {"settings": {"steps": "many"}}),
    "REP for a method that it cannot help": ("/api/edits", {"method": "ft_l", "rep": "default"}),
    "a control character in a name": ("/api/edits", {"rep": "default", "names": ["Slo\0venia"]}),
    "two lines in a name": ("/api/edits", {"rep": "default", "names": ["Slovenia\nmia"]}),
    "a name that cannot be": ("/api/edits", {"workspace": "a/b"}),
    "no such workspace": ("/api/edits/undo", {"workspace": "nowhere"}),
    "no such workspace to probe": ("/api/probes", {"workspace": "nowhere"}),
    "no such edit": ("/api/probes", {"workspace": "team", "edit": "none"}),
    "no such view": ("/api/probes", {"workspace": "team", "views": ["upside down"]}),
    "an empty probe": ("/api/probes", {"workspace": "team", "rephrases": [" "]}),
    "a control character in a probe": ("/api/probes", {"workspace": "team", "neighbours": ["Japan\0 is in"]}),
    "no other probes": ("/api/probes", {"workspace": "team", "most": 0}),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_an_object_with_a_sentence_and_changes_nothing(lab, team, calls, what):
    path, given = BAD[what]
    events, known = lab.ledger.event_count, len(lab.directory.everything())
    given = body(**{"workspace": "never made", **given}) if path == "/api/edits" else given
    content = given if isinstance(given, bytes) else json.dumps(given).encode()
    answer = calls.post(path, content=content, headers={"Content-Type": "application/json"})
    said = answer.json()["error"]
    assert (
        answer.status_code == 400 and said["type"] == "invalid_request_error" and said["message"].endswith((".", "?", "'"))
    )
    assert (lab.ledger.event_count, len(lab.directory.everything())) == (events, known)


def test_names_are_kept_as_on_the_page(lab, calls, few_steps):
    names = ["", " ", "Slovenia", " Slovenija ", "Slovenija"]
    calls.post("/api/edits", json=body(workspace="names", rep="default", names=names))
    (record,) = lab.workspace(lab.directory.look_up("names").id).records
    assert record.names == ("Slovenija",)


def test_a_full_line_leaves_no_workspace(lab, calls, monkeypatch):
    monkeypatch.setattr("editlab.lab.worker.MOST_WAITING", 0)
    known = lab.directory.everything()
    assert "waiting already" in calls.post("/api/edits", json=body(workspace="in vain")).json()["error"]["message"]
    assert lab.directory.everything() == known and audit.verify(lab.ledger).faults == ()
    monkeypatch.undo()
    assert calls.post("/api/edits", json=body(workspace="in vain")).status_code == 200
    monkeypatch.setattr("editlab.lab.worker.MOST_WAITING", 0)
    assert calls.post("/api/edits", json=body(workspace="in vain")).status_code != 200
    assert len(lab.workspace(lab.directory.look_up("in vain").id).records) == 1, "what was there stays"


def test_each_view_has_a_name_of_its_own(lab, team, calls):
    """One workspace's name may be that of another one's view."""
    base = lab.loaded.name
    info = lab.directory.adopt("team+rep")
    edits.apply(lab.workspace(info.id), CAPITAL, config={"steps": 1}).result(TIMEOUT)
    try:
        models = {model["id"]: model for model in calls.get("/v1/models").json()["data"]}
        assert len(models) == len(calls.get("/v1/models").json()["data"])
        assert models[f"{base}@team+rep"]["view"] == "rep" and models[f"{base}@{info.handle}"]["view"] == "edited"
        for name, model in models.items():
            assert calls.get(f"/v1/models/{name}").json() == model
    finally:
        forget_these(lab.ledger, [info.id])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nothing", 404), ("GET", "/v1/completions", 405), ("DELETE", "/api/edits", 405), ("GET", "/api/", 404)],
)
def test_another_address_or_method_is_an_object_too(calls, method, path, status):
    answer = calls.request(method, path)
    assert answer.status_code == status and answer.json()["error"]["message"]


def test_a_body_beyond_its_limit_is_refused(calls):
    answer = calls.post("/v1/completions", json={"model": "m", "prompt": "x" * 400_000})
    assert answer.status_code == 413 and "too large" in answer.json()["error"]["message"]


def test_a_fault_of_ours_is_a_number_in_the_log_and_no_trace(calls, monkeypatch, caplog):
    monkeypatch.setattr("editlab.web.api.names.every", lambda caller: 1 / 0)
    said = calls.get("/v1/models")
    assert said.status_code == 500 and "ZeroDivision" not in said.text
    assert said.json()["error"]["message"].rsplit(maxsplit=1)[1].rstrip(".") in caplog.text


# Who may call


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "X-Real-IP"])
def test_without_a_login_nobody_calls_through_a_proxy(calls, header):
    answer = calls.get("/v1/models", headers={header: "127.0.0.1"})
    assert answer.status_code == 403 and "--auth FILE" in answer.json()["error"]["message"]


def test_without_a_login_no_other_computer_calls(app):
    answer = TestClient(app, base_url="http://127.0.0.1", client=("203.0.113.9", 5)).get("/v1/models")
    assert answer.status_code == 403 and answer.json()["error"]["code"] == "closed"


@pytest.mark.parametrize("more", [{"demo": True}, {"trusted_network": True}, {"proxies": ("127.0.0.1",), "demo": True}])
def test_where_others_can_reach_the_page_the_interface_is_closed(lab, calls, monkeypatch, more):
    given = {"host": "127.0.0.1" if "proxies" in more else "0.0.0.0", **more}
    monkeypatch.setattr(lab, "settings", lab.settings.model_copy(update=given))
    assert calls.get("/v1/models").status_code == 403


def test_a_page_of_another_site_cannot_call(calls):
    answer = calls.post("/v1/completions", json={}, headers={"Origin": "http://elsewhere.example"})
    assert answer.status_code == 403 and "another site" in answer.json()["error"]["message"]
    rebound = calls.get("/v1/models", headers={"Host": "rebound.example"})
    assert rebound.status_code == 400 and "--hostnames" in rebound.json()["error"]["message"]


def test_a_call_without_a_cost_keeps_the_page_from_starting():
    async def free() -> None: ...

    with pytest.raises(TypeError, match="states no cost"):
        APIRouter(route_class=ApiRoute).get("/v1/free")(free)


# What describes it


def test_the_page_of_the_interface_needs_nothing_from_elsewhere(calls):
    page, schema = calls.get("/docs"), calls.get("/openapi.json").json()
    assert set(schema["paths"]) >= {"/v1/completions", "/v1/chat/completions", "/v1/models", "/api/edits", "/api/probes"}
    for path in schema["paths"]:
        assert path in page.text
    assert "<script" not in page.text and "src=" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


def test_the_call_on_the_page_works_in_a_shell(lab, address):
    assert shutil.which("curl"), "This test runs curl: apt-get install curl"
    shown = httpx.get(f"{address}/docs").text.partition("<pre>")[2].partition("</pre>")[0]
    command = shown.replace("&#39;", "'").replace("&#34;", '"')
    command = command.replace("curl", "curl -s", 1)
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=True, timeout=TIMEOUT)
    assert json.loads(done.stdout)["choices"][0]["text"] == greedy(lab, "The capital of Japan is", BASE, 5)


# schemathesis


EXAMPLES = 20
"""Calls to each address that fit the description, and as many that do not."""
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


@pytest.fixture
def described(lab, team, address, instant):
    """What is described, with names that exist and edits that take no time, so that many of the calls reach the engine."""
    found = describe(create_api(lab), tokens=False)
    forms = found["components"]["schemas"]
    for form, field, values in (
        ("CompletionCall", "model", [lab.loaded.name, f"{lab.loaded.name}@team"]),
        ("ChatCall", "model", [lab.loaded.name]),
        ("ApplyCall", "workspace", ["schema"]),
        ("ApplyCall", "rep", ["off"]),
        ("ApplyCall", "prompt", ["{} is in"]),
        ("ProbesCall", "workspace", ["team"]),
        ("UndoCall", "workspace", ["schema"]),
    ):
        forms[form]["properties"][field] |= {"enum": values}
    forms["CompletionCall"]["properties"]["max_tokens"] = {"type": "integer", "minimum": 0, "maximum": 8}
    forms["ProbesCall"]["properties"]["most"] = {"type": "integer", "minimum": 1, "maximum": 1}
    return schemathesis.openapi.from_dict(found)


@pytest.mark.slow
@pytest.mark.parametrize("mode", GenerationMode)
def test_whatever_is_called_gets_an_answer_of_a_described_form(described, lab, address, mode):
    statuses: Counter[int] = Counter()
    for operation in described.get_all_operations():

        @settings(max_examples=EXAMPLES, derandomize=True, database=None)
        @given(case=operation.ok().as_strategy(generation_mode=mode))
        def call(case: Case) -> None:
            response = case.call_and_validate(base_url=address, checks=CHECKS, timeout=TIMEOUT)
            statuses[response.status_code] += 1

        with suppress(Unsatisfiable, FailedHealthCheck):  # a call without fields cannot be wrong
            call()
    wanted = 200 if mode is GenerationMode.POSITIVE else 400
    assert statuses[wanted] > EXAMPLES / 2, statuses
    assert lab.worker.alive and lab.metrics.faults() == []
