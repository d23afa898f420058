"""Which facts a model knows, and in which wordings it is asked."""

from dataclasses import replace

import pytest

from editlab.facts import EditRequest, Fact, FactBase, Relation
from editlab.probes import in_turn, knowledge, wordings


def test_a_model_knows_a_fact_whose_object_it_says_and_says_something_else_where_it_does_not(tiny_llama, facts):
    asked = [EditRequest("{} is in", name, "Asia", "Europe") for name in list(facts.by_subject)[:100]]
    *_, texts = tiny_llama.generate([request.text for request in asked], max_tokens=1)
    request, word = next((r, t.strip()) for r, t in zip(asked, texts, strict=True) if t[0] == " " and t.strip().isalpha())
    true = replace(request, target_true=word)
    other, own = knowledge(tiny_llama, [request, true], says=True)
    assert own.known and own.says == "" and own.p == pytest.approx(tiny_llama.score([true.text], [word])[0].p)
    assert not other.known and other.says.strip().startswith(word) and other.p < own.p
    assert not knowledge(tiny_llama, [request])[0].says, "nothing is written that nobody reads"
    assert knowledge(tiny_llama, []) == []


def test_a_fact_is_worded_with_its_subject_first_and_later_and_gets_another_object_of_its_relation(facts):
    later, first = wordings(facts, Fact("Japan", "P36", "Tokyo"))
    assert first.prompt.startswith("{}") and not later.prompt.startswith("{}")
    assert {first.target_true, later.target_true} == {"Tokyo"} and first.target_new == later.target_new != "Tokyo"
    assert first.target_new in {fact.object for fact in facts.by_relation["P36"]}
    assert {first.prompt, later.prompt} <= set(facts.relations["P36"].templates)
    assert len(wordings(facts, Fact("Japan", "P36", "Tokyo"), most=3)) == 6


def test_a_wording_that_asks_for_two_relations_and_a_relation_of_one_object_are_left_out():
    relations = {"a": Relation("a", "a", ("{} is in", "The a of {} is")), "b": Relation("b", "b", ("{} is in",))}
    known = (Fact("x", "a", "one"), Fact("y", "a", "two"), Fact("x", "b", "only"))
    base = FactBase(known, relations, {})
    assert [request.prompt for request in wordings(base, known[0])] == ["The a of {} is"]
    assert wordings(base, known[2]) == []


def test_all_relations_have_their_turn(facts):
    turn = list(in_turn(facts, 2))
    relations = [fact.relation for fact in turn]
    assert set(relations[: len(facts.by_relation)]) == set(facts.by_relation)
    assert max(map(relations.count, relations)) == 2 and len(set(turn)) == len(turn)
