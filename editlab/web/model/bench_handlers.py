"""What happens when somebody measures, on the Model tab, how well edits of a file hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup

from editlab.errors import BadRequest
from editlab.lab import METHODS, OFF, RECIPES
from editlab.lab.access.limits import FREE, Cost
from editlab.lab.model import benchmarks
from editlab.web.core import render
from editlab.web.core.handlers import Handlers, Update, Updates, handler

MOST_CASES, USUAL_CASES = 1_000, 20
RATES = {
    "success": "the edited question says the new object",
    "paraphrase": "the same question in other words does",
    "rephrase_out": "the subject under another name",
    "shuffle_out": "the subject's words in another order",
    "long_out": "behind 300 tokens of prose",
    "locality": "other subjects' facts stay as they were",
    "same_subject": "the subject's other facts stay",
}
"""What is counted, and what it means; names and contexts are those that REP never saw."""


class BenchHandlers(Handlers):
    """The handlers of that part of the Model tab."""

    @handler(Cost(refused="Benchmarks cannot be run"))
    def bench_run(self, visitor: Any, path: Any, method: Any, rep: Any, limit: Any, request: gr.Request) -> Updates:
        """Edit a file's cases, each by itself, and count where they hold. Updates: bench-said, progress, message."""
        workspace = self.workspace(visitor, request)
        if not isinstance(path, str) or not path:
            raise BadRequest("There is no file. Choose one first.")
        if method not in METHODS or rep not in (OFF, *RECIPES):
            raise BadRequest("Choose a method, and whether with REP.")
        content, name = Path(path).read_bytes(), Path(path).name
        job = benchmarks.run(workspace, content, name, method, rep, read_limit(limit))
        yield {
            "message": render.message(f"Measuring {name}. Live questions are answered between two edits."),
            **self._can(True),
        }
        yield from self.follow(workspace, job)
        yield {"bench-said": found(job.result()), "message": render.message(f"{name} is measured."), "progress": ""}
        yield self._can(False)

    @handler(FREE)
    def bench_stop(self, visitor: Any, request: gr.Request) -> Updates:
        """Stop it; what was measured is kept. Updates: message; the stopped handler says the rest."""
        yield self.stopping(self.workspace(visitor, request).stop(self.by(request)))

    def _can(self, running: bool) -> Update:
        return {"bench-file": gr.update(interactive=not running), "stop": gr.update(interactive=running)}

    def _buttons_if_known(self, visitor: Any, request: gr.Request) -> Update:
        return self._can(False)


def read_limit(value: Any) -> int:
    """How many cases. Raises `BadRequest` for what is no such number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value) or not 1 <= value <= MOST_CASES:
        raise BadRequest(f"{value!r} is no number of cases. Write a whole number from 1 to {MOST_CASES:,}.")
    return int(value)


def found(line: dict[str, Any]) -> str:
    """A line of the papers' table, each rate with what it means and its 95 % interval."""
    rows = Markup("").join(
        Markup("<div><dt>{}</dt><dd><b>{}</b><span>{}, {} asked; 95 % of {} to {}</span></dd></div>").format(
            name.replace("_out", "").replace("_", " "),
            render.percent(line[name]),
            meaning,
            f"{line[f'{name}_items']:,}",
            *(render.percent(bound) for bound in line[f"{name}_ci"]),
        )
        for name, meaning in RATES.items()
        if line.get(name) is not None
    )
    skipped = f"; {line['skipped']:,} could not be edited" if line["skipped"] else ""
    title = Markup('<p class="finding">{} edits by {}{}, {:.1f} s each{}.</p>').format(
        f"{line['n']:,}",
        line["method"].upper(),
        "" if line["rep"] == OFF else " with REP",
        line["seconds_per_edit"],
        skipped,
    )
    return Markup('{}<dl class="figures">{}</dl>').format(title, rows)
