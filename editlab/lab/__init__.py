"""People at work: workspaces, the ledger that keeps them, and the worker that owns the model."""

from editlab.lab.archive import Report
from editlab.lab.chain import EditRecord
from editlab.lab.directory import Room
from editlab.lab.jobs import JobRow
from editlab.lab.lab import Lab
from editlab.lab.looking import OwnProbe
from editlab.lab.many import BATCH, MOST_BATCH, Applied, EditFile, look_over
from editlab.lab.masking import MaskInfo
from editlab.lab.measuring import Measured, MeasuringCost
from editlab.lab.options import MethodInfo, Setting
from editlab.lab.refining import OFF, RECIPES
from editlab.lab.scenarios import Scenario, read_scenarios
from editlab.lab.shelf import Choice
from editlab.lab.travel import Moment
from editlab.lab.worker import Job, Worker
from editlab.lab.workspace import Workspace
from editlab.methods import METHODS
from editlab.probes import CONTROL, FATES, KINDS, fates, guarded, judge, judged, reversal, says, scores

__all__ = [
    "BATCH",
    "CONTROL",
    "FATES",
    "KINDS",
    "METHODS",
    "MOST_BATCH",
    "OFF",
    "RECIPES",
    "Applied",
    "Choice",
    "EditFile",
    "EditRecord",
    "Job",
    "JobRow",
    "Lab",
    "MaskInfo",
    "Measured",
    "MeasuringCost",
    "MethodInfo",
    "Moment",
    "OwnProbe",
    "Report",
    "Room",
    "Scenario",
    "Setting",
    "Worker",
    "Workspace",
    "fates",
    "guarded",
    "judge",
    "judged",
    "look_over",
    "read_scenarios",
    "reversal",
    "says",
    "scores",
]
