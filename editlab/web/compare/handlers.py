"""The handlers of the Compare tab: the fact of the Edit tab, edited by each of the chosen methods."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal
from weakref import WeakKeyDictionary

import gradio as gr
from markupsafe import Markup
from pydantic import Field

from editlab.errors import BadRequest, Cancelled
from editlab.facts import EditRequest
from editlab.facts.script import Space, bare
from editlab.facts.writers import frame_csv
from editlab.figures.methods import methods as picture
from editlab.lab import METHODS, Job, Lab, Workspace
from editlab.lab.access.limits import FREE, Cost
from editlab.lab.asking import comparing
from editlab.lab.asking.comparing import Compared, Comparison
from editlab.web.compare import table, words
from editlab.web.core import forms
from editlab.web.core.components import folded
from editlab.web.core.engine import said
from editlab.web.core.forms import Settings
from editlab.web.core.handlers import BATTERY, Handlers, handler
from editlab.web.core.html import pieces, render
from editlab.web.core.inputs import Inputs, Name, Object, Pressed, Prompt, Subject
from editlab.web.core.language import gettext as _
from editlab.web.core.language import ngettext
from editlab.web.core.names import method_name
from editlab.web.core.turns import Turn, Turns
from editlab.web.core.updates import Update, Updates, buttons, follow
from editlab.web.core.visit import Visit
from editlab.web.core.wording import number

ONE = Cost(edits=1, prompts=BATTERY)
"""What it costs to compare one method."""
Chosen = Annotated[str, Field(max_length=2_000)]
"""The names of methods, with a space between two."""


class Fact(Inputs):
    """The fields of the Edit tab."""

    subject: Subject
    prompt: Prompt
    target_new: Object
    target_true: Object
    space: Space = "script"


class PressedMethod(Pressed):
    """A button in the row of a method."""

    press: Literal["use"]
    method: Name


@dataclass(frozen=True)
class Run:
    """A comparison that was begun, the job that makes it, and the page that follows it.

    `begun`: before the first method has done anything.
    """

    begun: Comparison
    job: Job[Comparison]
    page: str

    @property
    def found(self) -> Comparison:
        """What is known of it now."""
        if self.job.done and self.job.error is None:
            return self.job.result()
        return replace(self.job.partial or self.begun, stopped=self.job.done)


class CompareHandlers(Handlers):
    """The handlers of the Compare tab. The latest comparison of each workspace is kept, also while it is made."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.turns = Turns()
        self._runs: WeakKeyDictionary[Workspace, Run] = WeakKeyDictionary()

    @handler(cost=FREE)
    def compare_open(self, visit: Visit, fact: Fact) -> Updates:
        """Show the comparison that is being made; else the fact that would be compared, or the comparison of it."""
        run = self._runs.get(visit.workspace)
        if run is not None and not run.job.done:
            yield from self._open_running(visit, run)
            return
        try:
            request = self._read(fact)
        except BadRequest:
            yield {"compare-fact": pieces.message(_(words.NO_FACT), "hint"), **self._clear()}
            return
        if run is None or run.begun.request != self.lab.context.ground.case(request).request:
            lead = pieces.lead(_(words.EMPTY), tone="open")
            yield {"compare-fact": _fact(request), **self._clear(), "compare-lead": lead}
        else:
            yield {**self._draw(run.found), "compare-files-said": ""}

    @handler(cost=ONE)
    def compare_run(self, visit: Visit, fact: Fact, compare_methods: Chosen, settings: Settings) -> Updates:
        """Let each chosen method edit the fact, with the settings of the Edit tab, and ask all the same questions."""
        workspace, names = visit.workspace, [name for name in METHODS if name in compare_methods.split()]
        try:
            request = self._read(fact)
        except BadRequest as error:
            raise BadRequest(said(error)) from error  # without its field, which is on the Edit tab
        more = max(0, len(names) - 1)
        self.lab.limits.spend(Cost(edits=more * ONE.edits, prompts=more * ONE.prompts))
        offered = self.lab.methods()
        chosen = {name: forms.read_settings(offered, name, settings) for name in names}
        yield from self.turns.take(workspace, lambda turn: self._compare(turn, workspace, request, chosen))

    @handler(cost=FREE)
    def compare_stop(self, visit: Visit) -> Updates:
        """Stop the visitor's jobs. The handler that is stopped says the rest."""
        yield from self.stop_jobs(visit)

    @handler(cost=FREE)
    def compare_use(self, visit: Visit, pressed: PressedMethod) -> Updates:
        """Choose a method on the Edit tab."""
        if pressed.method not in METHODS:
            raise BadRequest(_("There is no such method any more. Reload the page."))
        yield {"method": pressed.method}

    @handler(cost=Cost(files=1))
    def compare_files(self, visit: Visit) -> Updates:
        """Offer the table and all answers as CSV files."""
        workspace = visit.workspace
        run = self._runs.get(workspace)
        if run is None:
            raise BadRequest(_("There is nothing to export. Compare some methods first."))
        links = []
        for name, frame in table.files(run.found, self.lab.methods()).items():
            path = self.lab.downloads.new_folder() / f"{name}.csv"
            path.write_text(frame_csv(frame), encoding="utf-8")
            text = ngettext("Download {file} ({n} row)", "Download {file} ({n} rows)", len(frame))
            token = self.lab.downloads.offer(workspace.name, path)
            links.append(pieces.download(token, text.format(file=path.name, n=number(len(frame)))))
        yield {"compare-files-said": " ".join(links)}

    def buttons(self, workspace: Workspace) -> Update:
        """Return which buttons can be pressed now."""
        return {**buttons(workspace), "compare-run": gr.update(interactive=True)}

    def _compare(
        self, turn: Turn, workspace: Workspace, request: EditRequest, chosen: dict[str, dict[str, object]]
    ) -> Updates:
        job = turn.asks(comparing.compare(workspace, request, chosen))
        begun = Comparison(self.lab.context.ground.case(request).request, tuple(map(Compared, chosen)))
        run = self._runs[workspace] = Run(begun, job, turn.page)
        yield {
            **self._draw(begun),
            "message": "",
            "stop": gr.update(interactive=True),
            "compare-run": gr.update(interactive=False),
            "compare-files-said": "",
        }
        yield from self._follow(workspace, run)
        turn.check()
        found, text = run.found, ""
        try:
            job.result()
        except Cancelled:
            text = words.stopped(found.ranked, len(found.rows))
        except Exception:
            yield self._draw(found)
            raise
        end = {"message": pieces.message(text) if text else "", "progress": ""}
        yield {**self._draw(found), **end, **self.buttons(workspace)}

    def _open_running(self, visit: Visit, run: Run) -> Updates:
        """Show a comparison that is being made, and follow it where no handler of this page does: it was loaded again."""
        workspace = visit.workspace
        yield self._draw(run.found)
        if run.page == visit.session:
            return
        yield {"stop": gr.update(interactive=True)}
        yield from self._follow(workspace, run)
        if self._runs.get(workspace) is run:
            yield {**self._draw(run.found), "progress": "", **self.buttons(workspace)}

    def _follow(self, workspace: Workspace, run: Run) -> Updates:
        """Draw what is known of the latest comparison until its job is done; its picture where a method has been added."""
        drawn = 0

        def draw(found: Comparison) -> Update:
            nonlocal drawn
            if self._runs.get(workspace) is not run:
                return {}
            fresh, drawn = len(found.ranked) != drawn, len(found.ranked)
            return self._draw(found, fresh)

        yield from follow(workspace, run.job, draw)

    def _draw(self, found: Comparison, figure: bool = True) -> Update:
        """Return what is known of a comparison, below the fact that it is about."""
        text, tone = words.finding(found)
        methods = self.lab.methods()
        told, asked = table.compared(found), table.answers(found)
        update: Update = {
            "compare-fact": _fact(found.request),
            "compare-lead": pieces.lead(text, words.meaning(found), tone),
            "compare-table": render(
                "compare/table.html", heads=table.heads(found), rows=table.rows(found, methods), rule=_(words.RULE)
            ),
            "compare-answers-fold": folded(_(words.SIDE_BY_SIDE), words.title(found, len(asked))),
            "compare-answers": render(
                "compare/answers.html",
                prompt=found.request.text,
                base=(found.base or {}).get("text", ""),
                methods=[method_name(row.method) for row in told],
                texts=[(row.answer or {}).get("text", "") for row in told],
                rows=asked,
            ),
            "compare-files": gr.update(visible=bool(found.ranked)),
        }
        if figure and (found.ranked or not (found.complete or found.stopped)):
            update["compare-lead-plot"] = picture(table.frame(found), table.columns(found), _("Time"))
            update["compare-lead-about"] = pieces.about(_(words.ABOUT))
        elif figure:
            update |= {"compare-lead-plot": None, "compare-lead-about": ""}
        return update

    def _clear(self) -> Update:
        """Return the tab without a comparison."""
        return {
            **{f"compare-{name}": "" for name in ("lead", "lead-about", "table", "answers", "files-said")},
            "compare-lead-plot": None,
            "compare-answers-fold": folded(_(words.SIDE_BY_SIDE)),
            "compare-files": gr.update(visible=False),
        }

    def _read(self, fact: Fact) -> EditRequest:
        return forms.read_request(fact.subject, fact.prompt, fact.target_new, fact.target_true, fact.space)


def _fact(request: EditRequest) -> Markup:
    return render("compare/fact.html", request=request, new=bare(request.target_new), old=bare(request.target_true or ""))
