"""A table under a figure, opened on demand, so that every number of the figure can be read as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from markupsafe import Markup
from pandas import DataFrame, isna

from editlab.web.core.html import render
from editlab.web.core.language import gettext as _
from editlab.web.core.language import ngettext
from editlab.web.core.names import kind_name
from editlab.web.core.terms import explained
from editlab.web.core.wording import number

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

    `heads`: its columns and their titles, which are translated here. A column without any value is left out.
    """
    heads = {column: head for column, head in heads.items() if frame[column].notna().any()}
    rows = [[_cell(column, row) for column in heads] for row in frame.head(MOST_ROWS).to_dict("records")]
    titles = [explained(c, _(head)) if c in EXPLAINED else _(head) for c, head in heads.items()]
    if len(frame) > MOST_ROWS:
        title = _("Table, {most} of {n} rows").format(most=MOST_ROWS, n=number(len(frame)))
    else:
        title = ngettext("Table, {n} row", "Table, {n} rows", len(frame)).format(n=number(len(frame)))
    return render("core/table.html", title=title, heads=titles, rows=rows)


def _cell(column: str, row: Mapping[str, Any]) -> Cell:
    value = row[column]
    if column == "kind" and "domain" in row:
        value = kind_name(value, row["domain"])
    if isinstance(value, bool):
        return Cell(_("yes") if value else _("no"))
    if isinstance(value, int | float):
        return Cell("–" if isna(value) else str(value) if isinstance(value, int) else number(value, ".3f"), number=True)
    return Cell("–" if value is None else _end(str(value)))


def _end(text: str) -> str:
    """Return a long text from its end, where the subject and the question stand."""
    return text if len(text) <= LONGEST_CELL else f"…{text[1 - LONGEST_CELL :].lstrip()}"
