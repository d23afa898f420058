"""Text files as records: JSON, JSON Lines and tables, in the encodings and with the separators that spreadsheets write.

Nothing here knows what an edit is. A number stays as it was written, for 3.10 is not 3.1.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import regex

from editlab.errors import BadFile, BadRequest
from editlab.wording import noop

MAX_COLUMNS = 1_000
SEPARATORS = ",;\t|"
"""What stands between the cells of a table."""
FORMULA = regex.compile("'*[=+\\-@\t\r\n＝＋－＠]")
"""How a cell begins that a spreadsheet may take for a formula, also after the apostrophes that keep it from that."""
MARKS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"", "utf-8-sig"))
"""What a text begins with, and how it is encoded."""
NO_TEXT = {
    b"PK": noop("a zip file or an Excel workbook. Save the sheet as CSV, or unpack it"),
    b"\xd0\xcf\x11\xe0": noop("an Excel workbook. Save the sheet as CSV"),
    b"PAR1": noop("a Parquet file. Save it as JSON Lines"),
    b"\x1f\x8b": noop("a gzip file. Unpack it"),
    b"%PDF": noop("a PDF. Save the table as CSV"),
}
"""What files begin with that are no text, and what they are."""
OLD = "cp1252"
OLD_NOTE = noop("It is not UTF-8 and was read as Windows-1252, as Excel writes CSV: look at the accented letters.")


@dataclass(frozen=True)
class Place:
    """Where a record stands in its file: the line on which it begins, or its number in JSON; and how that is said."""

    row: int
    said: str

    def __str__(self) -> str:
        return self.said


@dataclass(frozen=True)
class Found:
    """A record and its place, or why there is none; `layer`: its key, where several stand in one object (a language)."""

    place: Place
    record: Any
    fault: BadRequest | None = None
    layer: str = ""


@dataclass(frozen=True)
class Header:
    """The columns of a table, the line on which they stand, and where the rows begin."""

    line: int
    columns: tuple[str, ...]


def decoded(content: bytes) -> tuple[str, str]:
    """Return a file's text, and a note where its encoding was guessed. Raises `BadFile`."""
    for mark, what in NO_TEXT.items():
        if content.startswith(mark):
            raise BadFile(f"it is {what}.")
    encoding = next(encoding for mark, encoding in MARKS if content.startswith(mark))
    try:
        text, note = content.decode(encoding), ""
    except UnicodeDecodeError as error:
        try:
            text, note = content.decode(OLD), OLD_NOTE
        except UnicodeDecodeError:
            raise BadFile(f"it is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from error
    if "\0" in text:
        raise BadFile("it holds zero bytes, as a file of another kind or UTF-16 without its mark does. Save it as UTF-8.")
    return text, note


def is_json(text: str) -> bool:
    """Return whether a text is JSON or JSON Lines, as far as its first sign tells."""
    return text.lstrip()[:1] in ("[", "{")


# JSON


def parsed(text: str) -> Any:
    """Return what a JSON text holds, numbers as they are written. Raises `ValueError` or `RecursionError`."""
    return json.loads(text, parse_int=str, parse_float=str, parse_constant=lambda name: None)


def in_json(text: str) -> Iterator[Found]:
    """Yield the records of a JSON text: a list of them, a single one, or one a line. Raises `BadFile`."""
    try:
        whole = parsed(text)
    except json.JSONDecodeError as error:
        if _begins_lines(text):
            yield from _in_lines(text)
            return
        where = noop(f"line {error.lineno}, column {error.colno}")
        raise BadFile(f"{where}: not valid JSON ({error.msg}). Mend it there.") from error
    except (ValueError, RecursionError) as error:
        raise BadFile(f"line 1: not JSON that can be read ({error}). Make it a list of records.") from error
    for number, record in enumerate(whole if isinstance(whole, list) else [whole], start=1):
        said = noop(f"record {number}")
        if isinstance(record, dict) and isinstance(record.get("case_id"), str):
            said = noop(f"record {number} (case_id {record['case_id']})")
        yield Found(Place(number, said), record)


def _begins_lines(text: str) -> bool:
    """Return whether the first line is JSON of its own."""
    try:
        return isinstance(parsed(text.lstrip().partition("\n")[0]), dict)
    except (ValueError, RecursionError):
        return False


def _in_lines(text: str) -> Iterator[Found]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        place = Place(number, noop(f"line {number}"))
        try:
            yield Found(place, parsed(line))
        except json.JSONDecodeError as error:
            yield Found(place, None, BadRequest(f"not valid JSON (column {error.colno}: {error.msg}). Mend it there."))
        except (ValueError, RecursionError) as error:
            yield Found(place, None, BadRequest(f"not JSON that can be read ({error}). Write one record a line."))


# Tables


def in_table(text: str, known: dict[str, str]) -> tuple[Header, Iterator[Found]]:
    """Return the header of a table and its rows, each as {column: cell}. Raises `BadFile`, also while rows are read.

    `known`: what columns are called, in small letters with "_" for spaces, and what they mean; it tells the separator too.
    """
    first, _, rest = text.lstrip("\r\n").partition("\n")
    said = regex.fullmatch(r'"?sep=(.)"?\r?', first, regex.IGNORECASE)
    skipped = text[: len(text) - len(text.lstrip("\r\n"))].count("\n") + bool(said)
    body = rest if said else text.lstrip("\r\n")
    separator = said[1] if said else _separator(body, known)
    rows = _rows(body, separator, skipped)
    line, cells = next(rows, (1, []))
    if len(cells) > MAX_COLUMNS:
        raise BadFile(f"line {line}: {len(cells):,} columns; {MAX_COLUMNS:,} are the most. Leave out what is no edit's.")
    columns = tuple(known.get(_plain(cell), cell.strip()) for cell in cells)
    return Header(line, columns), _records(rows, columns, set(known.values()), separator)


def from_spreadsheet(cell: str) -> str:
    """Return the text that a cell stands for: without the apostrophe that keeps a spreadsheet from calculating it."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def _plain(name: str) -> str:
    return regex.sub(r"[\s\-]+", "_", name.strip().casefold())


def _separator(text: str, known: dict[str, str]) -> str:
    """Return the separator under which most columns of the first line are known."""
    line = text.partition("\n")[0][:100_000]
    return max(SEPARATORS, key=lambda sign: sum(_plain(cell.strip('"\r ')) in known for cell in line.split(sign)))


def _rows(text: str, separator: str, skipped: int) -> Iterator[tuple[int, list[str]]]:
    """Yield rows that are not blank, each with the line on which it begins: a quoted cell may run over several."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        line = skipped + reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise BadFile(f"line {line}: {error}. Check the quotes of this row.") from error
        if row is None:
            return
        if any(cell.strip() for cell in row):
            yield line, row


def _records(
    rows: Iterator[tuple[int, list[str]]], columns: tuple[str, ...], known: set[str], separator: str
) -> Iterator[Found]:
    used = [place for place, name in enumerate(columns) if name in known]
    for line, row in rows:
        place = Place(line, noop(f"line {line}"))
        if len(row) > len(columns):
            sign = {"\t": "tab", ",": "comma"}.get(separator, separator)
            yield Found(
                place,
                None,
                BadRequest(
                    f"{len(row)} fields where the header has {len(columns)}. Put quotes around a cell with a {sign}."
                ),
            )
        else:
            yield Found(place, {columns[n]: from_spreadsheet(row[n]) if n < len(row) else "" for n in used})


def repeated(columns: tuple[str, ...]) -> str | None:
    """Return a column that a header has twice, None where none is."""
    return next((name for name, count in Counter(columns).items() if name and count > 1), None)
