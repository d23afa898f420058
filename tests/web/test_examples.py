"""The demo presets are true, known to the model's lessons, and ready for a stage."""

import pytest
from paths import PRESETS

from editlab.errors import BadFile
from editlab.lab import read_examples
from editlab.model import LanguageModel
from editlab.probes import knowledge

EXAMPLES = read_examples(PRESETS / "examples")


def test_slovenia_comes_first_and_titles_differ():
    first = EXAMPLES[0]
    assert (first.name, first.request.subject, first.request.target_new) == ("slovenia", "Slovenia", "Antarctica")
    assert len({example.title for example in EXAMPLES}) == len({example.place for example in EXAMPLES}) == len(EXAMPLES)


def test_a_demo_begins_with_subjects_that_stand_first_and_with_others():
    begin = [example.request.prompt.startswith("{}") for example in EXAMPLES[:4]]
    assert set(begin) == {True, False}


def test_the_bundled_model_knows_every_example():
    """So a first visit never begins with a fact that nobody said."""
    atlas = LanguageModel.load("atlas")
    unknown = [
        s.name for s, one in zip(EXAMPLES, knowledge(atlas, [s.request for s in EXAMPLES]), strict=True) if not one.known
    ]
    assert not unknown


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_changes_a_true_fact_in_a_trained_wording(example, facts):
    request = example.request
    known = {fact.relation: fact.object for fact in facts.by_subject[request.subject]}
    relations = [r for r in facts.relations.values() if request.prompt in r.templates and r.id in known]
    assert [known[r.id] for r in relations] == [request.target_true]
    assert request.target_new in {fact.object for fact in facts.facts}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_what_to_say_is_one_sentence(example):
    assert example.say.strip().endswith((".", "?"))
    assert ". " not in example.say and len(example.say) < 160


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "odd.toml").write_text('title = "no request"')
    with pytest.raises(BadFile, match=r"odd\.toml.*prompt"):
        read_examples(tmp_path)
    (tmp_path / "odd.toml").write_text("title = ")
    with pytest.raises(BadFile, match=r"odd\.toml"):
        read_examples(tmp_path)
