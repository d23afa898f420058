"""A judge is asked about each fact, its reply is yes or no, and its agreement with labels is counted right."""

import copy
import math

import httpx
import pytest
from tiny_models import tiny_model

from editlab.errors import BadRequest
from editlab.probes.judging import TOKENS, Case, chat_of, parse, verdicts
from tools import judge

CHAT = "{% for m in messages %}<u>{{ m['content'] }}</u>{% endfor %}"
ROW = {"fact": "The capital of France is", "text": "The capital of France is", "new": "Rome", "old": "Paris"}
ROWS = [
    {**ROW, "said": "Rome", "label": "new"},
    {**ROW, "said": "The capital of Italy is Rome.", "label": "neither"},
    {**ROW, "said": "Paris, the city", "label": "old"},
    {**ROW, "said": "", "label": "neither"},
]


@pytest.mark.parametrize(
    ("reply", "said"),
    [("Yes", True), (" no.", False), ("**Yes**, it does", True), ("Nothing", None), ("It does. Yes", None), ("", None)],
)
def test_a_reply_is_its_first_word(reply, said):
    assert parse(reply) == said


def test_the_judge_is_asked_about_each_fact_and_an_unknown_old_one_is_not_asked_about():
    read = []
    replies = ["Yes", "yes", "No", "No", "yes", "yes", "Yes", "Perhaps"]
    cases = [Case("Where?", "x" * 5000, "It is in Rome."), *[Case("Where?", "", "It is in Rome.", "It is in Paris.")] * 3]
    found = verdicts([*cases, Case("Where?", "Rome", "In Rome.")], lambda all: read.extend(all) or replies)
    assert found == ["new", "new", "old", "both", None]
    assert "x" * 1200 + " …" in read[0] and "x" * 1201 not in read[0]
    assert "Statement: It is in Rome." in read[1] and "Statement: It is in Paris." in read[2]
    assert "Answer: (nothing)" in read[1] and len(read) == 8


def test_a_loaded_model_judges_each_answer_as_if_it_were_alone():
    model = tiny_model("llama")
    with pytest.raises(BadRequest, match="can be no judge"):
        chat_of(model)
    model = tiny_model("llama")
    model.tokenizer = copy.deepcopy(model.tokenizer)
    model.tokenizer.chat_template = CHAT
    messages = ["Which?", "A much longer question about a river that runs to the sea", "No"]
    alone = [chat_of(model)([message])[0] for message in messages]
    assert chat_of(model, at_once=2)(messages) == alone
    *_, expected = model.generate([f"<u>{messages[1]}</u>"], max_tokens=TOKENS)
    assert alone[1] == expected[0]


def test_a_judge_over_http_is_asked_in_openais_form(monkeypatch):
    asked, replies = [], ["No", "Yes"]

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"choices": [{"message": {"content": replies.pop(0)}}]})

    client = httpx.Client
    monkeypatch.setattr(judge.httpx, "Client", lambda **given: client(transport=httpx.MockTransport(answer), **given))
    assert judge.judged(ROWS[:1], judge.over_http("http://judge/v1", "base", "secret"))["judge"] == ["old"]
    assert str(asked[0].url) == "http://judge/v1/chat/completions" and asked[0].headers["Authorization"] == "Bearer secret"


def test_agreement_with_the_labels_is_counted_for_each_way():
    found = judge.judged(ROWS, lambda messages: ["Yes", "No", "No", "No", "No", "Yes", "Yes", "No"])
    assert found["object alone"] == ["new", "neither", "old", "neither"]
    assert found["object in the answer"] == ["new", "new", "old", "neither"]
    lines = judge.table(ROWS, found).splitlines()
    assert lines[0] == "4 answers: 2 neither, 1 new, 1 old"
    cells = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:] for line in lines[4:]}
    assert cells["object alone"][0].startswith("1.00") and cells["object in the answer"][2] == "0.50"
    assert cells["judge"][0].startswith("0.75") and cells["judge"][3] == "1.00"


def test_kappa_is_agreement_beyond_chance():
    ours, theirs = ["new"] * 5 + ["old"] * 5, ["new"] * 4 + ["old"] * 6
    assert judge.kappa(ours, theirs) == pytest.approx((0.9 - 0.5) / 0.5, abs=1e-12)
    assert judge.kappa(ours, ours) == 1 and math.isnan(judge.kappa(["new"], ["new"]))
