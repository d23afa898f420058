"""lm-evaluation-harness under views: what the harness is told, without the harness, which an extra installs."""

import json
import math

import pytest
from typer.testing import CliRunner

from editlab import methods
from editlab.bench import ability
from editlab.bench.tasks.documents import of_facts, of_prose
from editlab.cli import app as terminal
from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.patches import BASE, View

PAIRS = [("Slovenia is in", " Europe"), ("It was 19", "45"), ("One line.", "\nTwo lines."), ("", "Japan is far away")]


@pytest.fixture(scope="module")
def view(tiny_llama):
    request = EditRequest("{} is in", "Slovenia", "Asia")
    settings = methods.config_for("rome", tiny_llama, steps=2)
    return View.base().with_patches(methods.get("rome").edit(tiny_llama, [request], config=settings))


def behind(model, view, text, rest):
    """The log-probability of each token of a continuation, from one forward of both, in float64."""
    ids = model.tok.encode(text + rest)
    start = len(model.tok.encode(text)) if text else 1  # behind what begins a document
    logits = model.logits([text + rest], view, at="all")[0].double().log_softmax(-1)
    return [logits[place - 1, ids[place]].item() for place in range(start, len(ids))]


def test_continuations_are_scored_as_they_stand(tiny_llama, view):
    for own in (BASE, view):
        for (text, rest), (log_p, _) in zip(PAIRS, ability.log_likelihoods(tiny_llama, own, PAIRS), strict=True):
            expected = behind(tiny_llama, own, text, rest)
            assert log_p == pytest.approx(math.fsum(expected), abs=1e-3)


def test_what_the_model_would_say_is_told(tiny_llama):
    *_, said = tiny_llama.generate(["Slovenia is in"], BASE, 2)
    (_, likeliest), (_, unlikely) = ability.log_likelihoods(
        tiny_llama, BASE, [("Slovenia is in", said[0]), ("Slovenia is in", " zebra")]
    )
    assert (likeliest, unlikely) == (True, False)


def test_answers_are_written_until_their_ends(tiny_llama, view):
    *_, whole = tiny_llama.generate(["Slovenia is in"], view, 8)
    stop = whole[0][5]
    given = [{"until": [stop, ""], "max_gen_toks": 8}, {"until": stop, "max_gen_toks": 2}, {"max_gen_toks": 8}]
    found = list(ability.written(tiny_llama, view, [("Slovenia is in", one) for one in given]))
    *_, short = tiny_llama.generate(["Slovenia is in"], view, 2)
    assert found == [whole[0].partition(stop)[0], short[0].partition(stop)[0], whole[0]]


def test_our_tasks_have_one_right_choice_and_stay_the_same():
    for documents in (of_facts(), of_prose()):
        assert len(documents) > 100
        for one in documents:
            assert len(set(one["choices"])) == 4 and 0 <= one["right"] < 4
    assert of_facts() == of_facts() and of_prose() == of_prose()


def test_without_the_harness_it_is_said_what_to_install(tiny_llama, monkeypatch, saved_model):
    monkeypatch.setattr(ability, "find_spec", lambda name: None)
    with pytest.raises(BadRequest, match=r"pip install -e '\.\[eval\]'"):
        ability.measure(tiny_llama, BASE)
    done = CliRunner().invoke(terminal, ["bench", "ability", "--views", "upside", "--json"])
    assert done.exit_code == 2 and "There is no view 'upside'" in json.loads(done.stdout)["message"]
