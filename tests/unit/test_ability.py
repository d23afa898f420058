"""lm-evaluation-harness under views: what the harness is told, without the harness, which an extra installs."""

import json
import math

import pytest
import torch
from tiny_models import tiny_model
from typer.testing import CliRunner

from editlab import methods
from editlab.bench import ability
from editlab.bench.ability import Measured
from editlab.cli import app as terminal
from editlab.cli.bench.ability import _table
from editlab.errors import BadRequest, TooLong
from editlab.facts import EditRequest
from editlab.lab.ledger import directory
from editlab.lab.ledger.ledger import Ledger
from editlab.patches import BASE, LowRank, View
from editlab.probes import ability as choosing

LOSS = ("prose", "loss")
PAIRS = [("Slovenia is in", " Europe"), ("It was 19", "45"), ("One line.", "\nTwo lines."), ("", "Japan is far away")]


def cells(row):
    """What a row of the table says of a value and of its change."""
    return [next(iter(column.cells)) for column in _table([row]).columns[3:5]]


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


def test_an_answer_is_written_within_the_context_whatever_is_written_beside_it():
    model = tiny_model("gpt2")
    long = "word " * 120
    room = model.tok.context - len(model.tok.encode(long))
    asked = [(long, {"max_gen_toks": 3}), ("The", {"max_gen_toks": room + 3})]
    assert room > 0
    assert list(ability.written(model, BASE, asked)) == [next(ability.written(model, BASE, [one])) for one in asked]
    for text, most in ((long, room + 1), ("The", model.tok.context)):
        with pytest.raises(TooLong, match="Shorten the text or ask for fewer"):
            list(ability.written(model, BASE, [("A", {"max_gen_toks": 3}), (text, {"max_gen_toks": most})]))


def test_our_tasks_have_one_right_choice_and_few_of_each_are_asked_in_a_check_up():
    for choices in (choosing.facts(), choosing.prose()):
        assert len(choices) > 100
        assert all(len(set(one.options)) == 4 and 0 <= one.right < 4 for one in choices)
    few = choosing.few()
    assert len(few) == 32 and set(few) < set(choosing.facts())
    assert choosing.without(few, [few[0].text[:5]]) == [one for one in few if few[0].text[:5] not in one.text] != list(few)


def test_a_choice_is_picked_as_its_continuations_are_scored(tiny_llama, view):
    choices = [*choosing.facts()[:5], choosing.prose()[0]]
    for choice, own in zip(choices, choosing.pick(tiny_llama, choices, view), strict=True):
        pairs = [(choice.text, f" {option}") for option in choice.options]
        scores = [log_p for log_p, _ in ability.log_likelihoods(tiny_llama, view, pairs)]
        per_letter = [log_p / len(option) for log_p, option in zip(scores, choice.options, strict=True)]
        assert own == (scores.index(max(scores)), per_letter.index(max(per_letter)))


def test_where_a_view_says_no_number_nothing_is_right(tiny_llama):
    broken = View((LowRank(1, torch.full((1, tiny_llama.d_ff), math.nan), torch.ones(tiny_llama.d_model, 1)),))
    assert choosing.pick(tiny_llama, choosing.facts()[:1], broken) == [(-1, -1)]


def test_before_and_after_are_compared_document_by_document():
    before = [Measured.of("t", "acc", [1, 1, 1, 0] * 10), Measured.of("prose", "loss", [6.0, 8.0], [2, 2])]
    after = [Measured.of("t", "acc", [1, 0, 1, 0] * 10), Measured.of("prose", "loss", [8.0, 10.0], [2, 2])]
    acc, loss = ability.rows("edited", after, before)
    assert (acc["value"], acc["n"], acc["change"]) == (0.5, 40, -0.25) and (loss["value"], loss["change"]) == (4.5, 1.0)
    assert acc["stderr"] == pytest.approx(math.sqrt(0.25 * 40 / 39 / 40))
    low, high = acc["change_ci"]
    half = 1.96 * math.sqrt(0.25 * 0.75 / 40)
    assert low == pytest.approx(-0.25 - half, abs=0.03) and high == pytest.approx(-0.25 + half, abs=0.03)
    assert loss["change_ci"] == pytest.approx([1.0, 1.0])  # each passage lost the same
    assert acc["ci"][0] == pytest.approx(0.5 - 1.96 * acc["stderr"], abs=0.03)
    (alone, *_) = ability.rows("base", before, None)
    assert alone["change"] is None and alone["change_ci"] is None


