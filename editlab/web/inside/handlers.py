"""The handlers of the Inside tab: how the selected edit changes the model from layer to layer, and many edits at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any
from weakref import WeakKeyDictionary

import gradio as gr
from pandas import DataFrame
from pydantic import Field

from editlab.errors import BadFile, BadRequest, Cancelled, EditLabError, MissingMask
from editlab.figures import inside as figures
from editlab.insight import Question
from editlab.lab import Job, Lab, Workspace
from editlab.lab.access.limits import FREE, Cost
from editlab.lab.asking import inside, keys
from editlab.web.core import forms, inputs
from editlab.web.core.engine import said
from editlab.web.core.handlers import Handlers, handler
from editlab.web.core.html import pieces
from editlab.web.core.inputs import Place
from editlab.web.core.language import gettext as _
from editlab.web.core.turns import Turn, Turns
from editlab.web.core.updates import Update, Updates, buttons, follow
from editlab.web.core.visit import Visit
from editlab.web.core.wording import capitalize
from editlab.web.inside import lead, sections, words
from editlab.web.inside.headings import HEADINGS, OBJECTS
from editlab.web.inside.lead import Lead
from editlab.web.inside.sections import ObjectName, Selection, Shown

FIGURES = Cost(prompts=60)
"""What it costs to compute all figures."""
FEWEST, MOST = 2, 200
EditCount = Annotated[int, Field(ge=FEWEST, le=MOST)]
"""How many edits are made to be compared."""
JOBS = {"lens": ("lens", "tokens"), "contributions": ("contributions",), "attention": ("attention",), "mask": ("mask",)}
"""The jobs in the order in which they are computed, and the sections that each one's result is drawn in."""
PROBLEMS = (BadFile, BadRequest, MissingMask)
"""Errors of one job, which its sections show; the other jobs go on."""


@dataclass(eq=False)
class Results:
    """The results of the jobs for one state of the edits (`stamp`) and one question."""

    stamp: tuple[Any, ...]
    question: Question
    by_job: dict[str, DataFrame | EditLabError] = field(default_factory=dict)


class InsideHandlers(Handlers):
    """The handlers of the Inside tab. Results are kept as long as the edits stay the same."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.turns = Turns()
        self._results: WeakKeyDictionary[Workspace, Results] = WeakKeyDictionary()

    @handler(cost=FIGURES)
    def inside_open(self, visit: Visit, selection: Selection) -> Updates:
        """Show all figures of the selected edit when the tab is opened."""
        yield from self._show(visit.workspace, selection)

    @handler(cost=FIGURES)
    def inside_look(self, visit: Visit, inside_text: inputs.Question, selection: Selection) -> Updates:
        """Show all figures for a text of the visitor's, or for the edit's own prompt where it is empty."""
        workspace = visit.workspace
        text = forms.read_question(inside_text) if inside_text.strip() else None
        self._results[workspace] = Results(_stamp(workspace), inside.question(workspace, text))
        yield from self._show(workspace, selection)

    @handler(cost=FIGURES)
    def inside_token(self, visit: Visit, inside_token: Place | None, selection: Selection) -> Updates:
        """Show the figures at another token, which is counted from the text's end."""
        workspace = visit.workspace
        results = self._current(workspace)
        question = results.question.looked_at(inside_token or 0)
        same = {job: results.by_job[job] for job in ("lens", "mask") if job in results.by_job}
        self._results[workspace] = Results(results.stamp, question, same)
        yield from self._show(workspace, selection)

    @handler(cost=FREE)
    def inside_draw(self, visit: Visit, selection: Selection) -> Updates:
        """Draw the results for another selection, without computing them again."""
        workspace = visit.workspace
        results = self._current(workspace)
        leading = _find_lead(workspace, results, selection)
        update = _draw_lead(workspace, results, selection, leading)
        for job in ("lens", "contributions", "attention"):
            if job in results.by_job:
                update |= _draw(workspace, results, job, selection, leading)
        yield update

    @handler(cost=FIGURES)
    def inside_many(self, visit: Visit, inside_count: EditCount | None, inside_which: ObjectName) -> Updates:
        """Make many edits, each alone, and compare them with what they replace."""
        if inside_count is None:
            text = _("Choose how many edits: a number from {least} to {most}.")
            raise BadRequest(text.format(least=FEWEST, most=MOST))
        workspace = visit.workspace
        self.lab.limits.spend(Cost(edits=inside_count))
        job = inside.loudness(workspace, inside_count)
        yield {**sections.clear_all(sections.OF_MANY, _(words.COMPUTING)), "stop": gr.update(interactive=True)}
        yield from follow(workspace, job, lambda cases: sections.draw_many(cases, inside_which))
        try:
            cases = job.result()
        except Cancelled:
            if job.partial:
                yield sections.draw_many(job.partial, inside_which)
            raise
        yield {**sections.draw_many(cases, inside_which), "progress": "", **buttons(workspace)}

    @handler(cost=FREE)
    def inside_stop(self, visit: Visit) -> Updates:
        """Stop the visitor's jobs. The handler that is stopped says the rest."""
        yield from self.stop_jobs(visit)

    def _show(self, workspace: Workspace, selection: Selection) -> Updates:
        """Draw all sections; without an edit, clear them and raise `BadRequest`, which says what to do."""
        try:
            keys.edit(workspace)
        except BadRequest:
            yield sections.clear_all(sections.OF_EDIT) | _clear_lead()
            raise
        yield from self.turns.take(workspace, lambda turn: self._sections(turn, workspace, selection))

    def _sections(self, turn: Turn, workspace: Workspace, selection: Selection) -> Updates:
        record, results = keys.edit(workspace), self._current(workspace)
        question, by_job = results.question, results.by_job
        text = words.edit(record.request, record.layers)
        # Of updates that follow one another at once, the page may keep the last alone: so all that is known is one.
        update = {"message": pieces.message(text), **_choices(workspace, question, selection)}
        leading = _find_lead(workspace, results, selection)
        update |= _draw_lead(workspace, results, selection, leading)
        start: dict[str, Callable[[], Job[DataFrame]]] = {
            "lens": lambda: inside.lens(workspace, question),
            "contributions": lambda: inside.contributions(workspace, question),
            "attention": lambda: inside.attention(workspace, question),
            "mask": lambda: inside.mask_structure(workspace),
        }
        for job, drawn_in in JOBS.items():
            known = job in by_job
            waiting = _(words.COMPUTING)
            drawn = _draw(workspace, results, job, selection, leading) if known else sections.clear_all(drawn_in, waiting)
            update |= drawn
        missing = [job for job in JOBS if job not in by_job]
        yield update if missing else {**update, "progress": "", **buttons(workspace)}
        for job in missing:
            yield {"stop": gr.update(interactive=True)}
            try:
                running = turn.asks(start[job]())
                yield from follow(workspace, running)
                by_job[job] = running.result()
            except PROBLEMS as problem:
                by_job[job] = problem
            leading, decided = _find_lead(workspace, results, selection), {}
            if leading is not None and job == lead.CANDIDATES[-1]:
                decided = _draw(workspace, results, leading.section, selection, leading)
            if job == lead.CANDIDATES[-1]:
                decided |= _draw_lead(workspace, results, selection, leading)
            ended = {"progress": "", **buttons(workspace)} if job == missing[-1] else {}
            yield {**decided, **_draw(workspace, results, job, selection, leading), **ended}
            turn.check()

    def _current(self, workspace: Workspace) -> Results:
        """Return the results for the edits, the threshold and the views as they are now; at first without any."""
        stamp, results = _stamp(workspace), self._results.get(workspace)
        if results is None or results.stamp != stamp:
            results = self._results[workspace] = Results(stamp, inside.question(workspace))
        return results


