"""What happens on the Inside tab: the way of the edit on the bench from its layer to the answer, and many edits at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import gradio as gr
from pandas import DataFrame

from editlab.errors import BadFile, BadRequest, Cancelled, MissingMask
from editlab.figures import inside as figures
from editlab.insight import Question, concentration
from editlab.insight.loudness import Loudness, loud, summary
from editlab.lab import Job, Lab, Workspace
from editlab.lab.access.limits import FREE, Cost
from editlab.lab.asking import inside as asking
from editlab.web.core import forms, render
from editlab.web.core.handlers import Handlers, Update, Updates, handler
from editlab.web.inside import table as inside_table
from editlab.web.inside import words

SECTIONS = ("lens", "tokens", "contributions", "attention", "mask")
"""The pictures of the edit on the bench, as they stand on the page; below them stand those of many edits."""
JOBS = {"lens": ("lens", "tokens"), "contributions": ("contributions",), "attention": ("attention",), "mask": ("mask",)}
"""Which pictures are drawn from what is computed together."""
LOUD = ("loudness", "parts")
COMING = "Being computed …"
WHICH = {"new": "New object", "true": "Old object", "lead": "New − old"}
FORMS = {"added": "What each adds", "differences": "Differences", "raw": "Published raw form"}
FEWEST, MOST = 2, 200
"""How many edits can be made at once."""
CHOSEN = "edited-base"
"""What the heat maps show at first."""


@dataclass(eq=False)
class Seen:
    """What was computed for one state of the edits, which `stamp` tells.

    `frames`: by job, each a table, or why there is none.
    """

    stamp: tuple[Any, ...]
    question: Question
    frames: dict[str, DataFrame | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """How the visitor wants the pictures: a view or a difference in the heat maps, an object, a form of contributions."""

    shown: str
    which: str
    form: str


class InsideHandlers(Handlers):
    """The handlers of the Inside tab. What was computed for the edits as they are is drawn again without computing it."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.inside = asking
        self._seen: WeakKeyDictionary[Workspace, Seen] = WeakKeyDictionary()

    @handler(Cost(prompts=60))
    def inside_open(self, visitor: Any, shown: Any, which: Any, form: Any, request: gr.Request) -> Updates:
        """The tab was opened. Inputs: inside-shown, inside-which, inside-form. Updates: all but those of many edits."""
        workspace = self.workspace(visitor, request)
        yield from self.look_at(workspace, self._choice(shown, which, form))

    @handler(Cost(prompts=60))
    def inside_look(self, visitor: Any, text: str | None, shown: Any, which: Any, form: Any, request: gr.Request) -> Updates:
        """Look at a text of the visitor's, an empty one being the edit's own. Inputs: inside-text and as `inside_open`."""
        workspace = self.workspace(visitor, request)
        own = forms.read_question(text) if (text or "").strip() else None
        question = self.inside.question(workspace, own)
        self._seen[workspace] = Seen(self._stamp(workspace), question)
        yield from self.look_at(workspace, self._choice(shown, which, form))

    @handler(Cost(prompts=60))
    def inside_token(self, visitor: Any, at: Any, shown: Any, which: Any, form: Any, request: gr.Request) -> Updates:
        """Look at another token. Inputs: inside-token and as `inside_open`."""
        workspace = self.workspace(visitor, request)
        seen = self._now(workspace)
        question = seen.question.looked_at(at if isinstance(at, int) else 0)
        kept = {name: seen.frames[name] for name in ("lens", "mask") if name in seen.frames}
        self._seen[workspace] = Seen(seen.stamp, question, kept)
        yield from self.look_at(workspace, self._choice(shown, which, form))

    @handler(FREE)
    def inside_draw(self, visitor: Any, shown: Any, which: Any, form: Any, request: gr.Request) -> Updates:
        """Draw what is known otherwise. Inputs as `inside_open`. Updates: the heat maps and the contributions."""
        workspace = self.workspace(visitor, request)
        seen, choice = self._now(workspace), self._choice(shown, which, form)
        for name in ("lens", "contributions", "attention"):
            if name in seen.frames:
                yield self._drawn(workspace, seen, name, choice)

    @handler(Cost(prompts=60))
    def inside_many(self, visitor: Any, count: Any, which: Any, request: gr.Request) -> Updates:
        """Make many edits and look at all of them. Inputs: inside-count, inside-which. Updates: their pictures."""
        workspace = self.workspace(visitor, request)
        count = read_count(count)
        self.lab.limits.spend(Cost(edits=count))
        job = self.inside.loudness(workspace, count)
        yield {name: value for section in LOUD for name, value in cleared(section, COMING).items()}
        yield {"stop": gr.update(interactive=True)}
        which = which if which in WHICH else "new"
        yield from self.follow(workspace, job, lambda found: drawn_many(found, which))
        try:
            yield drawn_many(job.result(), which)
        except Cancelled:
            if job.partial:
                yield drawn_many(job.partial, which)
            raise
        yield {"progress": "", **self.buttons(workspace)}

    @handler(FREE)
    def inside_stop(self, visitor: Any, request: gr.Request) -> Updates:
        """Stop what runs for this visitor. Updates: message; the stopped handler says the rest."""
        yield self.stopping(self.workspace(visitor, request).stop(self.by(request)))

    # --- parts ------------------------------------------------------------------------------------------------------

    def _looked(self, workspace: Workspace, choice: Choice) -> Updates:
        try:
            self.inside.edit(workspace)
        except BadRequest:
            yield {name: value for section in SECTIONS for name, value in cleared(section).items()}
            raise
        yield from self.in_turn(workspace, lambda turn: self._all(turn, workspace, choice))

    def _all(self, turn: Any, workspace: Workspace, choice: Choice) -> Updates:
        record, seen = self.inside.edit(workspace), self._now(workspace)
        question = seen.question
        name = f"{record.request.subject} → {record.request.target_new}, layer {', '.join(map(str, record.layers))}."
        yield {"message": render.message(name), **self._choices(workspace, question, choice)}
        asks: dict[str, Callable[[], Job[DataFrame]]] = {
            "lens": lambda: self.inside.lens(workspace, question),
            "contributions": lambda: self.inside.contributions(workspace, question),
            "attention": lambda: self.inside.attention(workspace, question),
            "mask": lambda: self.inside.mask_structure(workspace),
        }
        for name, sections in JOBS.items():
            if name in seen.frames:
                yield self._drawn(workspace, seen, name, choice)
            else:
                yield {part: value for section in sections for part, value in cleared(section, COMING).items()}
        for name in (name for name in JOBS if name not in seen.frames):
            yield {"stop": gr.update(interactive=True)}
            try:
                job = turn.asks(asks[name]())
                yield from self.follow(workspace, job)
                seen.frames[name] = job.result()
            except (BadFile, BadRequest, MissingMask) as reason:
                seen.frames[name] = str(reason)
            yield self._drawn(workspace, seen, name, choice)
            turn.check()
        yield {"progress": "", **self.buttons(workspace)}

    def _drawn(self, workspace: Workspace, seen: Seen, name: str, choice: Choice) -> Update:
        """The pictures of a job with their sentences and tables, or why there are none."""
        found = seen.frames[name]
        if isinstance(found, str):
            return {part: value for section in JOBS[name] for part, value in cleared(section, found).items()}
        choice = self._possible(workspace, seen.question, choice)
        layers = self.inside.edit(workspace).layers
        updates = [drawn(section, seen.question, layers, found, choice) for section in JOBS[name]]
        return {part: value for update in updates for part, value in update.items()}

    def _choices(self, workspace: Workspace, question: Question, choice: Choice) -> Update:
        """What can be chosen now, and what is."""
        names = list(self.inside.views(workspace))
        places = [(f"{len(question.tokens) - back + 1}: {question.tokens[-back]}", back) for back in _backs(question)]
        shown = [(figures.view_name(name).capitalize(), name) for name in (*_differences(names), *names)]
        which = [(WHICH[name], name) for name in _objects(question)]
        possible = self._possible(workspace, question, choice)
        return {
            "inside-text": question.text,
            "inside-token": gr.update(choices=places, value=question.at),
            "inside-shown": gr.update(choices=shown, value=possible.shown),
            "inside-which": gr.update(choices=which, value=possible.which),
        }

    def _possible(self, workspace: Workspace, question: Question, choice: Choice) -> Choice:
        """A choice with what is not there any more replaced by what is there always."""
        names = list(self.inside.views(workspace))
        shown = choice.shown if choice.shown in (*names, *_differences(names)) else CHOSEN
        return Choice(shown, choice.which if choice.which in _objects(question) else "new", choice.form)

    def _choice(self, shown: Any, which: Any, form: Any) -> Choice:
        return Choice(str(shown), which if which in WHICH else "new", form if form in FORMS else "added")

    def _now(self, workspace: Workspace) -> Seen:
        """What was found for the edits, the threshold and the views as they are now; the edit's own question at first."""
        stamp, seen = self._stamp(workspace), self._seen.get(workspace)
        if seen is None or seen.stamp != stamp:
            seen = self._seen[workspace] = Seen(stamp, self.inside.question(workspace))
        return seen

    def _stamp(self, workspace: Workspace) -> tuple[Any, ...]:
        views = self.inside.views(workspace)
        return workspace.records, workspace.threshold, workspace.request, views


