"""The handlers of the benchmark on the Model tab: how well edits of a file hold."""

from __future__ import annotations

from typing import Annotated, Literal

import gradio as gr
from pydantic import Field

from editlab.errors import BadRequest
from editlab.lab import METHODS, OFF, RECIPES
from editlab.lab.access.limits import FREE, Cost
from editlab.lab.model import benchmarks
from editlab.lab.model.benchmarks import MOST_CASES
from editlab.web.core.components import folded
from editlab.web.core.handlers import Handlers, handler
from editlab.web.core.html import pieces, render
from editlab.web.core.inputs import Upload
from editlab.web.core.language import gettext as _
from editlab.web.core.language import noop
from editlab.web.core.updates import Update, Updates, follow
from editlab.web.core.visit import Visit
from editlab.web.core.wording import number
from editlab.web.model import words

USUAL_CASES = 20
Method = Literal[tuple(METHODS)]
Rep = Literal[(OFF, *RECIPES)]
CaseCount = Annotated[int, Field(ge=1, le=MOST_CASES)]


class BenchmarkHandlers(Handlers):
    """The handlers of the benchmark."""

    @handler(cost=Cost(), refused_in_demo=noop("Benchmarks cannot be run"))
    def bench_run(
        self, visit: Visit, bench_file: Upload | None, bench_method: Method, bench_rep: Rep, bench_limit: CaseCount | None
    ) -> Updates:
        """Edit the cases of a file, each by itself, and show where the edits hold."""
        workspace = visit.workspace
        if bench_file is None:
            raise BadRequest(_("No file was received. Choose a file of cases."))
        if bench_limit is None:
            text = _("The number of cases is empty. Write a whole number from 1 to {most}.")
            raise BadRequest(text.format(most=number(MOST_CASES)))
        name = bench_file.name
        job = benchmarks.run(workspace, bench_file.read_bytes(), name, bench_method, bench_rep, bench_limit)
        text = _("The benchmark of {file} is running. Live questions are answered between two edits.")
        yield {"message": pieces.message(text.format(file=name)), **enable(running=True)}
        yield from follow(workspace, job)
        line = job.result()
        yield {
            "bench-fold": folded(_(words.TITLES["benchmark"]), words.benchmark_title(line)),
            "bench-said": render("model/benchmark.html", text=words.benchmark(line), rates=words.rates(line)),
            "message": pieces.message(_("The benchmark of {file} is done.").format(file=name)),
            "progress": "",
            **enable(running=False),
        }

    @handler(cost=FREE)
    def bench_stop(self, visit: Visit) -> Updates:
        """Stop the visitor's jobs. The handler that is stopped says the rest."""
        yield from self.stop_jobs(visit)

    def buttons_after(self, visit: Visit) -> Update:
        """Return which buttons can be pressed after an error."""
        return enable(running=False)


def enable(running: bool) -> Update:
    """Return which buttons can be pressed while a benchmark runs, or while none does."""
    return {"bench-file": gr.update(interactive=not running), "stop": gr.update(interactive=running)}
