"""A table under a figure, opened on demand, so that every number of the figure can be read as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from markupsafe import Markup
from pandas import DataFrame, isna

from editlab import wording
from editlab.web.core.html import render
from editlab.web.core.names import kind_name
from editlab.web.core.terms import explained

MOST_ROWS = 300
LONGEST_CELL = 90
EXPLAINED = ("share", "required")
"""The columns whose titles show what they mean; each is a term of this name."""


class Cell(NamedTuple):
    """The text of a cell, and whether it is a number."""

    text: str
    number: bool = False


def table(frame: DataFrame, heads: Mapping[str, str]) -> Markup:
    """Return a table of at most `MOST_ROWS` rows.

    `heads`: its columns and their titles. A column without any value is left out.
    """
    heads = {column: head for column, head in heads.items() if frame[column].notna().any()}
    rows = [[_cell(column, row) for column in heads] for row in frame.head(MOST_ROWS).to_dict("records")]
    rest = f"{MOST_ROWS} of " if len(frame) > MOST_ROWS else ""
    titles = [explained(column, head) if column in EXPLAINED else head for column, head in heads.items()]
    return render("core/table.html", count=f"{rest}{wording.count(len(frame), 'row')}", heads=titles, rows=rows)


def _cell(column: str, row: Mapping[str, Any]) -> Cell:
    value = row[column]
    if column == "kind" and "domain" in row:
        value = kind_name(value, row["domain"])
    if isinstance(value, bool):
        return Cell("yes" if value else "no")
    if isinstance(value, int | float):
        return Cell("–" if isna(value) else str(value) if isinstance(value, int) else f"{value:.3f}", number=True)
    return Cell("–" if value is None else _end(str(value)))


def _end(text: str) -> str:
    """Return a long text from its end, where the subject and the question stand."""
    return text if len(text) <= LONGEST_CELL else f"…{text[1 - LONGEST_CELL :].lstrip()}"
