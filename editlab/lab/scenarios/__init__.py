"""Scenarios: steps for an audience, what each is expected to show, and their run in a workspace."""

from editlab.lab.scenarios.expect import Check, Expect
from editlab.lab.scenarios.outcome import Outcome
from editlab.lab.scenarios.run import Run, StepResult, finish, name_of
from editlab.lab.scenarios.scenario import Scenario, parse_scenario, read_scenario, read_scenarios
from editlab.lab.scenarios.steps import STEPS, Ask, Edit, Guess, Look, Say, Step, Switch

__all__ = [
    "STEPS",
    "Ask",
    "Check",
    "Edit",
    "Expect",
    "Guess",
    "Look",
    "Outcome",
    "Run",
    "Say",
    "Scenario",
    "Step",
    "StepResult",
    "Switch",
    "finish",
    "name_of",
    "parse_scenario",
    "read_scenario",
    "read_scenarios",
]
