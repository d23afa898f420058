"""Edits in the forms in which others publish them, as JSON, JSON Lines or tables.

The form is recognised by the content, never from the file's name: `records` turns a file into records, `forms` has a class
for each form. All records are looked at before any is returned: a file with a slip in its last line is known before an hour
of editing, not after.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from editlab.errors import BadFile, BadRequest, Proposal
from editlab.facts import forms
from editlab.facts.forms import SEPARATOR, Table
from editlab.facts.forms.fields import Writer
from editlab.facts.published import source_of
from editlab.facts.records import (
    FORMULA,
    MAX_COLUMNS,
    Found,
    Header,
    Place,
    decoded,
    from_spreadsheet,
    in_json,
    in_table,
    is_json,
    repeated,
)
from editlab.facts.request import EditCase

__all__ = [
    "FORMULA",
    "MAX_COLUMNS",
    "OPTIONAL_COLUMNS",
    "REQUIRED_COLUMNS",
    "SEPARATOR",
    "Fault",
    "Place",
    "Placed",
    "Reading",
    "from_spreadsheet",
    "read_cases",
    "read_file",
    "read_placed",
]

MAX_BYTES = 200_000_000
REQUIRED_COLUMNS = ("subject", "prompt", "target_new")
OPTIONAL_COLUMNS = ("target_true", "rephrases", "neighbours")
SYNONYMS = {
    **{name: "target_new" for name in ("target", "new_object", "new_answer")},
    **{name: "target_true" for name in ("true_object", "original_answer", "ground_truth")},
    "neighbors": "neighbours",
}
"""What people call the columns of a table otherwise, the page's labels among them."""
OWN = {name: name for name in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)} | SYNONYMS
PUBLISHED = {name: name for form in forms.FORMS for name, info in form.model_fields.items() if info.alias is None}
"""Columns of the other forms, which are published as tables too."""
LANGUAGE = re.compile(r"[a-z]{2,3}([-_]\w+)?")
"""A key that names a language, as "zh" or "zh-Hant" does."""


@dataclass(frozen=True)
class Placed:
    """A case and where it stands in its file."""

    place: Place
    case: EditCase


@dataclass(frozen=True)
class Fault:
    """Why a record cannot be used; `column`: the field that it is about, where it is about one.

    `proposal`: what could be edited instead, where something suggests itself.
    """

    place: Place
    column: str | None
    reason: str
    proposal: Proposal | None = None

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


@dataclass(frozen=True)
class Reading:
    """What a file holds: its cases, what is wrong with other records, how many records of each form, and notes."""

    found: list[Placed] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    forms: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


def read_cases(path: str | Path, skipped: list[str] | None = None) -> list[EditCase]:
    """Return the edits of a file, in its order.

    Raises `BadFile` naming the record or line. Where the caller passes `skipped`, a record that cannot be used is left
    out and a sentence about it appended there instead; a file that cannot be read at all still raises.
    """
    found, faults = read_placed(path)
    if skipped is not None:
        skipped.extend(f"{path}, {fault}" for fault in faults)
    elif faults:
        more = f" {len(faults) - 1} more cannot be used either." if len(faults) > 1 else ""
        raise BadFile(f"{path}, {faults[0]}{more}")
    return [placed.case for placed in found]


def read_placed(path: str | Path, most: int | None = None) -> tuple[list[Placed], list[Fault]]:
    """Return the edits of a file with their places, and what is wrong with the others: see `read_file`."""
    reading = read_file(path, most)
    return reading.found, reading.faults


def read_file(path: str | Path, most: int | None = None, proposals: bool = False) -> Reading:
    """Return the edits of a file with their places, and what is wrong with the others, both in the file's order.

    With `proposals`, what an error proposes is taken. Raises `BadFile` for a file that cannot be read at all, or that holds
    nothing, or more than `most` records: then no further one is read.
    """
    reading = Reading()
    content = _content(Path(path))
    try:
        text, note = decoded(content)
        reading.notes.extend([note] if note else [])
        write = Writer(proposals)
        for number, (found, table) in enumerate(_records(text), start=1):
            if most is not None and number > most:
                raise BadFile(f"up to {found.place} it has {number:,} rows; {most:,} are the most. Split it.")
            _read(reading, found, table, number, write)
        if write.taken:
            reading.notes.append(f"{write.taken:,} requests were taken as proposed.")
    except BadFile as error:
        raise BadFile(f"{path}, {error}") from error
    if not reading.found and not reading.faults:
        raise BadFile(f"{path} holds no edits. Add at least one.")
    return reading


