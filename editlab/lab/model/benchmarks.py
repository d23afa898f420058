"""Benchmarks as jobs: each edit of a file is made by itself and probed with its whole battery, as in the papers' tables.

Rows are those of `bench.robustness`, kept under its keys as they are measured. A benchmark that was stopped or killed
resumes where it stopped, and one that was run before costs nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from editlab.bench import robustness
from editlab.bench.editing import Rep, Setup
from editlab.bench.robustness import CaseRow
from editlab.bench.rows import append_rows, read_rows
from editlab.errors import BadFile
from editlab.facts import read_cases
from editlab.lab.job import Job, JobProgress
from editlab.lab.kinds import Kind
from editlab.lab.workspaces.workspace import Workspace
from editlab.work import Cancel, stop_if

MOST_CASES = 1_000


def run(
    workspace: Workspace, content: bytes, name: str, method: str = "rome", rep: str = "off", limit: int | None = None
) -> Job[dict[str, Any]]:
    """Return a job that edits each case of a file (CounterFact, zsRE, REP, CSV) and measures where the edits hold.

    Each case is edited on the base model; what it then says is judged teacher-forced, and as the model writes it. The result
    is a line of `robustness.summary`. Live questions are answered between two cases. Raises `BadFile` for a file without a
    case, `BadRequest` for a method or a recipe that does not exist.
    """
    context = workspace.context
    setup = Setup(method, reps=(Rep(rep),), generated=True)
    setup.config(context.model)
    address = context.ledger.files.keep(content)
    unread: list[str] = []
    cases = read_cases(context.ledger.files.path(address), unread)[: min(limit or MOST_CASES, MOST_CASES)]
    if not cases:
        raise BadFile(f"{name} contains no readable case. The first error: {unread[0]}")

    def work(progress: JobProgress, cancel: Cancel) -> dict[str, Any]:
        model = context.model
        prose = robustness.some_of(model, context.passages.outside)
        ground = replace(context.ground, prose=prose)
        complete = [ground.with_facts(case) for case in cases]
        path = context.ledger.folder / "bench" / f"{model.fingerprint}.jsonl"
        known = read_rows(path, CaseRow.from_json)
        with append_rows(path) as append:
            for row in robustness.measure(complete, setup, ground, known, progress):
                known[row.key] = row
                append(row)
                context.answer_waiting()
                stop_if(cancel, "Stopped. The measured cases are kept: run the benchmark again to resume.")
        rows = [known[key] for keys in robustness.keys(complete, setup, ground) for key in keys]
        line = robustness.summary(rows, unread, context.seed)
        progress.note(result={name: value for name, value in line.items() if isinstance(value, int | float | str)})
        return line

    again = {"file": address, "name": name, "method": method, "rep": rep, "limit": limit}
    return workspace.submit(work, Kind.BENCH, title=f"{name}, {method.upper()}", request=again)
