"""The lab: workspaces, the ledger that stores them, and the worker that owns the model."""

from editlab.bench.layers import LayerRow
from editlab.bench.layers import best as best_layer
from editlab.lab.asking.answers import EditAnswers, OwnProbe
from editlab.lab.job import Job
from editlab.lab.jobs.rows import JobRow
from editlab.lab.lab import Lab
from editlab.lab.ledger.audit import Report
from editlab.lab.ledger.chain import EditRecord
from editlab.lab.ledger.directory import WorkspaceInfo
from editlab.lab.loaded import Choice
from editlab.lab.model.knowledge import KnownFact
from editlab.lab.model.statistics import Measured, MeasuringCost
from editlab.lab.worker import Worker
from editlab.lab.workspaces.edit_files import BATCH, MOST_BATCH, EditFile, FileProgress, read_edit_file
from editlab.lab.workspaces.examples import Example, read_examples
from editlab.lab.workspaces.history import Moment
from editlab.lab.workspaces.masks import MaskInfo
from editlab.lab.workspaces.workspace import Workspace
from editlab.methods import GROUPS, HEALTH, METHODS, TAKEN, MethodInfo, Setting, health_value, warnings
from editlab.methods.rep import OFF, RECIPES, recipe_of
from editlab.probes import (
    CONTROL,
    FATES,
    KINDS,
    Knowledge,
    Probe,
    answers_with,
    fates,
    guarded,
    judge,
    judged,
    reversal,
    scores,
    tone,
)

__all__ = [
    "BATCH",
    "CONTROL",
    "FATES",
    "GROUPS",
    "HEALTH",
    "KINDS",
    "METHODS",
    "MOST_BATCH",
    "OFF",
    "RECIPES",
    "TAKEN",
    "Choice",
    "EditAnswers",
    "EditFile",
    "EditRecord",
    "Example",
    "FileProgress",
    "Job",
    "JobRow",
    "Knowledge",
    "KnownFact",
    "Lab",
    "LayerRow",
    "MaskInfo",
    "Measured",
    "MeasuringCost",
    "MethodInfo",
    "Moment",
    "OwnProbe",
    "Probe",
    "Report",
    "Setting",
    "Worker",
    "Workspace",
    "WorkspaceInfo",
    "answers_with",
    "best_layer",
    "fates",
    "guarded",
    "health_value",
    "judge",
    "judged",
    "read_edit_file",
    "read_examples",
    "recipe_of",
    "reversal",
    "scores",
    "tone",
    "warnings",
]
