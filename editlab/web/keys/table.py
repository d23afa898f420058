"""The table under a picture of the keys: folded away, every number of it there for whoever cannot see the picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup
from pandas import DataFrame, isna

from editlab.web.edit import probe_table

MOST_ROWS = 300
LONGEST_CELL = 90
HEADS = {
    "similarity": {"kind": "Kind", "subject": "Said as", "text": "Text", "before": "Similarity", "after": "With REP"},
    "prefixes": {
        "prefix": "The text ends",
        "similarity": "Similarity",
        "share": "Share",
        "mentions": "Mentions the subject",
    },
    "values": {"kind": "Kind", "text": "Text", "before": "Before", "after": "Edited", "rep": "With REP"},
    "discussion": {"voice": "Voice", "kind": "Kind", "loudness": "Loudness", "also": "Further facts of it"},
    "bounds": {
        "kind": "Probe",
        "text": "Text",
        "required": "Required",
        "share": "Share",
        "expected": "Should",
        "happened": "Did",
        "agree": "Agree",
        "lemma_required": "Lemma requires",
        "lemma_expected": "Lemma: should",
    },
}
"""The columns of each table, and what they are called."""


def table(name: str, frame: DataFrame) -> str:
    """A picture's table, of at most `MOST_ROWS` rows. A column in which nothing is known is left out."""
    return numbers(frame, HEADS[name])


def numbers(frame: DataFrame, heads: Mapping[str, str]) -> str:
    """The same of any table: `heads` says which columns it has and what they are called."""
    heads = {column: head for column, head in heads.items() if frame[column].notna().any()}
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(text) for text in heads.values())
    rows = Markup("").join(
        Markup("<tr>{}</tr>").format(Markup("").join(_cell(column, row) for column in heads))
        for row in frame.head(MOST_ROWS).to_dict("records")
    )
    return Markup(
        '<details class="numbers"><summary>The numbers, {}</summary><div class="scroll" tabindex="0" role="region" '
        'aria-label="The numbers"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div></details>'
    ).format(_count(len(frame)), head, rows)


def _count(rows: int) -> str:
    return f"{MOST_ROWS} of {rows} rows" if rows > MOST_ROWS else f"{rows} row{'' if rows == 1 else 's'}"


def _cell(column: str, row: dict[str, Any]) -> Markup:
    value = row[column]
    if column == "kind" and "domain" in row:
        value = probe_table.kind_name(value, row["domain"])
    if isinstance(value, bool):
        return Markup("<td>{}</td>").format("yes" if value else "no")
    if isinstance(value, int | float):
        return Markup('<td class="number">{}</td>').format(
            "–" if isna(value) else value if isinstance(value, int) else f"{value:.3f}"
        )
    return Markup("<td>{}</td>").format("–" if value is None else _end(str(value)))


def _end(text: str) -> str:
    """A long text from its end: there the subject and the question stand."""
    return text if len(text) <= LONGEST_CELL else f"…{text[1 - LONGEST_CELL :].lstrip()}"
