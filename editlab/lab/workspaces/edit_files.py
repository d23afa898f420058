"""Files of edits: all rows are checked before the first edit, then applied in batches.

The chain tells which rows are applied already. So a file that is given again goes on where it ended, for whatever reason.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from editlab import methods
from editlab.errors import BadFile, BadRequest, TooLong
from editlab.facts import EditCase, EditRequest, FactBase, Fault, Placed
from editlab.facts.overlaps import Overlap, overlaps
from editlab.facts.readers import Place, read_file
from editlab.lab.ledger.events import Edit
from editlab.model import LanguageModel
from editlab.patches import LowRank, Patch, View

MOST_ROWS = 10_000
BATCH, MOST_BATCH = 100, 1_000
"""The usual and the largest number of requests that are solved together."""
ROOM = 32
"""Tokens of the context that are reserved for the texts in front of a prompt."""


@dataclass(frozen=True)
class EditFile:
    """A checked file of edits: the `rows` that can be edited, and the `faults` of the others.

    `sha256`: the first 16 digits of the content's hash, which the edits store; `content`: the file itself. `forms`: how
    many records were read as which form; `notes`: what else is to be known of the file; `overlaps`: where rows bear on
    each other; `proposals`: whether what a fault proposes was taken instead.
    """

    name: str
    sha256: str
    rows: tuple[Placed, ...]
    faults: tuple[Fault, ...]
    content: bytes = field(default=b"", repr=False, compare=False)
    forms: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    overlaps: tuple[Overlap, ...] = ()
    proposals: bool = False

    @classmethod
    def of(cls, requests: Sequence[EditRequest], name: str) -> EditFile:
        """Return an edit file without a file on the disk, of checked requests."""
        content = json.dumps([request.as_dict() for request in requests]).encode()
        rows = (
            Placed(Place(row, f"edit {row}"), EditCase(request, str(row))) for row, request in enumerate(requests, start=1)
        )
        return cls(name, hashlib.sha256(content).hexdigest()[:16], tuple(rows), (), content)

    @property
    def count(self) -> int:
        """The number of rows, including those with faults."""
        return len(self.rows) + len(self.faults)

    @cached_property
    def questions(self) -> frozenset[tuple[str, str]]:
        """The text and the new object of each row."""
        return frozenset(_key(placed.case.request) for placed in self.rows)


@dataclass(frozen=True)
class FileProgress:
    """The progress of a file: `done` of its `rows` are applied, `resumed` of which were applied before this job.

    `said`: the share of the applied rows with the new object right after their batch, `latest`: the same for the latest
    batch; `held`: the share of all rows with the new object at the end, None before that; `missed`: the rows without it.
    `seconds`: the time of this job.
    """

    rows: int
    done: int
    resumed: int
    said: float
    latest: float
    seconds: float = 0.0
    held: float | None = None
    missed: tuple[Placed, ...] = ()

    @property
    def seconds_left(self) -> float | None:
        """The estimated time of the other rows; None before this job has applied one."""
        applied = self.done - self.resumed
        return self.seconds / applied * (self.rows - self.done) if applied else None


def read_edit_file(
    model: LanguageModel | None,
    path: Path,
    name: str | None = None,
    facts: FactBase | None = None,
    proposals: bool = False,
) -> EditFile:
    """Read a file and check the form of each row, whether the model can be edited so, and whether rows contradict.

    Without a model, only the file itself is checked. `facts` tell more of the rows that bear on each other; with
    `proposals`, what a fault proposes is taken. Raises `BadFile` for a file that has no edits or more than 10,000 rows.
    """
    try:
        reading = read_file(path, MOST_ROWS, proposals)
    except BadFile as error:
        raise BadFile(str(error).replace(str(path), name or str(path))) from error
    faults, notes = list(reading.faults), list(reading.notes)
    rows: list[Placed] = []
    known: dict[str, Placed] = {}
    repeated = 0
    for placed in reading.found:
        request = placed.case.request
        first = known.setdefault(request.text, placed)
        if placed.case.group and first is not placed and first.case.request.target_new == request.target_new:
            repeated += 1
            continue
        try:
            if model is not None:
                _check(model, request)
            _check_against(first, placed)
        except (BadRequest, TooLong) as error:
            faults.append(Fault(placed.place, getattr(error, "field", None) or "prompt", str(error)))
        else:
            rows.append(placed)
    bad = {fault.place for fault in faults}
    rows = [placed for placed in rows if not (placed.case.group and placed.place in bad)]
    if repeated:
        notes.append(f"{repeated:,} edits of a case stand in an earlier case too, and are made once.")
    faults.sort(key=lambda fault: fault.place.row)
    content = path.read_bytes()
    return EditFile(
        name or path.name,
        hashlib.sha256(content).hexdigest()[:16],
        tuple(rows),
        tuple(faults),
        content,
        dict(reading.forms),
        tuple(notes),
        tuple(overlaps(rows, facts)),
        proposals,
    )


def _check(model: LanguageModel, request: EditRequest) -> None:
    methods.check_requests(model, [request])
    ids, _ = model.tok.with_target(request.text, request.target_new)
    if len(ids) + ROOM > model.tok.context:
        raise TooLong(
            f"Prompt and new object have {len(ids):,} tokens; the model's context holds {model.tok.context:,}, and {ROOM} "
            "of them are reserved for the texts in front of the prompt. Shorten the prompt."
        )


def _check_against(first: Placed, placed: Placed) -> None:
    """Raise `BadRequest` where an earlier row has the same text."""
    if first is placed:
        return
    before, now = first.case.request.target_new, placed.case.request.target_new
    if before == now:
        raise BadRequest(f"It repeats {first.place}. Remove one of the two.", "prompt")
    raise BadRequest(
        f"It contradicts {first.place}, which has the new object {before!r} for the same text. Keep one of the two.",
        "target_new",
    )


def applied_batches(file: EditFile, chain: Iterable[Edit], method: str, config: Mapping[str, Any]) -> tuple[Edit, ...]:
    """Return the batches of a chain with rows of a file, made by this method with these settings.

    Rows are compared by text and new object, so that a file with a corrected row goes on where it was.
    """
    return tuple(
        edit
        for edit in chain
        if edit.source is not None and (edit.method, dict(edit.config)) == (method, dict(config)) and _count(file, edit)
    )


def check_size(size: Any) -> None:
    """Raise `BadRequest` for a batch size that is not valid."""
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= MOST_BATCH:
        raise BadRequest(f"{size!r} is not a batch size. Write a whole number from 1 to {MOST_BATCH:,}.")


def remaining_batches(file: EditFile, applied: Iterable[Edit], size: int) -> list[tuple[Placed, ...]]:
    """Return the rows of a file that are not applied yet, in batches of a size; a case of several edits is not torn."""
    batches: list[list[Placed]] = []
    for _, case in groupby(remaining_rows(file.rows, applied), key=lambda placed: placed.case.group or id(placed)):
        together = list(case)
        if batches and len(batches[-1]) + len(together) <= size:
            batches[-1].extend(together)
        else:
            batches.append(together)
    return [tuple(batch) for batch in batches]


def remaining_rows(rows: Iterable[Placed], applied: Iterable[Edit]) -> list[Placed]:
    """Return those of some rows that are in none of the applied batches."""
    done = {_key(request) for edit in applied for request in edit.requests}
    return [placed for placed in rows if _key(placed.case.request) not in done]


def _key(request: EditRequest) -> tuple[str, str]:
    return request.text, request.target_new


def _count(file: EditFile, edit: Edit) -> int:
    """Return how many requests of an edit are rows of a file."""
    return sum(_key(request) in file.questions for request in edit.requests)


def source_of(file: EditFile, batch: Sequence[Placed]) -> dict[str, Any]:
    """Return the `source` of a batch's edit: the file, and its first and last row."""
    return {"file": file.sha256, "name": file.name, "rows": [batch[0].place.row, batch[-1].place.row]}


