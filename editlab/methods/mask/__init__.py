"""Reversal masks: one binary mask over edited weights that brings most edited facts back (Holmov et al. 2026)."""

from editlab.methods.mask.baselines import BASELINES, baselines, own_delta
from editlab.methods.mask.batch import Batch, Example, batches
from editlab.methods.mask.config import MaskConfig
from editlab.methods.mask.edits import EDITS, Lesson, edited, lessons
from editlab.methods.mask.files import ReversalMask, find, need, read, trained, write
from editlab.methods.mask.from_facts import Cost, cost, make
from editlab.methods.mask.training import Epoch, reversal, train

__all__ = [
    "BASELINES",
    "EDITS",
    "Batch",
    "Cost",
    "Epoch",
    "Example",
    "Lesson",
    "MaskConfig",
    "ReversalMask",
    "baselines",
    "batches",
    "cost",
    "edited",
    "find",
    "lessons",
    "make",
    "need",
    "own_delta",
    "read",
    "reversal",
    "train",
    "trained",
    "write",
]
