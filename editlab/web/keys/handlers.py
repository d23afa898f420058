"""The handlers of the Keys tab. Each figure of the selected edit is drawn as soon as it is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import gradio as gr
from pandas import DataFrame

from editlab import figures
from editlab.errors import BadRequest, Cancelled
from editlab.facts import EditRequest
from editlab.insight import Scan, Similarity
from editlab.lab import EditRecord, Job, Lab, Workspace
from editlab.lab.access.limits import FREE, Cost
from editlab.lab.asking import keys as asking
from editlab.web.core import forms
from editlab.web.core.components import folded
from editlab.web.core.engine import said
from editlab.web.core.handlers import Handlers, handler
from editlab.web.core.html import pieces, render
from editlab.web.core.inputs import Question, Upload
from editlab.web.core.language import gettext as _
from editlab.web.core.turns import Turn, Turns
from editlab.web.core.updates import Update, Updates, buttons, follow
from editlab.web.core.uploads import read_text
from editlab.web.core.visit import Visit
from editlab.web.keys import lead, table, words
from editlab.web.keys.headings import ASSUMPTIONS, HEADINGS
from editlab.web.keys.lead import Lead

FIGURES = Cost(prompts=400)
"""What it costs to compute all figures, or to read a text."""
SECTIONS = tuple(HEADINGS)
IN_ORDER = ("similarity", "bounds", "discussion", "prefixes", "values")
"""The order in which the sections are computed: first those that decide what matters most."""
TITLES: dict[str, Callable[[Any], str]] = {
    "similarity": words.similarity_title,
    "discussion": words.discussion_title,
    "bounds": words.bounds_title,
    "prefixes": words.prefixes_title,
    "values": words.values_title,
}
"""What a section's title says of its result."""
Stamp = tuple[tuple[EditRecord, ...], float, EditRequest | None]
"""The edits, the threshold and the question for which something was computed."""


class KeysHandlers(Handlers):
    """The handlers of the Keys tab. Results are kept as long as the edits stay the same."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.keys, self.turns = asking, Turns()
        self._results: WeakKeyDictionary[Workspace, tuple[Stamp, dict[str, Any]]] = WeakKeyDictionary()

    @handler(cost=FIGURES)
    def keys_open(self, visit: Visit) -> Updates:
        """Show all figures of the selected edit when the tab is opened."""
        yield from self._show(visit.workspace)

    @handler(cost=FIGURES)
    def keys_again(self, visit: Visit) -> Updates:
        """Compute all figures again."""
        workspace = visit.workspace
        self._results.pop(workspace, None)
        yield from self._show(workspace)

    @handler(cost=Cost(prompts=20))
    def keys_discuss(self, visit: Visit, keys_question: Question) -> Updates:
        """Show which stored facts answer a question of the visitor's."""
        workspace = visit.workspace
        question = forms.read_question(keys_question)
        job = self.keys.discussion(workspace, question)
        self._kept(workspace)["question"] = question
        yield from self._follow(workspace, "discussion", job)

    @handler(cost=Cost(files=1, prompts=400))
    def keys_scan(self, visit: Visit, keys_file: Upload | None) -> Updates:
        """Search a text file of the visitor's for places that receive a part of the edit."""
        workspace = visit.workspace
        yield from self._scan(workspace, self.keys.prefixes(workspace, read_text(keys_file)))

    @handler(cost=FIGURES)
    def keys_prose(self, visit: Visit) -> Updates:
        """Search the prose that comes with EditLab."""
        workspace = visit.workspace
        yield from self._scan(workspace, self.keys.prefixes(workspace))

    @handler(cost=FREE)
    def keys_stop(self, visit: Visit) -> Updates:
        """Stop the visitor's jobs. The handler that is stopped says the rest."""
        yield from self.stop_jobs(visit)

    def _show(self, workspace: Workspace) -> Updates:
        """Draw all sections; without an edit, clear them and raise `BadRequest`, which says what to do."""
        try:
            self.keys.edit_at_a_key(workspace)
        except BadRequest:
            yield {name: value for section in SECTIONS for name, value in clear(section).items()} | clear_lead()
            raise
        yield from self.turns.take(workspace, lambda turn: self._sections(turn, workspace))

    def _sections(self, turn: Turn, workspace: Workspace) -> Updates:
        record, kept = self.keys.edit(workspace), self._kept(workspace)
        question = kept.setdefault("question", self.keys.question(workspace))
        text = words.edit(record.request, record.layers, rep=workspace.robust is not None)
        # Of updates that follow one another at once, the page may keep the last alone: so all that is known is one.
        leading = find_lead(record.request, kept)
        update: Update = {"keys-question": question, "message": pieces.message(text), **draw_lead(leading, kept)}
        jobs: dict[str, Callable[[], Job[Any]]] = {
            "similarity": lambda: self.keys.similarity(workspace),
            "discussion": lambda: self.keys.discussion(workspace, question),
            "bounds": lambda: self.keys.bounds(workspace),
            "prefixes": lambda: self.keys.prefixes(workspace),
            "values": lambda: self.keys.values(workspace),
        }
        for section in SECTIONS:
            known = section in kept
            update |= draw(section, record.request, kept, leading) if known else clear(section, _(words.COMPUTING))
        yield update
        for section in (section for section in IN_ORDER if section not in kept):
            yield from self._follow(workspace, section, turn.asks(jobs[section]()))
            turn.check()

    def _scan(self, workspace: Workspace, job: Job[Scan]) -> Updates:
        """Clear the results of the text before, and draw those of this one."""
        yield clear("prefixes", _(words.COMPUTING))
        yield from self._follow(workspace, "prefixes", job)

    def _follow(self, workspace: Workspace, section: str, job: Job[Any]) -> Updates:
        """Draw the result of a job and keep it; of a job that is stopped, draw its partial result."""
        request, kept = self.keys.edit(workspace).request, self._kept(workspace)

        def draw_partial(partial: Any) -> Update:
            return {f"keys-{section}": pieces.finding(sentence(section, request, partial))}

        yield {"stop": gr.update(interactive=True)}
        yield from follow(workspace, job, draw_partial)
        try:
            kept[section] = job.result()
        except Cancelled:
            if job.partial is not None:
                yield draw(section, request, {section: job.partial})
            raise
        leading, update = find_lead(request, kept), {}
        if section == "bounds" and leading is not None:
            update = draw_lead(leading, kept) | draw(leading.section, request, kept, leading)
        yield {**update, **draw(section, request, kept, leading), "progress": "", **buttons(workspace)}

    def _kept(self, workspace: Workspace) -> dict[str, Any]:
        """Return the results for the edits, the threshold and the question as they are now."""
        stamp, kept = (workspace.records, workspace.threshold, workspace.request), self._results.get(workspace)
        if kept is None or kept[0][0] is not stamp[0] or kept[0][1:] != stamp[1:]:
            kept = self._results[workspace] = stamp, {}
        return kept[1]


