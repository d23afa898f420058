"""The kinds of jobs."""

from __future__ import annotations

from enum import StrEnum

from editlab.wording import noop


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

    EDIT = "edit", noop("Edit"), "workspace"
    EDITS = "edits", noop("Edits from a file"), "workspace"
    REP = "rep", noop("REP for an edit"), "workspace"
    REMAKE = "remake", noop("Recomputing all edits"), "workspace"
    EXPORT = "export", noop("Export"), "workspace"
    BENCH = "bench", noop("Benchmark"), "workspace"
    MASK = "mask", noop("Mask training"), "model"
    STATISTICS = "statistics", noop("Key statistics"), "model"
    MODEL = "model", noop("Loading a model"), "model"
    MASK_COST = "mask cost", noop("Estimate for a mask")
    STATISTICS_COST = "statistics cost", noop("Estimate for key statistics")
    ANSWERS = "answers", noop("Answers and probes of an edit")
    LIVE = "live", noop("Answers while typing"), "", True
    COMPLETION = "completion", noop("Completions for other programs"), "", True
    GATES = "gates", noop("Gates while typing"), "", True
    COMPARE = "compare", noop("Comparison of two states")
    METHODS = "methods", noop("Comparison of methods")
    INTEGRITY = "integrity", noop("Check of a checkpoint")
    KEYS = "keys", noop("Keys tab")
    INSIDE = "inside", noop("Inside tab")
    CHECKUP = "checkup", noop("Check-up")
    PREPARATION = "preparation", noop("Preparing the methods"), "", True
    KNOWLEDGE = "knowledge", noop("What the model knows")
    OTHER = "work", noop("Other work")
