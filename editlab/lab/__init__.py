"""People at work: workspaces, and the worker that owns the model."""

from editlab.lab.scenarios import Scenario, read_scenarios
from editlab.lab.worker import Job, Worker
from editlab.lab.workspace import EditRecord, Lab, Workspace
from editlab.methods import METHODS
from editlab.probes import KINDS, judge, scores

__all__ = [
    "KINDS",
    "METHODS",
    "EditRecord",
    "Job",
    "Lab",
    "Scenario",
    "Worker",
    "Workspace",
    "judge",
    "read_scenarios",
    "scores",
]
