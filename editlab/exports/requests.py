"""The requests of the edits as data sets: CounterFact, EasyEdit and CSV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from editlab.exports import notes
from editlab.exports.entry import requests_of
from editlab.exports.format import STOPPED, Export, Format, Write, write_text
from editlab.facts import EditCase
from editlab.facts.writers import counterfact, easyedit, table
from editlab.wording import noop
from editlab.work import Cancel, Progress, stop_if

HOLDS = noop("The requests, without anything that was computed.")


def writing(name: str, form: Callable[[Sequence[EditCase]], str]) -> Write:
    """Return what writes one file of this name: the requests with what the facts know around them."""

    def write(export: Export, folder: Path, progress: Progress, cancel: Cancel) -> None:
        requests, cases = requests_of(export.entries), []
        for number, request in enumerate(requests):
            stop_if(cancel, STOPPED)
            progress(number / len(requests), f"request {number + 1:,} of {len(requests):,}")
            cases.append(export.ground.case(request))
        write_text(folder / name, form(cases))

    return write


COUNTERFACT = Format(
    "counterfact",
    noop("the requests as CounterFact's JSON"),
    HOLDS,
    writing("counterfact.json", counterfact),
    notes=(notes.requests_alone, notes.no_true_object),
)
EASYEDIT = Format(
    "easyedit",
    noop("the requests as EasyEdit's JSON"),
    HOLDS,
    writing("easyedit.json", easyedit),
    notes=(notes.requests_alone, notes.no_true_object),
)
CSV = Format("csv", noop("the requests as a table"), HOLDS, writing("edits.csv", table), notes=(notes.requests_alone,))
