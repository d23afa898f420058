"""A ground: what all probes and lessons of a model are drawn from."""

import pytest

from editlab import probes
from editlab.facts import EditCase, EditRequest, Expectation
from editlab.probes import Ground, Passages
from editlab.probes import ground as module

SLOVENIA = EditRequest("{} belongs to the continent of", "Slovenia", "Antarctica", "Europe")
PROSE = Passages(("The garden was old.", "A bell rang twice."), ("Snow fell at night.", "The tide went out."))


@pytest.fixture
def ground(tiny_llama, facts):
    return Ground(tiny_llama, facts, PROSE, seed=3)


def test_a_ground_draws_with_its_seed_what_the_functions_draw(ground, tiny_llama, facts):
    case = ground.case(SLOVENIA)
    assert case == probes.case_for(SLOVENIA, facts, 3) and case != probes.case_for(SLOVENIA, facts, 4)
    assert ground.battery(case) == probes.battery(tiny_llama, case, PROSE, 3)
    assert ground.battery(case, most=1) == probes.battery(tiny_llama, case, PROSE, 3, 1)
    assert ground.questions(case) == probes.questions(tiny_llama, case, PROSE, 3)
    assert ground.lessons(case, ["Carniola"]) == probes.lessons(tiny_llama, case, PROSE, facts, 3, ["Carniola"])
    assert "Carniola" in ground.lessons(case, ["Carniola"]).names


def test_a_case_is_made_once(ground, monkeypatch):
    first = ground.case(SLOVENIA)
    monkeypatch.setattr(module, "case_for", None)
    assert ground.case(EditRequest(**SLOVENIA.as_dict())) is first


def test_another_ground_keeps_its_own_cases(ground, tiny_llama, facts):
    other = Ground(tiny_llama, facts, PROSE, seed=4)
    assert ground.case(SLOVENIA) != other.case(SLOVENIA)


def test_what_a_file_says_is_not_overwritten_by_the_facts(ground):
    known = ground.case(SLOVENIA)
    assert known.same_subject
    bare = EditCase(SLOVENIA, "1", neighbours=(Expectation("Peru is in", "Asia"),))
    filled = ground.with_facts(bare)
    assert filled.neighbours == bare.neighbours
    assert (filled.same_subject, filled.propagation) == (known.same_subject, known.propagation)
    own = EditCase(SLOVENIA, "1", same_subject=(Expectation("Slovenia borders", "Italy"),))
    assert ground.with_facts(own).same_subject == own.same_subject


def test_what_another_edit_means_to_end_does_not_have_to_stay(ground):
    case = ground.case(SLOVENIA)
    stays = {(own.kind, own.expected) for own in ground.battery(case)}
    capital = EditRequest("{} has its capital in", "Slovenija", "Rome")
    neighbour = next(own for own in case.neighbours)
    moved = EditRequest(SLOVENIA.prompt, neighbour.subject, "Antarctica")
    asked = ground.battery(case, others=[SLOVENIA, capital, moved])
    assert ("same_subject", "Ljubljana") in stays
    assert stays - {(own.kind, own.expected) for own in asked} == {("same_subject", "Ljubljana")}
    assert {own.subject for own in ground.battery(case)} - {own.subject for own in asked} == {neighbour.subject}
    assert [own for own in asked if own.kind not in ("same_subject", "locality")] == [
        own for own in ground.battery(case) if own.kind not in ("same_subject", "locality")
    ]
