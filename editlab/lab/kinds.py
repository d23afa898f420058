"""The kinds of jobs."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """A kind of job. Its value is its name in the ledger, the metrics and the log; its `label` is for people.

    `about`: what its row in the ledger belongs to, a "workspace" or the "model", which everybody sees; "" without a row.
    `quick`: whether it ends by itself when others wait, so that nobody needs to stop it.
    """

    label: str
    about: str
    quick: bool

    def __new__(cls, value: str, label: str, about: str = "", quick: bool = False) -> Kind:
        """Make a kind from its value and attributes."""
        kind = str.__new__(cls, value)
        kind._value_, kind.label, kind.about, kind.quick = value, label, about, quick
        return kind

    EDIT = "edit", "Edit", "workspace"
    EDITS = "edits", "Edits from a file", "workspace"
    REP = "rep", "REP for an edit", "workspace"
    REMAKE = "remake", "Recomputing all edits", "workspace"
    EXPORT = "export", "Export", "workspace"
    BENCH = "bench", "Benchmark", "workspace"
    MASK = "mask", "Mask training", "model"
    STATISTICS = "statistics", "Key statistics", "model"
    MODEL = "model", "Loading a model", "model"
    MASK_COST = "mask cost", "Estimate for a mask"
    STATISTICS_COST = "statistics cost", "Estimate for key statistics"
    ANSWERS = "answers", "Answers and probes of an edit"
    LIVE = "live", "Answers while typing", "", True
    GATES = "gates", "Gates while typing", "", True
    COMPARE = "compare", "Comparison of two states"
    KEYS = "keys", "Keys tab"
    INSIDE = "inside", "Inside tab"
    CHECKUP = "checkup", "Check-up"
    PREPARATION = "preparation", "Preparing the methods", "", True
    KNOWLEDGE = "knowledge", "What the model knows"
    OTHER = "work", "Other work"
