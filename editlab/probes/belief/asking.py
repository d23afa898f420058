"""Asks questions about belief under views: all their scripts at once, step by step, in the same forwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from editlab.answers import ViewName
from editlab.errors import BadRequest
from editlab.model.completion import Prompt, complete
from editlab.model.tokens import in_chunks
from editlab.patches import View
from editlab.probes.belief.around import Around
from editlab.probes.belief.kind import Finding, Kind, Question, Said, Script, Weigh, Write
from editlab.work import Cancel, never, stop_if

if TYPE_CHECKING:
    from editlab.model import LanguageModel

BASE = ViewName.BASE
Key = tuple[int, str]
"""The number of a question and the name of a view."""


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

    Columns: `kind` (its name), `text`, `expected`, `known` (whether the view "base", the unedited model, gives the old answer:
    a model that cannot answer such a question tells nothing by it), and for each view NAME the fields of its `Finding`:
    "NAME.verdict", "NAME.forced", "NAME.generated", "NAME.said", "NAME.detail". Raises `BadRequest` where no view is called
    "base", `TooLong` where the context does not hold a text, `Cancelled` between steps.
    """
    if BASE not in views:
        raise BadRequest("There is nothing to compare with: give the unedited model as the view 'base'.")
    found = _run(model, asked, views, cancel)
    rows: list[dict[str, Any]] = []
    for number, own in enumerate(asked):
        row: dict[str, Any] = {"kind": own.kind.name, "text": own.question.text, "expected": own.question.expected}
        row["known"] = not own.question.controlled or found[number, BASE].verdict == "old"
        for name in views:
            row |= {f"{name}.{field}": value for field, value in asdict(found[number, name]).items()}
        rows.append(row)
    return pd.DataFrame(rows)


def _run(model: LanguageModel, asked: Sequence[Asked], views: Mapping[str, View], cancel: Cancel) -> dict[Key, Finding]:
    """Return the finding of each question under each view."""
    scripts: dict[Key, Script] = {(n, name): own.question.script() for n, own in enumerate(asked) for name in views}
    waiting = {key: next(script) for key, script in scripts.items()}
    found: dict[Key, Finding] = {}
    while waiting:
        stop_if(cancel, "Stopped before all questions were asked.")
        flat = [(key, ask) for key, step in waiting.items() for ask in step]
        said = iter(_said(model, [(ask, views[key[1]]) for key, ask in flat], cancel))
        answers = {key: [next(said) for _ in step] for key, step in waiting.items()}
        waiting = {}
        for key, given in answers.items():
            try:
                waiting[key] = scripts[key].send(given)
            except StopIteration as end:
                found[key] = end.value
    return found


def _said(model: LanguageModel, asks: Sequence[tuple[Write | Weigh, View]], cancel: Cancel) -> list[Said]:
    """Return what the model says to each ask under its view."""
    put = [(ask, view if ask.form is None else view.in_form(ask.form)) for ask, view in asks]
    found: dict[int, Said] = {}
    weighed = [(n, ask, view) for n, (ask, view) in enumerate(put) if isinstance(ask, Weigh)]
    rows = [(ask.text, option, view) for _, ask, view in weighed for option in ask.options]
    if rows:
        scores = iter(model.score([text for text, _, _ in rows], [o for _, o, _ in rows], [view for _, _, view in rows]))
        found |= {n: [next(scores) for _ in ask.options] for n, ask, _ in weighed}
    written = [(n, ask, view) for n, (ask, view) in enumerate(put) if isinstance(ask, Write)]
    found |= dict(_written(model, written, cancel))
    return [found[n] for n in range(len(put))]


def _written(model: LanguageModel, asks: Sequence[tuple[int, Write, View]], cancel: Cancel) -> Iterator[tuple[int, str]]:
    """Yield what the model writes to each ask; those of one length together, since a batch takes as long as its longest."""
    for tokens in sorted({ask.tokens for _, ask, _ in asks}):
        own = [(n, Prompt(ask.text, tokens, stop=ask.stop), view) for n, ask, view in asks if ask.tokens == tokens]
        sizes = [len(model.tok.encode(view.asks(prompt.text))) + tokens for _, prompt, view in own]
        for chunk in in_chunks(sizes, model.tokens_per_forward):
            rows = [own[place] for place in chunk]
            said = [""] * len(rows)
            for so_far in complete(model, [prompt for _, prompt, _ in rows], [view for _, _, view in rows]):
                stop_if(cancel, "Stopped before all questions were asked.")
                said = [one.text for one in so_far]
            yield from zip((n for n, _, _ in rows), said, strict=True)
