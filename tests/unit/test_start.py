"""What stands before a model's plain texts: where it is put, how it is chosen, and what it leaves alone."""

from dataclasses import replace

import pytest
from paths import PRESETS
from tiny_models import EOS, save, shared_model, tiny_model, tokenizer_of

from editlab import EditRequest, methods
from editlab.model import LanguageModel, start_choice
from editlab.model.start import NONE, Start
from editlab.model.tokens import Tokens
from editlab.patches import BASE
from editlab.settings import Settings

SEPARATED = Start("</s>", space=True)
FACTS = 96


def behind(start, kind="byte"):
    return Tokens(tokenizer_of(kind), 256, start)


# --- Ids ----------------------------------------------------------------------------------------------------------------


def test_a_text_stands_behind_the_start():
    plain = behind(NONE)
    assert behind(Start("</s>")).encode("Ljubljana is") == [EOS, *plain.encode("Ljubljana is")]
    assert behind(SEPARATED).encode("Ljubljana is") == [EOS, *plain.encode(" Ljubljana is")]
    assert behind(SEPARATED).encode("") == [EOS]
    assert behind(Start("\n")).encode("Ljubljana is") == [*plain.encode("\n"), *plain.encode("Ljubljana is")]


@pytest.mark.parametrize("text", [" Ljubljana", "\nLjubljana", "\tLjubljana"])
def test_white_space_gets_no_second_space(text):
    assert behind(SEPARATED).encode(text) == [EOS, *behind(NONE).encode(text)]


@pytest.mark.parametrize("text", ["<s>user Ljubljana", "</s>", "<pad>Ljubljana is"])
def test_a_text_that_begins_with_a_special_token_has_a_start_of_its_own(text):
    assert behind(SEPARATED).encode(text) == behind(NONE).encode(text)


@pytest.mark.parametrize("kind", ["byte", "byte_bos", "metaspace"])
@pytest.mark.parametrize("start", [NONE, SEPARATED, Start("\n"), Start("", space=True)])
def test_spans_point_into_the_text_as_it_was_written(kind, start):
    text = "Ljubljana is the capital of Slovenia"
    tok = behind(start, kind)
    ids, spans = tok.spans(text)
    assert len(ids) == len(spans)
    covered = {place for a, b in spans for place in range(a, b)}
    assert {place for place, letter in enumerate(text) if letter != " "} <= covered
    found = tok.locate(text, 0, len("Ljubljana"))
    assert list(found.ids) == ids
    a, b = spans[found.index]
    assert b == len("Ljubljana") and a < b


def test_with_a_space_the_first_word_has_the_tokens_that_it_has_within_a_sentence():
    tok = behind(SEPARATED)
    first = tok.encode("Ljubljana is")[1:]
    within = tok.encode("In Ljubljana is")
    assert within[-len(first) :] == first
    assert behind(Start("</s>")).encode("Ljubljana is")[1:] != first


def test_the_subject_of_an_edit_is_found_behind_the_start():
    model = shared_model("qwen2_start")
    request = EditRequest("{} was in the", "New France", "river")
    at = model.locate(request.prompt, request.subject)
    assert at.ids[0] == EOS and model.tok.decode(at.ids[1 : at.index + 1]) == " New France"
    config = methods.config_for("rome", model, layers=(1,), contexts=2, learning_rate=0.5, clamp=20.0)
    edited = methods.get("rome").edit(model, [request], BASE, config)
    view = BASE.with_patches(edited.patches)
    before = model.score([request.text], [request.target_new])[0].p
    assert edited.health[0]["p_new"] > before
    assert edited.health[0]["p_new"] == pytest.approx(model.score([request.text], [request.target_new], view)[0].p)
    silent = replace(model, start=NONE, memo={})
    assert silent.score([request.text], [request.target_new], view)[0].p != pytest.approx(edited.health[0]["p_new"])


# --- Choice -------------------------------------------------------------------------------------------------------------


def likelier_behind(best, gain, noise=0.1):
    """A stand-in for a model to which all facts are likelier behind one start."""

    def log_p(start, prompts, objects):
        return [-4 + (gain if start == best else 0.0) + noise * (n % 7) * (start == best) for n in range(len(prompts))]

    return log_p


