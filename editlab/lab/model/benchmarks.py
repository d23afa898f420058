"""The papers' table as a job: edits of a file, each by itself, asked their whole battery; row after row, kept as they come.

Rows are those of `bench.robustness` under its keys. So a benchmark that was stopped or killed goes on where it was, and one
that was run before costs nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from editlab.bench import robustness
from editlab.bench.robustness import CaseRow, Rep, Setup
from editlab.bench.rows import append_rows, read_rows
from editlab.errors import BadFile
from editlab.facts import read_cases
from editlab.lab.kinds import Kind
from editlab.lab.worker import Job, JobProgress
from editlab.lab.workspaces.workspace import Workspace
from editlab.work import Cancel, stop_if

MOST_CASES = 1_000


def run(
    workspace: Workspace, content: bytes, name: str, method: str = "rome", rep: str = "off", limit: int | None = None
) -> Job[dict[str, Any]]:
    """Edit the cases of a file (CounterFact, zsRE, REP, CSV), each over the bare model, and count where the edits hold.

    The job's result is a line of `robustness.summary`; live questions are answered between two cases. Raises `BadFile` for a
    file without a case, `BadRequest` for a method or a recipe that does not exist.
    """
    context = workspace.context
    setup = Setup(method, reps=(Rep(rep),))
    setup.config(context.model)
    address = context.ledger.files.keep(content)
    unread: list[str] = []
    cases = read_cases(context.ledger.files.path(address), unread)[: min(limit or MOST_CASES, MOST_CASES)]
    if not cases:
        raise BadFile(f"{name} holds no case that can be read. The first fault: {unread[0]}")

    def work(progress: JobProgress, cancel: Cancel) -> dict[str, Any]:
        model, seed = context.model, context.seed
        ground = replace(context.ground, prose=robustness.some_of(model, context.passages.outside))
        complete = [ground.with_facts(case) for case in cases]
        path = context.ledger.folder / "bench" / f"{model.fingerprint}.jsonl"
        known = read_rows(path, CaseRow.from_json)
        with append_rows(path) as append:
            for row in robustness.measure(complete, setup, ground, known, progress):
                known[row.key] = row
                append(row)
                context.live.answer()
                stop_if(cancel, "Stopped. What was measured is kept: run it again, and it goes on from there.")
        rows = [known[key] for keys in robustness.keys(complete, setup, ground) for key in keys]
        line = robustness.summary(rows, unread, seed)
        progress.note(result={name: value for name, value in line.items() if isinstance(value, int | float | str)})
        return line

    again = {"file": address, "name": name, "method": method, "rep": rep, "limit": limit}
    return workspace.submit(work, Kind.BENCH, title=f"{name}, {method.upper()}", request=again)
