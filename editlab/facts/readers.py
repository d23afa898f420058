"""Edits in the forms in which others publish them: CounterFact, zsRE, REP, EasyEdit, and plain CSV.

The format is recognised by the content, never from the file's name. All records are looked at before any is returned: a file
with a slip in its last line is known before an hour of editing, not after.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from editlab.errors import BadFile, BadRequest
from editlab.facts.published import source_of
from editlab.facts.request import EditCase, EditRequest, Expectation
from editlab.wording import noop

MAX_BYTES = 200_000_000
MAX_COLUMNS = 1_000
REQUIRED_COLUMNS = ("subject", "prompt", "target_new")
OPTIONAL_COLUMNS = ("target_true", "rephrases", "neighbours")
SEPARATOR = "|"
FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")
"""How a cell begins that a spreadsheet may take for a formula, also after the apostrophes that keep it from that."""
SAME_SUBJECT_GROUPS = ("Relation_Specificity", "Forgetfulness")

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a record stands in its file: the line on which it begins (CSV), or its number (JSON), and how that is said."""

    row: int
    said: str

    def __str__(self) -> str:
        return self.said


@dataclass(frozen=True)
class Placed:
    """A case and where it stands in its file."""

    place: Place
    case: EditCase


@dataclass(frozen=True)
class Fault:
    """Why a record cannot be used; `column`: the field that it is about, where it is about one."""

    place: Place
    column: str | None
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


def read_cases(path: str | Path, skipped: list[str] | None = None) -> list[EditCase]:
    """Return the edits of a JSON or CSV file, in its order.

    Raises `BadFile` naming the record or line. Where the caller passes `skipped`, a record that cannot be used is left
    out and a sentence about it appended there instead; a file that cannot be read at all still raises.
    """
    found, faults = read_placed(path)
    if skipped is not None:
        skipped.extend(f"{path}, {fault}" for fault in faults)
    elif faults:
        more = noop(f" {len(faults) - 1} more cannot be used either.") if len(faults) > 1 else ""
        raise BadFile(f"{path}, {faults[0]}{more}")
    return [placed.case for placed in found]


def read_placed(path: str | Path, most: int | None = None) -> tuple[list[Placed], list[Fault]]:
    """Return the edits of a JSON or CSV file with their places, and what is wrong with the others, both in the file's order.

    Raises `BadFile` for a file that cannot be read at all, or that holds nothing, or more than `most` records: then no
    further one is read.
    """
    text = _read_text(Path(path))
    records = _json_records if text.lstrip()[:1] in ("[", "{") else _csv_records
    found: list[Placed] = []
    faults: list[Fault] = []
    try:
        for number, (place, read) in enumerate(records(text), start=1):
            if most is not None and number > most:
                raise BadFile(f"up to {place} it has {number:,} rows; {most:,} are the most. Split it.")
            try:
                found.append(Placed(place, read()))
            except BadRequest as error:
                faults.append(Fault(place, error.field, str(error)))
    except BadFile as error:
        raise BadFile(f"{path}, {error}") from error
    if not found and not faults:
        raise BadFile(f"{path} holds no edits. Add at least one.")
    return found, faults


Read = tuple[Place, Callable[[], EditCase]]
"""Where a record stands, and what turns it into a case or raises `BadRequest`."""


