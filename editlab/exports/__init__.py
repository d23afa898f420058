"""Edits in forms that others take: adapters, checkpoints, tensors, scripts that repeat the run, model cards and reports."""

from editlab.exports.check import apart, kept, named, plain
from editlab.exports.entry import Entry
from editlab.exports.format import Export, Format, Happening, Past
from editlab.exports.registry import FORMATS, format_named

__all__ = ["FORMATS", "Entry", "Export", "Format", "Happening", "Past", "apart", "format_named", "kept", "named", "plain"]
