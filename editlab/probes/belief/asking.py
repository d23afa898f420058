"""Asks questions about belief under views: all their scripts at once, step by step, in the same forwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from editlab.answers import ViewName
from editlab.errors import BadRequest
from editlab.model.generation import readable
from editlab.model.reading import read
from editlab.model.sampling import Sampling
from editlab.model.tokens import in_chunks
from editlab.patches import View
from editlab.probes.belief.around import Around
from editlab.probes.belief.asks import Ask, Said
from editlab.probes.belief.kind import Finding, Kind, Question
from editlab.wording import noop
from editlab.work import Cancel, never, stop_if

if TYPE_CHECKING:
    from editlab.model import LanguageModel

BASE = ViewName.BASE
STOPPED = "Stopped before all questions were asked."
FIELDS = tuple(field.name for field in fields(Finding))
UNFOUNDED = noop("the unedited model does not know the second step")


@dataclass(frozen=True)
class Asked:
    """A question of a kind."""

    kind: Kind
    question: Question


def questions(kinds: Sequence[Kind], around: Around) -> tuple[Asked, ...]:
    """Return all questions of a case, kind after kind."""
    return tuple(Asked(kind, question) for kind in kinds for question in kind.questions(around))


def ask(model: LanguageModel, asked: Sequence[Asked], views: Mapping[str, View], cancel: Cancel = never) -> pd.DataFrame:
    """Ask each question under each view; return one row a question.

    Columns: `kind` (its name), `text`, `expected`, `known` (whether the view "base", the unedited model, gives the old
    answer: one that cannot answer such a question tells nothing by it), and for each view NAME the fields of its `Finding`:
    "NAME.verdict", "NAME.forced", "NAME.generated", "NAME.said", "NAME.detail". Raises `BadRequest` where no view is called
    "base", `TooLong` where the context does not hold a text, `Cancelled` between steps.
    """
    (frame,) = ask_together(model, [(asked, views)], cancel)
    return frame


def ask_together(
    model: LanguageModel, cases: Sequence[tuple[Sequence[Asked], Mapping[str, View]]], cancel: Cancel = never
) -> list[pd.DataFrame]:
    """Return `ask` of several cases, each with questions and views of its own, all of them rows of the same forwards."""
    if not all(BASE in views for _, views in cases):
        raise BadRequest("There is nothing to compare with: give the unedited model as the view 'base'.")
    premises = [(own.question.premise, views[BASE]) for asked, views in cases for own in asked if own.question.premise]
    holds = iter([said.scores[0].hit for said in _said(model, premises, cancel)])
    pairs = [(own.question, view) for asked, views in cases for own in asked for view in views.values()]
    found = iter(_played(model, pairs, cancel))
    frames = []
    for asked, views in cases:
        rows: list[dict[str, Any]] = []
        for own in asked:
            findings = {name: next(found) for name in views}
            if own.question.premise is not None and not next(holds):
                nothing = {"forced": None, "generated": None, "detail": UNFOUNDED}
                findings = {name: replace(one, **nothing) for name, one in findings.items()}
            row: dict[str, Any] = {"kind": own.kind.name, "text": own.question.text, "expected": own.question.expected}
            row["known"] = not own.question.controlled or findings[BASE].verdict == "old"
            for name, finding in findings.items():
                row |= {f"{name}.{field}": value for field, value in asdict(finding).items()}
            rows.append(row)
        columns = ["kind", "text", "expected", "known", *(f"{name}.{field}" for name in views for field in FIELDS)]
        frames.append(pd.DataFrame(rows, columns=columns))
    return frames


def _played(model: LanguageModel, pairs: Sequence[tuple[Question, View]], cancel: Cancel) -> list[Finding]:
    """Return the finding of each question under its view: all scripts take their next step together."""
    scripts = [question.script() for question, _ in pairs]
    waiting = {number: next(script) for number, script in enumerate(scripts)}
    found: dict[int, Finding] = {}
    while waiting:
        flat = [(ask, pairs[number][1]) for number, step in waiting.items() for ask in step]
        said = iter(_said(model, flat, cancel))
        answers = {number: [next(said) for _ in step] for number, step in waiting.items()}
        waiting = {}
        for number, given in answers.items():
            try:
                waiting[number] = scripts[number].send(given)
            except StopIteration as end:
                found[number] = end.value
    return [found[number] for number in range(len(pairs))]


def _said(model: LanguageModel, asks: Sequence[tuple[Ask, View]], cancel: Cancel) -> list[Said]:
    """Return what the model says to each ask under its view.

    What reads alike under views that change no layer is read once. Asks of one length are answered together, since a batch
    takes as long as its longest row.
    """
    put = [(ask, view if ask.form is None else view.in_form(ask.form)) for ask, view in asks]
    keys = [(replace(ask, text=view.asks(ask.text), form=None), view.digest if view.laid else "") for ask, view in put]
    rows = dict(zip(keys, put, strict=True))
    found: dict[tuple[Ask, str], Said] = {}
    for tokens in sorted({ask.tokens for ask, _ in rows}):
        own = [key for key in rows if key[0].tokens == tokens]
        sizes = [len(model.tok.encode(ask.text)) + tokens for ask, _ in own]
        for chunk in in_chunks(sizes, model.tokens_per_forward, max(1, tokens)):
            some = [own[place] for place in chunk]
            found |= zip(some, _read(model, [rows[key] for key in some], tokens, cancel), strict=True)
    return [found[key] for key in keys]


def _read(model: LanguageModel, asks: Sequence[tuple[Ask, View]], tokens: int, cancel: Cancel) -> Iterator[Said]:
    """Yield what is said to the asks of one batch, from one reading of each."""
    stop_if(cancel, STOPPED)
    reading = read(model, [ask.text for ask, _ in asks], [view for _, view in asks], tokens)
    weighed = iter(reading.score([(row, option) for row, (ask, _) in enumerate(asks) for option in ask.options]))
    scores = [[next(weighed) for _ in ask.options] for ask, _ in asks]
    written = [""] * len(asks)
    for ids in reading.write(tokens, Sampling(), cancel):
        written = [readable(model, row).strip() for row in ids]
        if all("\n" in text and not ask.whole for text, (ask, _) in zip(written, asks, strict=True)):
            break
    stop_if(cancel, STOPPED)
    for text, own, (ask, _) in zip(written, scores, asks, strict=True):
        yield Said(text if ask.whole else text.partition("\n")[0].strip(), own)
