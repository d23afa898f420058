"""Many edits from a file: looked over whole before the first one is made, then laid over the model batch by batch.

What of a file lies in a workspace already is read off the chain alone. So the same file given again goes on where it ended,
whatever ended it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from editlab import methods
from editlab.errors import BadFile, BadRequest, TooLong
from editlab.facts import EditCase, EditRequest, Fault, Placed, read_placed
from editlab.facts.readers import Place
from editlab.lab.ledger.events import Edit
from editlab.model import LanguageModel
from editlab.patches import LowRank, Patch, View

MOST_ROWS = 10_000
BATCH, MOST_BATCH = 100, 1_000
"""How many requests are solved together, and at most."""
ROOM = 32
"""Tokens of the context that are kept for the texts in front of a prompt."""


@dataclass(frozen=True)
class EditFile:
    """A file of edits that was looked over: the `rows` that can be made, and what is wrong with each of the others.

    `sha256`: the first 16 digits of its content's hash, which its edits keep; `content`: the file itself.
    """

    name: str
    sha256: str
    rows: tuple[Placed, ...]
    faults: tuple[Fault, ...]
    content: bytes = field(default=b"", repr=False, compare=False)

    @classmethod
    def of(cls, requests: Sequence[EditRequest], name: str) -> EditFile:
        """The same without a file: requests that somebody has checked."""
        content = json.dumps([request.as_dict() for request in requests]).encode()
        rows = (
            Placed(Place(row, f"edit {row}"), EditCase(request, str(row))) for row, request in enumerate(requests, start=1)
        )
        return cls(name, hashlib.sha256(content).hexdigest()[:16], tuple(rows), (), content)

    @property
    def count(self) -> int:
        """How many rows it has, bad ones too."""
        return len(self.rows) + len(self.faults)

    @cached_property
    def asked(self) -> frozenset[tuple[str, str]]:
        """What its rows ask: text and new object."""
        return frozenset(_key(placed.case.request) for placed in self.rows)


@dataclass(frozen=True)
class Applied:
    """How far a file is: `done` of its `rows` lie in the workspace, of which `resumed` lay there before this call.

    `said`: the share of those at which the model said the new object right after their batch, `latest`: the same of the
    latest batch alone; `held`: the share at which it does so under all that lies here, None before the end. `seconds`: what
    this call has taken so far.
    """

    rows: int
    done: int
    resumed: int
    said: float
    latest: float
    seconds: float = 0.0
    held: float | None = None

    @property
    def seconds_left(self) -> float | None:
        """What the other rows will take, told from those that this call has made; None before the first of them."""
        made = self.done - self.resumed
        return self.seconds / made * (self.rows - self.done) if made else None


def look_over(model: LanguageModel, path: Path, name: str | None = None) -> EditFile:
    """Read a file and check every row of it: its form, whether the model can be edited so, and whether rows contradict.

    Raises `BadFile` for what is no file of edits, or for one with more than 10,000 rows.
    """
    try:
        found, faults = read_placed(path, MOST_ROWS)
    except BadFile as error:
        raise BadFile(str(error).replace(str(path), name or str(path))) from error
    rows: list[Placed] = []
    known: dict[str, Placed] = {}
    for placed in found:
        try:
            _check(model, placed.case.request)
            _check_against(known.setdefault(placed.case.request.text, placed), placed)
        except (BadRequest, TooLong) as error:
            faults.append(Fault(placed.place, getattr(error, "field", None) or "prompt", str(error)))
        else:
            rows.append(placed)
    faults.sort(key=lambda fault: fault.place.row)
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()[:16]
    return EditFile(name or path.name, sha256, tuple(rows), tuple(faults), content)


def _check(model: LanguageModel, request: EditRequest) -> None:
    methods.check_requests(model, [request])
    ids, _ = model.tok.with_target(request.text, request.target_new)
    if len(ids) + ROOM > model.tok.context:
        raise TooLong(
            f"Prompt and new object have {len(ids):,} tokens; the model's context holds {model.tok.context:,}, and {ROOM} "
            "of them are kept for the texts that an edit puts in front. Shorten the prompt."
        )


def _check_against(first: Placed, placed: Placed) -> None:
    """Raise `BadRequest` where an earlier row asks the same."""
    if first is placed:
        return
    before, now = first.case.request.target_new, placed.case.request.target_new
    if before == now:
        raise BadRequest(f"It repeats {first.place}. Remove one of the two.", "prompt")
    raise BadRequest(f"It contradicts {first.place}, which asks the same for {before!r}. Keep one of the two.", "target_new")


def lying(file: EditFile, chain: Iterable[Edit], method: str, config: Mapping[str, Any]) -> tuple[Edit, ...]:
    """The batches of a chain that hold rows of a file, made by this method with these settings.

    A row is known by what it asks, so that a file goes on where it was also after a row of it was mended.
    """
    return tuple(
        edit
        for edit in chain
        if edit.source is not None and (edit.method, dict(edit.config)) == (method, dict(config)) and _count(file, edit)
    )


def check_size(size: Any) -> None:
    """Raise `BadRequest` for what is no size of a batch."""
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= MOST_BATCH:
        raise BadRequest(f"A batch of {size!r} edits cannot be made. Write a whole number from 1 to {MOST_BATCH:,}.")


def batches(file: EditFile, there: Iterable[Edit], size: int) -> list[tuple[Placed, ...]]:
    """The rows of a file that are not there yet, so many at a time."""
    done = {_key(request) for edit in there for request in edit.requests}
    left = [placed for placed in file.rows if _key(placed.case.request) not in done]
    return [tuple(left[start : start + size]) for start in range(0, len(left), size)]


def _key(request: EditRequest) -> tuple[str, str]:
    return request.text, request.target_new


def _count(file: EditFile, edit: Edit) -> int:
    """How many of an edit's requests are rows of a file."""
    return sum(_key(request) in file.asked for request in edit.requests)


