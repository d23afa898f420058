"""`bench forensics`: are edits found in a model without its base, and are unedited models left alone?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Group
from rich.table import Table

from editlab.atlas.sources import training_facts
from editlab.bench import forensics, harmless
from editlab.bench.forensic_rows import NAMED, RATES, REVERSALS, ForensicRow, false_alarms, summary
from editlab.bench.forensics import Examiner
from editlab.bench.harmless import Copy
from editlab.bench.robustness import known as known_cases
from editlab.bench.rows import append_rows, read_rows
from editlab.cli.bench.report import machine, markdown, page
from editlab.cli.terminal import Answer, Session, command
from editlab.errors import BadFile, BadRequest
from editlab.facts import read_cases
from editlab.methods import get as registered

app = typer.Typer()

AREAS = ("auc", "auc_named", "auc_mask_clean", "auc_mask_other")
EDITED = ("method", "n", *RATES, *REVERSALS, "facts", "facts_plainly", *NAMED, *AREAS)
CLEAN = ("kind", "n", "flagged", "highest", "named_flagged", "highest_named")
CHAIN = ("score", "layer", "rank", "edits", "subjects", "held", "reversed")


@command(app, "forensics")
def forensics_table(
    session: Session,
    data: Annotated[Path, typer.Option(help="Cases, in any form that apply reads.")],
    names: Annotated[str, typer.Option("--methods", help="Methods, as rome,memit.")] = "rome,memit",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many cases.")] = None,
    known: Annotated[bool, typer.Option("--known", help="Only cases whose true object the model says.")] = False,
    clean: Annotated[int, typer.Option(min=0, help="How many copies without an edit.")] = 30,
    chains: Annotated[int, typer.Option(min=0, help="How many copies with ten edits, of the first method.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for rows, edits and table; a second call resumes it.")] = None,
) -> Answer:
    """Edit copies of the model, and find layer, subject and object of each edit from the copy alone."""
    unread: list[str] = []
    cases = read_cases(data, unread)
    if not cases:
        raise BadFile(f"{data} holds no case that can be read. The first fault: {unread[0]}")
    methods = _judged([name.strip() for name in names.split(",")])
    presets, seed, model = session.settings.presets, session.settings.seed, session.model()
    subjects = [case.request.subject for case in cases]
    chosen = (known_cases(model, cases) if known else [case for case in cases if case.request.target_true])[:limit]
    if not chosen:
        raise BadRequest(f"{model.name} knows none of the {len(cases)} facts that are edited in {data}. Give others.")
    facts = training_facts(presets / "facts", None)
    texts = tuple(path.read_text(encoding="utf-8") for path in sorted((presets / "texts").glob("*.txt")))
    examiner = Examiner(model, facts, texts, tuple(sorted({*facts.by_subject, *subjects})))
    path, folder = (out / "forensics.jsonl", out / "edits") if out else (None, None)
    rows = read_rows(path, ForensicRow.from_json)
    with session.progress() as progress, append_rows(path) as append:
        for row in _rows(examiner, chosen, methods, clean, chains, folder, rows, progress):
            rows[row.key] = row
            append(row)
    wanted = forensics.wanted(examiner, _copies(examiner, clean), chosen, methods, chains)
    found = _found([rows[key] for key in wanted], methods, seed)
    head = {"model": model.name, "fingerprint": model.fingerprint, "data": str(data), "device": machine(model)}
    if out is not None:
        (out / "forensics.md").write_text(page("Edits found without the base", _text(head, found)), encoding="utf-8")
    return Answer(head | found, Group(*_tables(found)))


def _judged(names: Sequence[str]) -> Sequence[str]:
    """Return methods whose edits can be judged. Raises `BadRequest` for another."""
    wrong = next((name for name in names if not registered(name).at_subject), None)
    if wrong is not None:
        raise BadRequest(
            f"`bench forensics` looks for weights by which a subject retrieves its object, and {wrong} writes none there. "
            "Leave it out of --methods."
        )
    return names


def _rows(
    examiner: Examiner,
    cases: Sequence[Any],
    methods: Sequence[str],
    clean: int,
    chains: int,
    folder: Path | None,
    done: Mapping[str, ForensicRow],
    progress: Any,
) -> Iterator[ForensicRow]:
    """Yield all rows that are not there yet: copies without an edit first, since scores mean nothing without them."""
    yield from forensics.unedited(examiner, _copies(examiner, clean), dict(done))
    for method in methods:
        yield from forensics.measure(cases, method, examiner, folder, dict(done), progress)
    if chains:
        yield from forensics.chains(cases[: forensics.AT_ONCE * chains], methods[0], examiner, folder, dict(done))


def _copies(examiner: Examiner, count: int) -> Iterator[Copy]:
    return harmless.copies(examiner.model, examiner.texts, count) if count else iter(())


def _found(rows: Sequence[ForensicRow], methods: Sequence[str], seed: int) -> dict[str, Any]:
    clean = [row for row in rows if row.method == "none"]
    edited = {name: [row for row in rows if row.method == name and row.kind == "edited"] for name in methods}
    return {
        "rows": [summary(own, clean, seed) for own in edited.values() if own],
        "clean": false_alarms(clean, seed),
        "chains": [dict(row.found) for row in rows if row.kind == "chain"],
    }


def _parts(found: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[str], list[list[str]]]]:
    """Yield each table: its title, its heads and its cells. The first lies on its side: it has many rates."""
    lines = found["rows"]
    cells = [[name, *(_cell(line, name) for line in lines)] for name in EDITED[1:]]
    yield "Edited copies", ("", *(line["method"] for line in lines)), cells
    yield "Copies without an edit", CLEAN, [[_cell(line, name) for name in CLEAN] for line in found["clean"]]
    if found["chains"]:
        yield "Ten edits in one copy", CHAIN, [[_cell(line, name) for name in CHAIN] for line in found["chains"]]


def _cell(line: Mapping[str, Any], name: str) -> str:
    value, interval = line[name], line.get(f"{name}_ci")
    if value is None:
        return "-"
    text = f"{value:.2f}" if isinstance(value, float) else str(value)
    return f"{text} ({interval[0]:.2f}-{interval[1]:.2f})" if interval else text


def _text(head: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    parts = [f"{head['model']}, {head['device']}, {torch.get_num_threads()} threads; {head['data']}"]
    for title, heads, cells in _parts(found):
        parts += [f"## {title}", markdown(heads, iter(cells))]
    return "\n\n".join(parts)


def _tables(found: Mapping[str, Any]) -> Iterator[Table]:
    for title, heads, cells in _parts(found):
        table = Table(*heads, title=title)
        for row in cells:
            table.add_row(*row)
        yield table
