"""Edits in forms that others take: adapters, checkpoints, plain tensors, scripts that repeat the run, and model cards."""

from editlab.exports import adapter, checkpoint, commands, tensors
from editlab.exports.card import card
from editlab.exports.check import apart, named
from editlab.exports.entry import Entry, edited, requests_of
from editlab.exports.notes import notes
from editlab.exports.script import notebook, script, write_patches

__all__ = [
    "Entry",
    "adapter",
    "apart",
    "card",
    "checkpoint",
    "commands",
    "edited",
    "named",
    "notebook",
    "notes",
    "requests_of",
    "script",
    "tensors",
    "write_patches",
]