def read_count(count: Any) -> int:
    """How many edits shall be made. Raises `BadRequest`."""
    if isinstance(count, bool) or not isinstance(count, int | float) or not FEWEST <= count <= MOST:
        raise BadRequest(f"Choose how many edits: a number from {FEWEST} to {MOST}.")
    return int(count)


def drawn(section: str, question: Question, layers: Sequence[int], frame: DataFrame, choice: Choice) -> Update:
    """A section with its sentence, its figure and its table; `layers` are the edit's."""
    return {
        f"inside-{section}": _finding(sentence(section, question, layers, frame)),
        f"inside-{section}-plot": figure(section, question, frame, choice),
        f"inside-{section}-table": table(section, question, frame, choice),
    }


def sentence(section: str, question: Question, layers: Sequence[int], frame: DataFrame) -> str:
    """What a section's numbers say."""
    request = question.request
    if section in ("lens", "tokens", "contributions") and question.new == question.true:
        return words.same_token(request)
    return {
        "lens": lambda: words.lens(request, frame, question.at),
        "tokens": lambda: words.tokens(request, frame),
        "contributions": lambda: words.contributions(request, frame, layers),
        "attention": lambda: words.attention(request, frame, question.token),
        "mask": lambda: words.mask_structure(frame, concentration(frame)),
    }[section]()