def _read_text(path: Path) -> str:
    try:
        if not path.is_file():
            raise BadFile(f"{path} is not a file. Check the path.{source_of(path)}")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise BadFile(f"{path} has {size / 1e6:.0f} MB, over 200 MB. Split it.")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise BadFile(f"{path} is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from error


# JSON


def _json_records(text: str) -> Iterator[Read]:
    records = _parse(text)
    if not isinstance(records, list):
        raise BadFile("line 1: one object where a list of records is expected. Put it in [ ].")
    for number, record in enumerate(records, start=1):
        place = noop(f"record {number}")
        if isinstance(record, dict) and isinstance(record.get("case_id"), int | str):
            place = noop(f"record {number} (case_id {record['case_id']})")
        yield Place(number, place), partial(_json_case, record, str(number))


def _parse(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = noop(f"line {error.lineno}, column {error.colno}")
        raise BadFile(f"{where}: not valid JSON ({error.msg}). Mend it there.") from error
    except (ValueError, RecursionError) as error:
        raise BadFile(f"line 1: not JSON that can be read ({error}). Make it a list of records.") from error


def _json_case(record: object, number: str) -> EditCase:
    if not isinstance(record, dict):
        raise BadRequest("not an object with keys. Write each edit as {...}.")
    given = record.get("case_id")
    case_id = str(given) if isinstance(given, int | str) else number
    if "requested_rewrite" in record:
        return _counterfact_case(record, case_id)
    if "src" in record:
        return _zsre_case(record, case_id)
    if "prompt" in record:
        return _flat_case(record, case_id)
    raise BadRequest("no key 'requested_rewrite' (CounterFact), 'src' (zsRE) or 'prompt' (REP, EasyEdit). Add one.")


def _counterfact_case(record: Record, case_id: str) -> EditCase:
    rewrite = record["requested_rewrite"]
    if not isinstance(rewrite, dict):
        raise BadRequest("'requested_rewrite' is not an object with keys. Write one edit there.", "requested_rewrite")
    request = EditRequest(
        _text(rewrite, "prompt"),
        _text(rewrite, "subject"),
        _text(_object(rewrite, "target_new"), "str"),
        _text(_object(rewrite, "target_true"), "str") if rewrite.get("target_true") else None,
    )
    return EditCase(
        request,
        case_id,
        relation=_optional_text(rewrite, "relation_id"),
        paraphrases=_texts(record, "paraphrase_prompts"),
        neighbours=tuple(Expectation(text, request.target_true) for text in _texts(record, "neighborhood_prompts")),
        attribute_prompts=_texts(record, "attribute_prompts"),
        generation_prompts=_texts(record, "generation_prompts"),
    )


def _zsre_case(record: Record, case_id: str) -> EditCase:
    """Return a case of zsRE as MEND evaluates it: `alt` is the object to write, the first of `answers` the true one."""
    true_object = _first_text(record.get("answers"), "answers")
    request = EditRequest.from_text(_text(record, "src"), _text(record, "subject"), _text(record, "alt"), true_object)
    return EditCase(
        request,
        case_id,
        paraphrases=_texts(record, "rephrase"),
        neighbours=_expectations(record.get("loc"), record.get("loc_ans"), "loc"),
    )


def _flat_case(record: Record, case_id: str) -> EditCase:
    """Return a case of REP or EasyEdit: one form, whose prompt already names the subject, with keys of its own each.

    Where `writers` wrote it, `prompt_template` tells which of the prompt's words are the subject.
    """
    exact = "prompt_template" in record
    request = (EditRequest if exact else EditRequest.from_text)(
        _text(record, "prompt_template" if exact else "prompt"),
        _text(record, "subject"),
        _text(record, "target_new"),
        _true_object(record),
    )
    aliasing, propagation = _portability(record)
    same_subject, others = _locality(record, request.subject)
    return EditCase(
        request,
        case_id,
        relation=_optional_text(record, "relation_id"),
        rephrases=_texts(record, "subject_rephrase"),
        paraphrases=(*_texts(record, "rephrase_prompt"), *_texts(record, "rephrase"), *aliasing),
        neighbours=(
            *_expectations(record.get("locality_prompt"), record.get("locality_ground_truth"), "locality_prompt"),
            *others,
        ),
        same_subject=same_subject,
        propagation=propagation,
    )


def _true_object(record: Record) -> str | None:
    key = "target_true" if record.get("target_true") else "ground_truth"
    return _given(_first(record.get(key), key))


def _locality(record: Record, subject: str) -> tuple[tuple[Expectation, ...], tuple[Expectation, ...]]:
    """Return EasyEdit's locality: prompts about the same subject, and about others.

    The group alone does not tell (its zsRE puts unrelated questions under Relation_Specificity), nor does the subject
    alone (a distracting prompt states the edit before it asks about another subject).
    """
    same_subject: list[Expectation] = []
    others: list[Expectation] = []
    for name, group in _groups(record, "locality").items():
        for item in group:
            about_subject = name in SAME_SUBJECT_GROUPS and subject in item.text
            (same_subject if about_subject else others).append(item)
    return tuple(same_subject), tuple(others)


def _portability(record: Record) -> tuple[tuple[str, ...], tuple[Expectation, ...]]:
    """Return EasyEdit's portability: prompts for the same fact under another name, and for its consequences."""
    groups = _groups(record, "portability")
    aliasing = tuple(item.text for item in groups.pop("Subject_Aliasing", ()))
    return aliasing, tuple(item for group in groups.values() for item in group if item.expected is not None)


def _groups(record: Record, key: str) -> dict[str, tuple[Expectation, ...]]:
    """Return EasyEdit's {name: {prompt, ground_truth}} or {name: [{prompt, ground_truth}, ...]}."""
    groups: dict[str, tuple[Expectation, ...]] = {}
    for name, group in _object(record, key).items() if record.get(key) else ():
        items = [group] if isinstance(group, dict) else group or []
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            reason = noop(f"'{key}', {name!r} is no list of objects with 'prompt' and 'ground_truth'. Write it as one.")
            raise BadRequest(reason, key)
        found = (_expectations(item.get("prompt"), item.get("ground_truth"), f"{key} {name}") for item in items)
        groups[name] = tuple(expectation for one in found for expectation in one)
    return groups


def _expectations(prompts: object, answers: object, key: str) -> tuple[Expectation, ...]:
    """Return prompts with their answers: one answer for all of them (REP), or as many answers as prompts."""
    if not isinstance(prompts, list):
        prompts, answers = ([], []) if prompts is None else ([prompts], [answers])
    elif not isinstance(answers, list):
        answers = [answers] * len(prompts)
    if len(prompts) != len(answers):
        raise BadRequest(f"'{key}' has {len(prompts)} prompts but {len(answers)} answers. Give each prompt its answer.", key)
    pairs = ((_checked(prompt, key), _first_text(answer, key)) for prompt, answer in zip(prompts, answers, strict=True))
    return tuple(Expectation(prompt, answer) for prompt, answer in pairs if prompt.strip())


def _object(record: Record, key: str) -> Record:
    value = record.get(key)
    if not isinstance(value, dict):
        raise BadRequest(f"'{key}' is missing or not an object with keys. Write it as {{...}}.", key)
    return value


def _text(record: Record, key: str) -> str:
    if key not in record:
        raise BadRequest(f"'{key}' is missing. Add it.", key)
    return _checked(record[key], key)


def _optional_text(record: Record, key: str) -> str | None:
    return _text(record, key) if record.get(key) else None


def _texts(record: Record, key: str) -> tuple[str, ...]:
    """Return a text or a list of them. Blank ones are left out: REP's paraphrases hold a few, and they ask nothing."""
    value = record.get(key)
    if value is None:
        return ()
    items = value if isinstance(value, list) else [value]
    return tuple(text for item in items if (text := _checked(item, key)).strip())


def _first_text(value: object, key: str) -> str | None:
    """Return an answer, or the first of a (nested) list of its wordings; None where there is none."""
    return _first(value, key).strip() or None


def _first(value: object, key: str) -> str:
    """Return the same with the white space around it, "" where there is none."""
    while isinstance(value, list):
        value = value[0] if value else None
    return "" if value is None else _checked(value, key)


def _given(text: str) -> str | None:
    """Return a text, or None where it is blank; a space in front of an object means something."""
    return text if text.strip() else None


def _checked(value: object, key: str) -> str:
    if not isinstance(value, str):
        raise BadRequest(f"'{key}' holds {json.dumps(value)[:40]} where text is expected. Write it in quotes.", key)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadRequest(f"'{key}' holds half a character at position {error.start}. Write it anew.", key) from error
    return value


# CSV


def _csv_records(text: str) -> Iterator[Read]:
    rows = _csv_rows(text)
    line, header = next(rows, (1, []))
    header = [name.strip() for name in header]
    _check_header(line, header)
    columns = {name: header.index(name) for name in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS) if name in header}
    for number, (line, row) in enumerate(rows, start=1):
        yield Place(line, noop(f"line {line}")), partial(_csv_case, columns, len(header), row, str(number))


def _csv_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield rows that are not blank, each with the line on which it begins: a quoted cell may run over several."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise BadFile(f"line {line}: {error}. Check the quotes of this row.") from error
        if row is None:
            return
        if any(cell.strip() for cell in row):
            yield line, row


def _check_header(line: int, header: list[str]) -> None:
    if len(header) > MAX_COLUMNS:
        raise BadFile(f"line {line}: {len(header):,} columns; {MAX_COLUMNS:,} are the most. Leave out what is no edit's.")
    missing = [name for name in REQUIRED_COLUMNS if name not in header]
    if missing:
        raise BadFile(
            f"line {line}: no column {', '.join(missing)}. The first line must be {','.join(REQUIRED_COLUMNS)} and, if "
            f"wanted, {','.join(OPTIONAL_COLUMNS)}, with commas between. (JSON begins with a bracket.)"
        )
    repeated = next((name for name in header if name and header.count(name) > 1), None)
    if repeated:
        raise BadFile(f"line {line}: two columns {repeated!r}. Keep one.")
    for name in set(header).difference(REQUIRED_COLUMNS, OPTIONAL_COLUMNS):
        meant = difflib.get_close_matches(name, OPTIONAL_COLUMNS, n=1, cutoff=0.8)
        if meant:
            raise BadFile(f"line {line}: the column {name!r} is not known. Call it {meant[0]!r}.")


def _csv_case(columns: Mapping[str, int], width: int, row: list[str], number: str) -> EditCase:
    """Return the case of a row; `columns`: where those stand that are known, `width`: how many there are."""
    if len(row) > width:
        raise BadRequest(f"{len(row)} fields where the header has {width}. Put quotes around a cell with a comma.")
    cells = {name: from_spreadsheet(row[place]) if place < len(row) else "" for name, place in columns.items()}
    request = EditRequest(
        cells["prompt"].strip(), cells["subject"], cells["target_new"], _given(cells.get("target_true", ""))
    )
    return EditCase(
        request,
        number,
        rephrases=tuple(_items(cells.get("rephrases", ""))),
        neighbours=tuple(Expectation(text) for text in _items(cells.get("neighbours", ""))),
    )


def from_spreadsheet(cell: str) -> str:
    """Return the text that a cell stands for: without the apostrophe that keeps a spreadsheet from calculating it."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def _items(cell: str) -> Iterable[str]:
    return (item.strip() for item in cell.split(SEPARATOR) if item.strip())
