"""Edits in forms that others take: adapters, checkpoints, plain tensors, scripts that repeat the run, and model cards."""

from editlab.exports.check import apart, named
from editlab.exports.entry import Entry
from editlab.exports.format import Export, Format
from editlab.exports.registry import FORMATS, format_named

__all__ = ["FORMATS", "Entry", "Export", "Format", "apart", "format_named", "named"]