def _stamp(workspace: Workspace) -> tuple[Any, ...]:
    return workspace.records, workspace.threshold, workspace.request, inside.views(workspace)


def _draw(workspace: Workspace, results: Results, job: str, selection: Selection, leading: Lead | None) -> Update:
    """Return the sections of a job, or why it has no result."""
    result = results.by_job[job]
    if isinstance(result, EditLabError):
        return sections.clear_all(JOBS[job], said(result))
    shown, first = _shown(workspace, results, selection), leading and leading.section
    updates = [sections.draw(section, result, shown, section == first) for section in JOBS[job]]
    return {name: value for update in updates for name, value in update.items()}


def _find_lead(workspace: Workspace, results: Results, selection: Selection) -> Lead | None:
    """Return what matters most for this edit; None before what decides it is computed, and where nothing does."""
    if not _is_decided(results):
        return None
    frames = {name: frame for name, frame in results.by_job.items() if isinstance(frame, DataFrame)}
    return lead.lead(frames, _shown(workspace, results, selection))


def _is_decided(results: Results) -> bool:
    return set(lead.CANDIDATES) <= results.by_job.keys()


def _draw_lead(workspace: Workspace, results: Results, selection: Selection, found: Lead | None) -> Update:
    """Return what matters most for this edit, with its picture, as soon as what decides it is computed."""
    if found is None:
        return _clear_lead("" if _is_decided(results) else _(words.COMPUTING))
    shown = _shown(workspace, results, selection)
    return {
        "inside-lead": pieces.lead(found.finding, found.meaning, found.tone),
        "inside-lead-plot": sections.figure(found.section, results.by_job[found.section], shown),
        "inside-lead-about": pieces.about(_(HEADINGS[found.section].about)),
    }


def _clear_lead(hint: str = "") -> Update:
    """Return the place of what matters most without it."""
    return {"inside-lead": pieces.lead(hint, tone="open") if hint else "", "inside-lead-plot": None, "inside-lead-about": ""}


def _shown(workspace: Workspace, results: Results, selection: Selection) -> Shown:
    available = _available(workspace, results.question, selection)
    return Shown(results.question, keys.edit(workspace).layers, available)


def _choices(workspace: Workspace, question: Question, selection: Selection) -> Update:
    """Return what can be selected now, and what is selected."""
    count, available = len(question.tokens), _available(workspace, question, selection)
    tokens = [(f"{place}: {token}", count + 1 - place) for place, token in enumerate(question.tokens, 1)]
    views = [(capitalize(figures.view_name(view)), view) for view in _views(workspace)]
    objects = [(_(OBJECTS[name]), name) for name in _objects(question)]
    return {
        "inside-text": question.text,
        "inside-token": gr.update(choices=tokens, value=question.at),
        "inside-shown": gr.update(choices=views, value=available.view),
        "inside-which": gr.update(choices=objects, value=available.object),
    }


def _available(workspace: Workspace, question: Question, selection: Selection) -> Selection:
    """Return a selection in which what does not exist now is replaced by what always does."""
    view = selection.view if selection.view in _views(workspace) else sections.FIRST_VIEW
    which = selection.object if selection.object in _objects(question) else "new"
    return Selection(view=view, object=which, form=selection.form)


def _views(workspace: Workspace) -> list[str]:
    """Return the views that heat maps can show, the differences of two first."""
    views = list(inside.views(workspace))
    return [*(name for name, pair in figures.DIFFERENCES.items() if set(pair) <= set(views)), *views]


def _objects(question: Question) -> list[str]:
    return ["new"] if question.true is None else list(OBJECTS)