def _read(reading: Reading, found: Found, table: bool, number: int, write: Writer) -> None:
    """Add a record's cases to a reading, or what is wrong with it."""
    try:
        if found.fault:
            raise found.fault
        if not isinstance(found.record, dict):
            raise BadRequest("not an object with keys. Write each edit as {...}.")
        form = Table if table else forms.form_of(found.record)
        if form is not None:
            reading.forms[f"{form.title} ({found.layer})" if found.layer else form.title] += 1
        given = found.record.get("case_id")
        id = given if isinstance(given, str) else str(number)
        cases = forms.read(found.record, table).cases(id, write)
        reading.found.extend(Placed(found.place, case) for case in cases)
    except BadRequest as error:
        reading.faults.append(Fault(found.place, error.field, str(error), error.proposal))
    except RecursionError:
        reading.faults.append(Fault(found.place, None, "It is nested too deeply. Write its lists flat."))


def _content(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise BadFile(f"{path} is not a file. Check the path.{source_of(path)}")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise BadFile(f"{path} has {size / 1e6:.0f} MB, over 200 MB. Split it.")
        return path.read_bytes()
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}.") from error


def _records(text: str) -> Iterator[tuple[Found, bool]]:
    """Yield the records of a text, and whether each is a row of our own table."""
    if is_json(text):
        for found in in_json(text):
            yield from ((layer, False) for layer in _layers(found))
        return
    header, rows = in_table(text, OWN)
    own = all(name in header.columns for name in REQUIRED_COLUMNS)
    if not own:
        published, others = in_table(text, PUBLISHED)
        if not _has_form(published.columns):
            raise _unknown(header)
        header, rows = published, others
    _check_header(header, own)
    yield from ((found, own) for found in rows)


def _layers(found: Found) -> Iterator[Found]:
    """Yield a record, or those that stand inside of it under keys: the languages of MzsRE, the rows of {"0": {...}}."""
    record = found.record
    if not isinstance(record, dict) or forms.form_of(record) or not record:
        yield found
        return
    inner = {key: value if isinstance(value, list) else [value] for key, value in record.items()}
    if not all(items and all(isinstance(item, dict) and forms.form_of(item) for item in items) for items in inner.values()):
        yield found
        return
    for key, items in inner.items():
        language = key if LANGUAGE.fullmatch(key) else ""
        for number, item in enumerate(items, start=1):
            said = f"{found.place}, {key}" + (f" {number}" if len(items) > 1 else "")
            yield replace(found, place=Place(found.place.row, said), record=item, layer=language)


def _has_form(columns: Sequence[str]) -> bool:
    """Return whether a table has all columns that one of the published forms needs."""
    form = forms.form_of(dict.fromkeys(columns, ""))
    return form is not None and all(name in columns for name, info in form.model_fields.items() if info.is_required())


def _unknown(header: Header) -> BadFile:
    missing = [name for name in REQUIRED_COLUMNS if name not in header.columns]
    return BadFile(
        f"line {header.line}: no column {', '.join(missing)}. The first line must be {','.join(REQUIRED_COLUMNS)} and, if "
        f"wanted, {','.join(OPTIONAL_COLUMNS)}, with commas, semicolons or tabs between. (JSON begins with a bracket.)"
    )


def _check_header(header: Header, own: bool) -> None:
    if name := repeated(header.columns):
        raise BadFile(f"line {header.line}: two columns {name!r}. Keep one.")
    if not own:
        return
    for name in set(header.columns).difference(REQUIRED_COLUMNS, OPTIONAL_COLUMNS):
        meant = difflib.get_close_matches(name, OPTIONAL_COLUMNS, n=1, cutoff=0.8)
        if meant:
            raise BadFile(f"line {header.line}: the column {name!r} is not known. Call it {meant[0]!r}.")