def source_of(file: EditFile, batch: Sequence[Placed]) -> dict[str, Any]:
    """What an edit's `source` says of a batch: the file, and its first and last row."""
    return {"file": file.sha256, "name": file.name, "rows": [batch[0].place.row, batch[-1].place.row]}


def applied(file: EditFile, there: Sequence[Edit], resumed: int = 0, seconds: float = 0.0) -> Applied:
    """How far a file is whose batches `there` lie in the workspace."""
    counts = [_count(file, edit) for edit in there]
    done = sum(counts)
    said = sum(edit.health["said"] * count for edit, count in zip(there, counts, strict=True))
    latest = there[-1].health["said"] if there else 0.0
    return Applied(len(file.rows), done, resumed, said / done if done else 0.0, latest, seconds)


def said(model: LanguageModel, requests: Sequence[EditRequest], view: View) -> float:
    """The share of prompts at which a model says the new object under a view: all its tokens are the arg max."""
    scores = model.score([request.text for request in requests], [request.target_new for request in requests], view)
    return sum(score.hit for score in scores) / len(requests)


def joined(solves: Sequence[tuple[Patch, ...]]) -> tuple[tuple[Patch, ...], ...]:
    """Solves that are taken back as one: a matrix pair a layer, so that a thousand edits are no thousand files."""
    if len(solves) == 1:
        return tuple(solves)
    patches = [patch for solve in solves for patch in solve]
    pairs = []
    for layer in sorted({patch.layer for patch in patches}):
        own = [patch for patch in patches if patch.layer == layer]
        pairs.append(LowRank(layer, torch.cat([patch.A for patch in own]), torch.cat([patch.B for patch in own], 1)))
    return (tuple(pairs),)


def mean(health: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The health of several requests as that of one: the mean of each figure."""
    return {name: sum(own[name] for own in health) / len(health) for name in health[0]}