@pytest.mark.parametrize("best", [SEPARATED, Start("</s>"), Start("\n"), Start("", space=True)])
def test_the_start_is_that_behind_which_facts_are_likeliest(best, facts):
    assert start_choice.choose(tokenizer_of("byte"), 500, facts, likelier_behind(best, 0.5)) == best


def test_a_token_that_the_model_does_not_know_is_no_candidate():
    tokenizer = tokenizer_of("byte")
    separators, others = start_choice.candidates(tokenizer, 500)
    assert SEPARATED in separators and others == [Start("\n", space=True), Start("\n"), Start("", space=True)]
    assert SEPARATED not in start_choice.candidates(tokenizer, EOS)[0]


def test_the_end_of_a_line_counts_only_where_no_separator_helps(facts):
    def log_p(start, prompts, objects):
        gain = {"</s>": 1.0, "\n": 2.0}.get(start.text, 0.0)
        return [gain * (1 + n % 2) for n in range(len(prompts))]

    assert start_choice.choose(tokenizer_of("byte"), 500, facts, log_p) == SEPARATED


def test_a_start_that_is_not_surely_better_is_not_taken(facts):
    def log_p(start, prompts, objects):
        return [0.0 if start == NONE else (-1) ** n + 0.05 for n in range(len(prompts))]

    assert start_choice.choose(tokenizer_of("byte"), 500, facts, log_p) == NONE


def test_facts_that_begin_with_the_subject_are_half_of_those_asked(facts):
    asked = []

    def log_p(start, prompts, objects):
        asked.extend(prompts if start == NONE else ())
        return [0.0] * len(prompts)

    start_choice.choose(tokenizer_of("byte"), 500, facts, log_p)
    subjects = tuple(facts.by_subject)
    assert len(asked) == FACTS and sum(prompt.startswith(subjects) for prompt in asked) == FACTS // 2


@pytest.mark.parametrize("kind", ["byte_bos", "metaspace"])
def test_a_tokenizer_with_a_beginning_of_its_own_keeps_it(kind, facts):
    assert start_choice.choose(tokenizer_of(kind), 500, facts, likelier_behind(SEPARATED, 3.0)) == NONE


@pytest.fixture
def folder(tmp_path):
    return save(tiny_model("qwen2"), tmp_path / "model")


def load(folder, tmp_path, **settings):
    return LanguageModel.load(str(folder), settings=Settings(data=tmp_path / "data", presets=PRESETS, **settings))


def test_the_choice_is_made_once_and_kept(folder, tmp_path, monkeypatch):
    choices = []
    monkeypatch.setattr(start_choice, "choose", lambda *_: choices.append(SEPARATED) or SEPARATED)
    assert load(folder, tmp_path).tok.start == SEPARATED
    assert load(folder, tmp_path).tok.start == SEPARATED
    assert len(choices) == 1
    (kept,) = (tmp_path / "data" / "starts").iterdir()
    kept.write_text("{damaged")
    assert load(folder, tmp_path).tok.start == SEPARATED and len(choices) == 2


def test_the_start_can_be_switched_off(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(start_choice, "choose", lambda *_: SEPARATED)
    assert load(folder, tmp_path, start="none").tok.start == NONE
    assert load(folder, tmp_path, start="</s>").tok.start == Start("</s>")


def test_an_edit_belongs_to_the_start_that_it_was_made_behind(folder, tmp_path):
    starts = ("none", "</s>", "</s>␣")
    assert len({load(folder, tmp_path, start=start).fingerprint for start in starts}) == len(starts)
    assert len({load(folder, tmp_path, start=start).checkpoint for start in starts}) == 1


def test_a_preset_names_the_start(folder, tmp_path):
    presets = tmp_path / "data" / "presets"
    presets.mkdir(parents=True)
    table = 'name = "tiny"\nstart = "</s>"\nleading_space = true\n[match]\nmodel_type = "qwen2"\nhidden_size = 32\n'
    (presets / "tiny.toml").write_text(table)
    assert load(folder, tmp_path).tok.start == SEPARATED


def test_atlas_begins_its_texts_by_itself():
    assert LanguageModel.load("atlas").tok.start == NONE


def test_the_start_is_written_so_that_one_can_read_it():
    assert [str(start) for start in (NONE, SEPARATED, Start("\n"))] == ["", "</s>␣", "↵"]
    assert all(Start.of(str(start)) == start for start in (NONE, SEPARATED, Start("\n", True), Start("", True)))
    assert Start.of("none") == NONE