def sentence(section: str, request: EditRequest, result: Any) -> str:
    """Return what a section's numbers say."""
    if isinstance(result, Similarity):
        return words.similarity(request, result)
    if isinstance(result, Scan):
        return words.prefixes(request, result)
    if section == "values":
        return words.values(request, result)
    return words.discussion(result) if section == "discussion" else words.bounds(result)


def draw(section: str, request: EditRequest, kept: Mapping[str, Any], leading: Lead | None = None) -> Update:
    """Return a section with its sentence, its figure and its table; the figure that leads the tab is not drawn again."""
    result = kept[section]
    frame: DataFrame = result.frame if isinstance(result, Similarity | Scan) else result
    leads = leading is not None and leading.section == section
    if section == "discussion":
        voices = zip(frame["voice"], frame["kind"], strict=True)
        frame = frame.assign(voice=[voice if kind == "stored" else said(voice) for voice, kind in voices])
    update = {
        f"keys-{section}-fold": folded(_(HEADINGS[section].title), TITLES[section](result)),
        f"keys-{section}": pieces.finding(sentence(section, request, result)) + pieces.picture_leads(leads),
        f"keys-{section}-plot": None if leads else getattr(figures, section)(frame),
        f"keys-{section}-table": table.table(section, frame),
    }
    if isinstance(result, Similarity):
        update["keys-components"] = pieces.finding(words.components(result))
        update["keys-components-plot"] = figures.components(frame, result.variance)
    if section == "bounds":
        update["keys-lemma"] = render("keys/bounds.html", lemma=words.lemma(frame), assumptions=_(ASSUMPTIONS))
    return update


def find_lead(request: EditRequest, kept: Mapping[str, Any]) -> Lead | None:
    """Return what matters most for this edit; None before what decides it is computed."""
    decided = {"bounds", "similarity"} <= kept.keys()
    return lead.lead(request, kept["bounds"], kept["similarity"]) if decided else None


def draw_lead(found: Lead | None, kept: Mapping[str, Any]) -> Update:
    """Return what matters most, with its picture."""
    if found is None:
        return clear_lead(_(words.COMPUTING))
    result = kept[found.section]
    return {
        "keys-lead": pieces.lead(found.finding, found.meaning, found.tone),
        "keys-lead-plot": getattr(figures, found.section)(result.frame if isinstance(result, Similarity) else result),
        "keys-lead-about": pieces.about(_(HEADINGS[found.section].about)),
    }


def clear_lead(hint: str = "") -> Update:
    """Return the place of what matters most without it."""
    return {"keys-lead": pieces.lead(hint, tone="open") if hint else "", "keys-lead-plot": None, "keys-lead-about": ""}


def clear(section: str, hint: str = "") -> Update:
    """Return a section without results, so that no figure of another edit stays. `hint`: the text in its place."""
    names = {"similarity": ("similarity", "components"), "bounds": ("bounds", "lemma")}.get(section, (section,))
    update: Update = {f"keys-{name}": "" for name in names} | {f"keys-{section}-table": ""}
    update[f"keys-{section}"] = pieces.message(hint, "hint") if hint else ""
    update[f"keys-{section}-fold"] = folded(_(HEADINGS[section].title))
    return update | {f"keys-{name}-plot": None for name in names if name != "lemma"}
