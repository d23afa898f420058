"""The columns of the table under each figure of the Keys tab, and their titles."""

from __future__ import annotations

from markupsafe import Markup
from pandas import DataFrame

from editlab.web.core import tables

HEADS = {
    "similarity": {
        "kind": "Kind",
        "subject": "Phrasing",
        "text": "Text",
        "before": "Similarity",
        "after": "With REP",
        "share": "Share of the edit",
    },
    "prefixes": {
        "prefix": "End of the text",
        "share": "Share of the edit",
        "similarity": "Similarity",
        "mentions": "Mentions the subject",
    },
    "values": {"kind": "Kind", "text": "Text", "before": "Base", "after": "Edited", "rep": "With REP"},
    "discussion": {"voice": "Fact", "kind": "Kind", "loudness": "Part", "also": "Other facts with this key"},
    "bounds": {
        "kind": "Probe",
        "text": "Text",
        "required": "Required share",
        "share": "Share",
        "expected": "Predicted",
        "happened": "Observed",
        "agree": "Agree",
        "lemma_required": "Required by the lemma",
        "lemma_expected": "Predicted by the lemma",
    },
}


def table(section: str, frame: DataFrame) -> Markup:
    """Return the table of a section."""
    return tables.table(frame, HEADS[section])
