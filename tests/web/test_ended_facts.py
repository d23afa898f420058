"""Of a subject with two edits: what one means to end is no other fact that the second has to keep, wherever it is asked."""

import pytest
from masks import write_mask
from visitors import TIMEOUT

from editlab.facts import EditRequest
from editlab.lab.asking import answers, keys
from editlab.lab.scenarios import measure
from editlab.lab.workspaces import edits
from editlab.probes import Ground

CONTINENT = EditRequest("{} belongs to the continent of", "Slovenia", "Antarctica", "Europe")
CAPITAL = EditRequest("{} has its capital in", "Slovenia", "Rome")


@pytest.fixture
def workspace(lab, request, few_steps, folder):
    found = lab.workspace(request.node.name[:60])
    for own in (CAPITAL, CONTINENT):
        edits.apply(found, own).result(TIMEOUT)
    return found


@pytest.fixture
def asked(monkeypatch):
    """What was drawn around a fact, a list a battery."""
    drawn, draw = [], Ground.battery

    def watched(ground, case, *args, **kwargs):
        drawn.append(draw(ground, case, *args, **kwargs))
        return drawn[-1]

    monkeypatch.setattr(Ground, "battery", watched)
    return drawn


def scored(workspace):
    return measure.scores(workspace, CONTINENT, ["same_subject"], None)


@pytest.mark.parametrize("ask", [lambda own: answers.ask(own, CONTINENT), keys.bounds, scored])
def test_an_ended_fact_is_asked_by_nothing(workspace, asked, ask):
    ask(workspace).result(TIMEOUT)
    assert asked and "Ljubljana" not in {probe.expected for battery in asked for probe in battery}


def test_it_is_asked_while_the_other_edit_is_off(workspace, asked):
    workspace.switch(workspace.records[0].id, False)
    scored(workspace).result(TIMEOUT)
    assert "Ljubljana" in {probe.expected for battery in asked for probe in battery}


def test_thresholds_and_ways_back_are_asked_alike(workspace, asked, tiny_llama, folder):
    write_mask(tiny_llama, folder)
    workspace.set_masked(True)
    edits.refine(workspace, workspace.records[-1].id).result(TIMEOUT)
    result = answers.ask(workspace, CONTINENT, most=1).result(TIMEOUT)
    assert result.swept is not None and result.ways_back is not None
    assert len(asked) == 3 and "Ljubljana" not in {probe.expected for battery in asked for probe in battery}
