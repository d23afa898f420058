"""Asks probes under views and judges the answers.

Each prompt is read once under each view; what the model would write behind it, greedily, and how likely the objects are
there are both told from that. A hit says that every token of the expected object is the arg max, teacher-forced; "same" is
the share of those tokens whose arg max is the base model's (the papers' locality). The generated answer stands beside them,
since a score alone can hide that a model says something else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from editlab.answers import ViewName
from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.facts.script import bare
from editlab.model.reading import read
from editlab.model.scoring import Score
from editlab.model.tokens import in_chunks
from editlab.patches import View
from editlab.probes.battery import Probe
from editlab.probes.matching import says
from editlab.probes.writing import room_for, write

if TYPE_CHECKING:
    from editlab.model import LanguageModel

BASE = ViewName.BASE
KEPT = ("locality", "same_subject")
"""Kinds at which an edit should change nothing: they are judged by agreement with the base model."""

Answers = list[dict[str, str]]
Scores = dict[tuple[int, str, str], Score]


def ask(
    model: LanguageModel,
    request: EditRequest,
    probes: Sequence[Probe],
    views: Mapping[str, View],
    answers: bool = True,
) -> pd.DataFrame:
    """Ask the model each probe under each view; return one row a probe.

    Columns: the fields of a probe (`expected`: where a probe has none, the base model's own answer); `rivals` (the other
    objects at hand, and the subjects); `clean` (see `scores`); and for each view NAME: "NAME.answer" (text; left out without
    `answers`), "NAME.p_new" and "NAME.p_true" (of the request's whole objects, 0 to 1; NaN where there is no true one),
    "NAME.hit" (True, False; None where nothing is expected), "NAME.same" (0 to 1; NaN likewise) and "NAME.written" (whether
    the answer is the expected one, as `written` tells; None likewise, left out without `answers`). Raises `BadRequest` where
    no view is called "base".
    """
    if BASE not in views:
        raise BadRequest("There is nothing to compare with: give the unedited model as the view 'base'.")
    if answers:
        said, scored = _read_once(model, request, probes, views)
        expected = _expected(probes, said)
    else:
        said = _own_answers(model, request, probes, views[BASE])
        expected = _expected(probes, said)
        scored = _scored(model, request, probes, expected, views)
    rows = []
    for number, probe in enumerate(probes):
        row: dict[str, Any] = {**vars(probe), "expected": expected[number]}
        others = (*_targets(request, probe, None), request.subject, probe.subject)
        row["rivals"] = tuple(own for own in others if own not in (expected[number], *probe.aliases))
        row["clean"] = _clean(number, probe, request, scored)
        for name in views:
            if answers:
                row[f"{name}.answer"] = said[number][name]
            cells = _cells(number, name, expected[number], probe.aliases, request, scored)
            row |= {f"{name}.{key}": value for key, value in cells.items()}
        if answers:
            row |= {f"{name}.written": written(probe.kind, row, name) for name in views}
        rows.append(row)
    return pd.DataFrame(rows)


def written(kind: str, row: Mapping[str, Any], view: str) -> bool | None:
    """Return whether what a view writes is what a row expects, by exact match with aliases after normalising.

    Where an edit should change nothing, that is whether it writes what the base model does. None where nothing is expected.
    """
    if pd.isna(row["expected"]):
        return None
    if kind in KEPT:
        return judge(kind, row, view) == "kept"
    return _says(row, row[f"{view}.answer"])


def scores(frame: pd.DataFrame, view: str, clean: bool = False, generated: bool = False) -> dict[str, float]:
    """Return rates from 0 to 1 under a view, over all rows of one or many cases; no key where nothing was asked.

    Keys: the kinds, with "_in" or "_out" behind them where a kind has domains. Locality and same_subject are agreement
    with the base model, a prompt's tokens averaged first; all others are hits. `clean` keeps the probes at which the base
    model was right, and of the rephrases those that do not contain the true object. `generated`: whether what is
    written is right, instead of the tokens teacher-forced.
    """
    return {name: total / count for name, (total, count) in tallies(frame, view, clean, generated).items()}


def tallies(frame: pd.DataFrame, view: str, clean: bool = False, generated: bool = False) -> dict[str, tuple[float, int]]:
    """Return what `scores` divides: for each of its keys the sum over prompts, and how many there are."""
    rows = frame[frame["clean"]] if clean else frame
    found: dict[str, tuple[float, int]] = {}
    for (kind, domain), group in rows.groupby(["kind", "domain"], sort=False):
        if kind in KEPT:
            values = group[f"{view}.written" if generated else f"{view}.same"].dropna()
        else:
            values = _hits(group, f"{view}.written" if generated else f"{view}.hit")
        if len(values):
            found[f"{kind}_{domain}" if domain else kind] = float(values.astype(float).sum()), len(values)
    return found


def _hits(group: pd.DataFrame, column: str) -> pd.Series:
    """Return a column of a group's rows as numbers, and of those with one `any_of` the best alone."""
    rows = group.dropna(subset=column).reset_index(drop=True)
    hits = rows[column].astype(float)
    if "any_of" not in rows:
        return hits
    alone = pd.Series(rows.index, rows.index).map("row {}".format)
    return hits.groupby(rows["any_of"].fillna("").replace("", None).fillna(alone), sort=False).max()


def judge(kind: str, row: Mapping[str, Any], view: str) -> str:
    """Return the verdict on one row of `ask` under a view, in a plain word, as somebody who reads the answers would.

    An answer that begins with the expected object, or says it in a few words more ("the country of Japan"), holds, whatever
    its first token is. What should stay has stayed where the answer is the base model's, not where its tokens would be. An
    answer that the base model gives already ("already so") tells nothing about the edit.
    """
    expected = row["expected"]
    if pd.isna(expected):
        return "not known"
    now, before = row.get(f"{view}.answer"), row.get(f"{BASE}.answer")
    if kind in KEPT:
        if now is None or before is None:
            return "kept" if row[f"{view}.same"] == 1 else "harmed"
        alike = now.casefold() == before.casefold() or (_says(row, now) and _says(row, before))
        return "kept" if alike else "harmed"
    follows = bool(row[f"{view}.hit"]) or _says(row, now)
    if kind == "propagation":
        return "follows" if follows else "does not follow"
    if not follows:
        return "missed"
    return "already so" if view != BASE and (bool(row.get(f"{BASE}.hit")) or _says(row, before)) else "changed"


def _says(row: Mapping[str, Any], answer: str | None) -> bool:
    """Return whether an answer says what a row expects, which within another name at hand it does not."""
    return says(answer, (row["expected"], *row.get("aliases", ())), row.get("rivals", ()))


def tone(verdict: str) -> Literal["good", "bad", "open"]:
    """Return whether a verdict of `judge` speaks for an edit, against it, or neither."""
    if verdict in ("not known", "already so"):
        return "open"
    return "good" if verdict in ("changed", "kept", "follows") else "bad"


def _read_once(
    model: LanguageModel, request: EditRequest, probes: Sequence[Probe], views: Mapping[str, View]
) -> tuple[Answers, Scores]:
    """Return what the model writes at each probe under each view, and all scores, from one reading of each."""
    said: Answers = [{} for _ in probes]
    scored: Scores = {}
    objects = _objects(request, probes)
    room = room_for(model, objects)
    longest = [max(len(model.tok.encode(view.asks(probe.text))) for view in views.values()) for probe in probes]
    for chunk in in_chunks(longest, model.tokens_per_forward // len(views), room):
        rows = [(n, name) for n in chunk for name in views]
        reading = read(model, [probes[n].text for n, _ in rows], [views[name] for _, name in rows], room)
        for (n, name), text in zip(rows, write(reading, room, objects), strict=True):
            said[n][name] = text
        expected = _expected(probes, said)
        asked = [(row, o) for row, (n, _) in enumerate(rows) for o in _targets(request, probes[n], expected[n])]
        for (row, target), score in zip(asked, reading.score(asked), strict=True):
            scored[(*rows[row], target)] = score
    return said, scored


def _own_answers(model: LanguageModel, request: EditRequest, probes: Sequence[Probe], base: View) -> Answers:
    """Return what the base model writes at those probes that expect just that."""
    objects = _objects(request, probes)
    room = room_for(model, objects)
    questions = [(tuple(model.tok.encode(base.asks(probe.text))), room, frozenset(objects)) for probe in probes]
    known = {} if base.laid else model.remembered
    own = [n for n, probe in enumerate(probes) if probe.expected is None]
    said: Answers = [{} for _ in probes]
    for n in own:
        if questions[n] in known:
            said[n][BASE] = known[questions[n]]
    asked = [n for n in own if not said[n]]
    sizes = [len(model.tok.encode(base.asks(probes[n].text))) for n in asked]
    for chunk in in_chunks(sizes, model.tokens_per_forward, room):
        chosen = [asked[place] for place in chunk]
        reading = read(model, [probes[n].text for n in chosen], [base] * len(chosen), room)
        for n, text in zip(chosen, write(reading, room, objects), strict=True):
            said[n][BASE] = text
            if not base.laid:
                model.remembered.keep(questions[n], text)
    return said


def _expected(probes: Sequence[Probe], said: Answers) -> list[str | None]:
    """Return what each probe expects: its object, or what the base model says."""
    return [probe.expected or own.get(BASE) or None for probe, own in zip(probes, said, strict=True)]


def _targets(request: EditRequest, probe: Probe, expected: str | None) -> list[str]:
    """Return the objects whose probability is asked at a probe, each once."""
    found = dict.fromkeys((expected, *probe.aliases, request.target_new, request.target_true, probe.before))
    return [target for target in found if target is not None]


def _objects(request: EditRequest, probes: Sequence[Probe]) -> set[str]:
    own = (request.target_new, request.target_true)
    return {bare(o) for p in probes for o in (p.expected, *p.aliases, p.before, *own) if o}


def _scored(
    model: LanguageModel,
    request: EditRequest,
    probes: Sequence[Probe],
    expected: Sequence[str | None],
    views: Mapping[str, View],
) -> Scores:
    """Return scores by (number of the probe, view, object)."""
    asked = [
        (number, name, target)
        for number, probe in enumerate(probes)
        for name in views
        for target in _targets(request, probe, expected[number])
    ]
    found = model.score(
        [probes[number].text for number, _, _ in asked],
        [target for _, _, target in asked],
        [views[name] for _, name, _ in asked],
    )
    return dict(zip(asked, found, strict=True))


def _cells(
    number: int, name: str, expected: str | None, aliases: Sequence[str], request: EditRequest, scored: Scores
) -> dict[str, Any]:
    true = scored.get((number, name, request.target_true or ""))
    cells: dict[str, Any] = {
        "p_new": scored[number, name, request.target_new].p,
        "p_true": true.p if true else float("nan"),
        "hit": None,
        "same": float("nan"),
    }
    if expected is not None:
        own, base = scored[number, name, expected], scored[number, BASE, expected]
        equal = [a == b for a, b in zip(own.said, base.said, strict=True)]
        hit = own.hit or any(scored[number, name, alias].hit for alias in aliases)
        cells |= {"hit": hit, "same": sum(equal) / len(equal)}
    return cells


def _clean(number: int, probe: Probe, request: EditRequest, scored: Scores) -> bool:
    """Return whether the base model is right here and, for another name, whether that name means this subject alone."""
    if probe.kind in KEPT and probe.expected is None:
        return True
    true = request.target_true
    right = probe.expected if probe.kind in KEPT else probe.before if probe.kind == "propagation" else true
    tells = probe.kind == "rephrase" and true is not None and true.casefold() in probe.subject.casefold()
    return right is not None and not tells and scored[number, BASE, right].hit
