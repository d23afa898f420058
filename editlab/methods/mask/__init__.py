"""Reversal masks: one binary mask over edited weights that brings most edited facts back (Holmov et al. 2026)."""

from editlab.methods.mask.baselines import BASELINES, baselines, own_delta
from editlab.methods.mask.batch import Batch, Example, batches
from editlab.methods.mask.config import MaskConfig
from editlab.methods.mask.edits import EDITS, Lesson, lessons, make_edits
from editlab.methods.mask.files import ReversalMask, find, methods_with_masks, need, read, write
from editlab.methods.mask.from_facts import Cost, check_method, cost, make
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
    "check_method",
    "cost",
    "find",
    "lessons",
    "make",
    "make_edits",
    "methods_with_masks",
    "need",
    "own_delta",
    "read",
    "reversal",
    "train",
    "write",
]
