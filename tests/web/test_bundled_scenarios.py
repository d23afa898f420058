"""Every bundled scenario that was tried on Atlas meets all its expectations there, each beside its contrast."""

import re
from collections.abc import Iterator
from itertools import pairwise

import pytest
from paths import PRESETS

from editlab.facts import FactBase
from editlab.lab import Lab
from editlab.lab.scenarios import Guess, Run, read_scenarios
from editlab.model import LanguageModel
from editlab.probes import passages

SCENARIOS = read_scenarios(PRESETS / "scenarios")
MODELS = {path.stem for path in (PRESETS / "models").glob("*.toml")}
ON_ATLAS = [one for one in SCENARIOS if "atlas" in one.models]


@pytest.fixture(scope="module")
def atlas() -> Iterator[Lab]:
    """A lab on Atlas, for all scenarios."""
    model = LanguageModel.load(str(PRESETS / "atlas"))
    lab = Lab(model, FactBase.load(PRESETS / "facts"), passages(model, PRESETS / "texts"))
    yield lab
    lab.close()


def test_there_are_twelve_scenarios_for_atlas_and_each_has_its_own_place():
    assert len(ON_ATLAS) >= 12 and len({one.place for one in SCENARIOS}) == len(SCENARIOS)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_a_scenario_is_written_for_an_audience(scenario):
    assert set(scenario.models) <= MODELS, "models are called by the names of their presets"
    assert scenario.shows.endswith((".", "?")) and re.search(r"arXiv:\d{4}\.\d{5}", scenario.source)
    for model in scenario.models:
        steps = scenario.for_model(model)
        assert sum(len(getattr(step, "expect", ())) for step in steps) >= 2
        for guess, answer in pairwise(steps):
            assert not isinstance(guess, Guess) or getattr(answer, "expect", ()), "the next step tells what was guessed"


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ON_ATLAS, ids=lambda one: one.name)
def test_on_atlas_every_expectation_is_met_and_shows_something(scenario, atlas):
    run = Run(atlas, atlas.workspace(scenario.name), scenario)
    assert run.model == "atlas" and run.tried
    faults = []
    for result in run:
        faults += [(result.place + 1, result.problem)] if result.problem else []
        faults += [(result.place + 1, str(one.expected), one.actual, one.contrast) for one in result.checks if not one.met]
    assert faults == []