def progress_of(file: EditFile, applied: Sequence[Edit], resumed: int = 0, seconds: float = 0.0) -> FileProgress:
    """Return the progress of a file, of which these batches are applied."""
    counts = [_count(file, edit) for edit in applied]
    done = sum(counts)
    said = sum(edit.health["said"] * count for edit, count in zip(applied, counts, strict=True))
    latest = applied[-1].health["said"] if applied else 0.0
    return FileProgress(len(file.rows), done, resumed, said / done if done else 0.0, latest, seconds)


def hits(model: LanguageModel, requests: Sequence[EditRequest], view: View) -> list[bool]:
    """Return of each request whether the model says its new object under a view: all its tokens are the arg max."""
    scores = model.score([request.text for request in requests], [request.target_new for request in requests], view)
    return [score.hit for score in scores]


def join_solves(solves: Sequence[tuple[Patch, ...]]) -> tuple[tuple[Patch, ...], ...]:
    """Return the solves of one edit as one, with a pair of matrices per layer, so that a batch is one file.

    Patches that are no such pairs are kept one by one.
    """
    if len(solves) == 1:
        return tuple(solves)
    patches = [patch for solve in solves for patch in solve]
    pairs = []
    low, others = [p for p in patches if isinstance(p, LowRank)], [p for p in patches if not isinstance(p, LowRank)]
    for layer in sorted({patch.layer for patch in low}):
        own = [patch for patch in low if patch.layer == layer]
        pairs.append(LowRank(layer, torch.cat([patch.A for patch in own]), torch.cat([patch.B for patch in own], 1)))
    return ((*pairs, *others),)


def mean_health(health: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each value over the health of several requests."""
    return {name: sum(own[name] for own in health) / len(health) for name in health[0]}
