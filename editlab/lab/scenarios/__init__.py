"""Scenarios: steps for an audience, what each is expected to show, and their run in a workspace."""

from editlab.lab.scenarios.expect import Check, Expect
from editlab.lab.scenarios.library import LONGEST_NAME, LONGEST_OWN, Library, ScenarioFile, check_own
from editlab.lab.scenarios.outcome import Outcome
from editlab.lab.scenarios.report import report
from editlab.lab.scenarios.run import Run, StepResult, finish, name_of
from editlab.lab.scenarios.scenario import Scenario, parse_scenario, read_scenario, read_scenarios
from editlab.lab.scenarios.steps import STEPS, Ask, Edit, Guess, Look, Say, Step, Switch

__all__ = [
    "LONGEST_NAME",
    "LONGEST_OWN",
    "STEPS",
    "Ask",
    "Check",
    "Edit",
    "Expect",
    "Guess",
    "Library",
    "Look",
    "Outcome",
    "Run",
    "Say",
    "Scenario",
    "ScenarioFile",
    "Step",
    "StepResult",
    "Switch",
    "check_own",
    "finish",
    "name_of",
    "parse_scenario",
    "read_scenario",
    "read_scenarios",
    "report",
]
