"""The papers' table as a job: edits of a file, each by itself, asked their whole battery; row after row, kept as they come.

Rows are those of `bench.robustness` under its keys. So a benchmark that was stopped or killed goes on where it was, and one
that was run before costs nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from editlab.bench import robustness
from editlab.bench.robustness import CaseRow, Rep, Setup
from editlab.bench.rows import appending, kept
from editlab.errors import BadFile, Cancelled
from editlab.facts import read_cases
from editlab.lab.jobs.worker import Cancel, Job, Progress
from editlab.probes import Ground

if TYPE_CHECKING:
    from editlab.lab.lab import Lab
    from editlab.lab.workspaces.looking import Looking

MOST_CASES = 1_000


class Benchmarking:
    """The benchmarks of one lab."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def run(
        self, workspace: Looking, content: bytes, name: str, method: str = "rome", rep: str = "off", limit: int | None = None
    ) -> Job[dict[str, Any]]:
        """Edit the cases of a file (CounterFact, zsRE, REP, CSV), each over the bare model, and count where it holds.

        The job's result is a line of `robustness.summary`; live questions are answered between two cases. Raises `BadFile`
        for a file without a case, `BadRequest` for a method or a recipe that there is not.
        """
        setup = Setup(method, reps=(Rep(rep),))
        setup.config(self._lab.model)
        address = self._lab.ledger.files.keep(content)
        unread: list[str] = []
        cases = read_cases(self._lab.ledger.files.path(address), unread)[: min(limit or MOST_CASES, MOST_CASES)]
        if not cases:
            raise BadFile(f"{name} holds no case that can be read. The first fault: {unread[0]}")

        def work(progress: Progress, cancel: Cancel) -> dict[str, Any]:
            lab, model = self._lab, self._lab.model
            prose = robustness.some_of(model, lab.passages.outside)
            ground = Ground(model, lab.facts, lab.passages, lab.seed, prose)
            asked = [ground.with_facts(case) for case in cases]
            path = self._rows_at
            known = kept(path, CaseRow.from_json)
            with appending(path) as append:
                for row in robustness.measure(asked, setup, ground, known, progress):
                    known[row.key] = row
                    append(row)
                    lab.questions.answer()
                    if cancel():
                        raise Cancelled("Stopped. What was measured is kept: run it again, and it goes on from there.")
            rows = [known[key] for keys in robustness.keys(asked, setup, ground) for key in keys]
            line = robustness.summary(rows, unread, lab.seed)
            progress.note(result={name: value for name, value in line.items() if isinstance(value, int | float | str)})
            return line

        again = {"file": address, "name": name, "method": method, "rep": rep, "limit": limit}
        return workspace.submit(work, "bench", title=f"{name}, {method.upper()}", request=again)

    @property
    def _rows_at(self) -> Path:
        return self._lab.ledger.folder / "bench" / f"{self._lab.model.fingerprint}.jsonl"