def figure(section: str, question: Question, frame: DataFrame, choice: Choice) -> Any:
    """A section's picture."""
    return {
        "lens": lambda: figures.lens_lines(frame, question.at, words.objects(question.request)),
        "tokens": lambda: figures.lens_heat(frame, choice.shown, choice.which),
        "contributions": lambda: figures.contributions(frame, choice.which, choice.form),
        "attention": lambda: figures.attention(frame, choice.shown),
        "mask": lambda: figures.mask_structure(frame),
    }[section]()


def table(section: str, question: Question, frame: DataFrame, choice: Choice) -> str:
    """A section's numbers."""
    first = figures.DIFFERENCES.get(choice.shown, (choice.shown,))[0]
    return {
        "lens": lambda: inside_table.lens(question.request, frame, question.at),
        "tokens": lambda: inside_table.tokens(question.request, frame, first),
        "contributions": lambda: inside_table.contributions(question.request, frame, choice.form == "raw"),
        "attention": lambda: inside_table.attention(frame),
        "mask": lambda: inside_table.mask(frame),
    }[section]()


def drawn_many(found: Sequence[Loudness], which: str) -> Update:
    """The pictures of many edits."""
    compared, parts = loud(found), summary(found)
    update: Update = {"inside-loudness": _finding(words.loudness(compared))}
    update |= {"inside-parts": _finding(words.loud_parts(parts))}
    update |= {"inside-loudness-table": inside_table.cases(found), "inside-parts-table": inside_table.parts(parts)}
    if not compared.empty:
        update["inside-loudness-plot"] = figures.loudness(_by_case(found))
        update["inside-parts-plot"] = figures.contributions(parts, which)
    return update


def _by_case(found: Sequence[Loudness]) -> DataFrame:
    rows = {"case": [], "P(true) before the edit": [], "P(new) after it": []}
    good = [row for row in found if row.skipped is None]
    rows["case"] = [f"{row.subject}: {row.target_true} → {row.target_new}" for row in good]
    rows["P(true) before the edit"] = [row.p_true["base"] for row in good]
    rows["P(new) after it"] = [row.p_new["edited"] for row in good]
    if all("masked" in row.p_new for row in good):
        rows["P(true) under the mask"] = [row.p_true["masked"] for row in good]
        rows["P(new) under the mask"] = [row.p_new["masked"] for row in good]
    return DataFrame(rows)


def cleared(section: str, hint: str = "") -> Update:
    """A section with nothing in it but a hint: no picture of another edit stays."""
    said = render.message(hint, "hint") if hint else ""
    return {f"inside-{section}": said, f"inside-{section}-plot": None, f"inside-{section}-table": ""}


def _finding(text: str) -> str:
    """A sentence in which no number is parted from its sign."""
    return render.message(re.sub(r"(?<=[\d<±]) (?=[%±\d])", "\N{NO-BREAK SPACE}", text), "finding")


def _backs(question: Question) -> range:
    """The question's tokens in reading order, counted from the end."""
    return range(len(question.tokens), 0, -1)


def _objects(question: Question) -> list[str]:
    return ["new"] if question.true is None else list(WHICH)


def _differences(names: Sequence[str]) -> list[str]:
    return [name for name, pair in figures.DIFFERENCES.items() if set(pair) <= set(names)]