def test_a_destroyed_models_values_have_no_interval_and_only_a_change_can_be_none():
    before = [Measured.of("t", "acc", [0, 0]), Measured.of("prose", "loss", [6.0, 8.0], [2, 2])]
    for lost in (math.nan, math.inf):
        after = [before[0], Measured.of("prose", "loss", [lost, 8.0], [2, 2])]
        acc, loss = (cells(row) for row in ability.rows("edited", after, before))
        assert acc == ["0.000", "none changed"] and loss == [f"{lost:.3f}", "-"]
    assert cells(ability.rows("edited", before, after)[1])[1] == "-"


def test_the_harness_gives_its_documents_where_its_metric_is_their_mean():
    found = {
        "results": {
            "piqa": {"acc,none": 0.5, "acc_stderr,none": 0.5, "ppl,none": 9.0, "ppl_stderr,none": "N/A", "alias": "x"}
        },
        "n-samples": {"piqa": {"effective": 2}},
        "samples": {"piqa": [{"acc": 1.0, "ppl": (1, 2), "filter": "none"}, {"acc": 0.0, "ppl": (3, 4), "filter": "none"}]},
    }
    acc, ppl = ability.of_harness(found)
    assert (acc.task, acc.metric, acc.value, acc.n, acc.hits) == ("piqa", "acc", 0.5, 2, (1.0, 0.0))
    assert (ppl.value, ppl.n, ppl.stderr, ppl.hits) == (9.0, 2, None, ())
    assert ability.rows("base", [ppl], [ppl])[0]["ci"] is None


def test_without_the_harness_it_is_said_what_to_install_and_our_tasks_are_asked(monkeypatch, saved_model):
    monkeypatch.setattr(ability, "find_spec", lambda name: None)
    with pytest.raises(BadRequest, match=r"'piqa' needs .*pip install -e '\.\[eval\]'"):
        ability.check(["editlab_facts", "piqa"])
    done = CliRunner().invoke(terminal, ["bench", "ability", "--views", "upside", "--json"])
    assert done.exit_code == 2 and "There is no view 'upside'" in json.loads(done.stdout)["message"]
    monkeypatch.setattr("editlab.network.close", lambda: None)  # a closed process stays closed
    done = CliRunner().invoke(terminal, ["bench", "ability", "--limit", "2", "--json", "--model", str(saved_model)])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["rows"]
    assert [(row["task"], row["metric"]) for row in rows][::2] == [("editlab_facts", "acc"), ("editlab_prose", "acc"), LOSS]
    assert all(row["view"] == "base" and row["n"] == 2 and row["ci"][0] <= row["value"] <= row["ci"][1] for row in rows)


@pytest.mark.parametrize("name", ["", "nobody's"])
def test_a_workspace_that_is_not_there_is_refused_and_not_made(monkeypatch, saved_model, tmp_path, name):
    monkeypatch.setattr("editlab.network.close", lambda: None)  # a closed process stays closed
    monkeypatch.setenv("EDITLAB_DATA", str(tmp_path / "data"))
    asked = ["bench", "ability", "--limit", "2", "--model", str(saved_model), "--workspace", name, "--json"]
    done = CliRunner().invoke(terminal, asked)
    assert done.exit_code == 2 and "There is no ledger" in json.loads(done.stdout)["message"]
    assert not (tmp_path / "data").exists()
    Ledger(tmp_path / "data").close()
    done = CliRunner().invoke(terminal, asked)
    assert done.exit_code == 2 and f"There is no workspace {name!r}" in json.loads(done.stdout)["message"]
    with Ledger(tmp_path / "data") as ledger:
        assert directory.rows(ledger) == ()
