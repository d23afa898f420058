"""The columns of the table under each figure of the Keys tab, and their titles."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup
from pandas import DataFrame

from editlab.web.core import tables
from editlab.web.core.language import gettext as _
from editlab.web.core.language import noop

HEADS = {
    "similarity": {
        "kind": noop("Kind"),
        "subject": noop("Phrasing"),
        "text": noop("Text"),
        "before": noop("Similarity"),
        "after": noop("With REP"),
        "share": noop("Share of the edit"),
    },
    "prefixes": {
        "prefix": noop("End of the text"),
        "share": noop("Share of the edit"),
        "similarity": noop("Similarity"),
        "mentions": noop("Mentions the subject"),
    },
    "values": {
        "kind": noop("Kind"),
        "text": noop("Text"),
        "before": noop("Base"),
        "after": noop("Edited"),
        "rep": noop("With REP"),
    },
    "discussion": {
        "voice": noop("Fact"),
        "kind": noop("Kind"),
        "loudness": noop("Part"),
        "also": noop("Other facts with this key"),
    },
    "bounds": {
        "kind": noop("Probe"),
        "text": noop("Text"),
        "required": noop("Required share"),
        "share": noop("Share"),
        "expected": noop("Predicted"),
        "happened": noop("Observed"),
        "agree": noop("Agree"),
        "lemma_required": noop("Required by the lemma"),
        "lemma_expected": noop("Predicted by the lemma"),
    },
}
OUTCOMES = (noop("hold"), noop("fail"), noop("stay"), noop("move"))
"""What a probe is predicted to do, or does."""


def table(section: str, frame: DataFrame) -> Markup:
    """Return the table of a section."""
    if section == "bounds":
        said = {column: frame[column].map(_said) for column in ("expected", "happened", "lemma_expected") if column in frame}
        frame = frame.assign(**said)
    return tables.table(frame, HEADS[section])


def _said(outcome: Any) -> Any:
    """Return an outcome in the language of the visit; what is missing, as it is."""
    return _(outcome) if isinstance(outcome, str) else outcome
