"""Does the model believe it? Edits, the fact told in the prompt and the fact retrieved, under the same questions.

Each case is edited alone, or with those of its group; all methods and the unedited model are asked together. One row a case
and method, with every answer, under a key of all that shaped it: a run that keeps its rows can be resumed and read again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from editlab import methods
from editlab.answers import ViewName
from editlab.bench.bootstrap import mean_difference, mean_rate, rate_interval
from editlab.bench.editing import CASE_FAULTS, Edit, Pack, Rep, Setup, edits_of, grouped
from editlab.bench.refining import refined, view_of
from editlab.facts import EditCase
from editlab.facts.script import bare
from editlab.methods.rep import OFF
from editlab.model import statistics
from editlab.patches import BARE, BASE, Form, View
from editlab.probes import Ground
from editlab.probes.belief import KINDS, WAYS, Around, Asked, ask_together, questions, tally
from editlab.probes.matching import RULES
from editlab.work import Progress, no_progress

if TYPE_CHECKING:
    from editlab.model import LanguageModel

PLUS = "+"
"""Between a method and a recipe of REP."""
UNEDITED = ViewName.BASE.value
"""What the unedited model's rows have for a method."""
CASES_AT_ONCE = 8
UNASKED = "No question of these kinds can be asked about this fact."
FEWEST = 5
"""Cases below which nobody is said to win."""
TELLING = "tell"
"""The group of methods that put the fact into the prompt."""
Tables = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""For each way, hits and items `[kinds, cases]`."""


@dataclass(frozen=True)
class BeliefRow:
    """One case under one method: all its findings, or why there are none. `seconds`: how long the edit took.

    A finding has `kind, text, expected, known, verdict, forced, generated, said, detail`, as `probes.belief.ask` has them.
    """

    key: str
    case: str
    method: str
    new: str
    old: str | None
    layers: tuple[int, ...] = ()
    seconds: float = 0.0
    findings: tuple[Mapping[str, Any], ...] = ()
    skipped: str | None = None

    def as_json(self) -> str:
        """Return one line of a file of rows."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> BeliefRow:
        """Return the row of such a line. Raises `ValueError` or `TypeError` where it is none."""
        values = json.loads(line)
        return cls(**{**values, "layers": tuple(values["layers"]), "findings": tuple(values["findings"])})

    def counts(self, clean: bool = False) -> dict[str, dict[str, tuple[int, int]]]:
        """Return the counts of each kind and way; `clean`: of the questions alone that the unedited model can answer."""
        return tally(self.findings, clean=clean)


def _name(setup: Setup, rep: Rep) -> str:
    return setup.method if rep.recipe == OFF else f"{setup.method}{PLUS}{rep.recipe}"


@dataclass(frozen=True)
class Plan:
    """What is asked of whom: the setups whose edits are compared, the kinds of questions, and the form of plain prompts.

    An edit is asked as it is and with the robust edit pathway of each other recipe of `Setup.reps`: "rome", "rome+default".
    """

    setups: tuple[Setup, ...]
    kinds: tuple[str, ...] = tuple(KINDS)
    form: Form = BARE

    @property
    def named(self) -> dict[str, tuple[Setup, Rep]]:
        """Each name in the table with the setup and the recipe that it stands for."""
        return {_name(setup, rep): (setup, rep) for setup in self.setups for rep in setup.reps}

    @property
    def names(self) -> tuple[str, ...]:
        """All that is compared in the order of the table, the unedited model first."""
        return (UNEDITED, *self.named)


@dataclass(frozen=True)
class _Case:
    """A case with its questions, the rows that are missing of it, filled as far as is known, and the views to ask."""

    asked: Sequence[Asked]
    rows: Mapping[str, BeliefRow]
    views: Mapping[str, View]


def measure(
    cases: Sequence[EditCase], plan: Plan, ground: Ground, done: Collection[str] = (), progress: Progress = no_progress
) -> Iterator[BeliefRow]:
    """Yield a row for each case and method whose key is not in `done`, the unedited model's first.

    Several cases are asked in the same forwards: what writes one token at a time is as fast for many rows as for one.
    """
    waiting: list[_Case] = []
    for number, pack in enumerate(packs := grouped(cases)):
        progress(number / len(packs), f"belief: case {pack[0].id}")
        waiting += _edited(pack, plan, ground, done)
        if len(waiting) >= CASES_AT_ONCE or number == len(packs) - 1:
            yield from _measured(ground.model, waiting)
            waiting = []


def keys(cases: Sequence[EditCase], plan: Plan, ground: Ground) -> list[dict[str, str]]:
    """Return the keys of the rows that `measure` gives with the same arguments: for each case one a method."""
    return [
        {name: row.key for name, row in _blank(case, _asked(case, plan, ground), pack, plan, ground).items()}
        for pack in grouped(cases)
        for case in pack
    ]


def _asked(case: EditCase, plan: Plan, ground: Ground) -> tuple[Asked, ...]:
    return questions([KINDS[name] for name in plan.kinds], Around.of(ground, case))


def _edited(pack: Pack, plan: Plan, ground: Ground, done: Collection[str]) -> Iterator[_Case]:
    """Yield the cases of a pack of which rows are missing, edited by those methods whose rows they are."""
    made = [_asked(case, plan, ground) for case in pack]
    blank = [_blank(case, asked, pack, plan, ground) for case, asked in zip(pack, made, strict=True)]
    missing = [{name: row for name, row in rows.items() if row.key not in done} for rows in blank]
    named = {name: way for name, way in plan.named.items() if any(name in rows for rows in missing)}
    edits: dict[str, list[Edit | str]] = {}
    for setup, _ in named.values():
        if setup.method not in edits:
            (edits[setup.method],) = edits_of(ground.model, setup, setup.config(ground.model), [pack])
    led = {
        name: refined(ground, pack, edits[setup.method], rep, ground.model.form(setup.config(ground.model).form))
        for name, (setup, rep) in named.items()
    }
    laid = {name: view_of(edits[setup.method], led[name], rep) for name, (setup, rep) in named.items()}
    for place, asked in enumerate(made):
        rows, views = {}, {UNEDITED: BASE.in_form(plan.form)}
        for name, row in missing[place].items():
            own = edits[named[name][0].method][place] if name in named else None
            if isinstance(own, str):
                rows[name] = replace(row, skipped=own)
            else:
                views[name] = laid.get(name, BASE).in_form(plan.form)
                seconds = own.seconds + led[name][place].seconds if own else 0.0
                rows[name] = replace(row, seconds=seconds)
        if rows:
            yield _Case(asked, rows, views)


def _measured(model: LanguageModel, cases: Sequence[_Case]) -> Iterator[BeliefRow]:
    """Yield the rows of cases, all their views asked at once; where one is at fault, each case and view by itself."""
    try:
        frames = ask_together(model, [(case.asked, case.views) for case in cases]) if cases else []
    except CASE_FAULTS as error:
        apart = cases if len(cases) > 1 else list(_apart(cases[0]))
        if len(apart) > 1:
            for case in apart:
                yield from _measured(model, [case])
        else:
            yield from (replace(row, skipped=row.skipped or str(error)) for row in cases[0].rows.values())
        return
    for case, frame in zip(cases, frames, strict=True):
        for name, row in case.rows.items():
            found = () if row.skipped else _findings(frame, name)
            yield replace(row, findings=found, skipped=row.skipped or (None if found else UNASKED))


def _apart(case: _Case) -> Iterator[_Case]:
    """Yield a case for each of its views beside the unedited model: a text too long for one is no fault of another."""
    for name, row in case.rows.items():
        own = {view: case.views[view] for view in (UNEDITED, name) if view in case.views}
        yield _Case(case.asked, {name: row}, own)


def _findings(frame: pd.DataFrame, view: str) -> tuple[dict[str, Any], ...]:
    """Return the findings of one view as plain values."""
    own = {name: name.removeprefix(f"{view}.") for name in frame if name.startswith(f"{view}.")}
    rows = frame[["kind", "text", "expected", "known", *own]].rename(columns=own).to_dict("records")
    return tuple({name: _plain(value) for name, value in row.items()} for row in rows)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value) if isinstance(value, str) else value


def _blank(case: EditCase, asked: Sequence[Asked], pack: Pack, plan: Plan, ground: Ground) -> dict[str, BeliefRow]:
    """Return an empty row for each method, under a key of all that will shape it."""
    texts = [(own.kind.name, own.question.text, own.question.expected) for own in asked]
    others = [other.request for other in pack] if len(pack) > 1 else []
    request, rows = case.request, {}
    old = None if request.target_true is None else bare(request.target_true)
    named = [ground.facts.names_of(name) for name in (bare(request.target_new), old) if name]
    for name, (setup, rep) in {UNEDITED: (None, Rep()), **plan.named}.items():
        config = None if setup is None else setup.config(ground.model)
        led = "" if rep.recipe == OFF else f"{rep.config!r}{rep.fires_above}{case.rephrases!r}{_lessons_from(ground)}"
        shaped = f"{_shaped_by(ground, setup, config)}{led}{plan.form!r}{request!r}{named!r}{texts!r}{others!r}{RULES}"
        key = hashlib.sha256(shaped.encode()).hexdigest()[:20]
        rows[name] = BeliefRow(key, case.id, name, bare(request.target_new), old, getattr(config, "layers", ()))
    return rows


def _shaped_by(ground: Ground, setup: Setup | None, config: Any) -> str:
    """Return what shapes the rows of all cases: the model, its chat template, the method with its settings, the seed."""
    model, made = ground.model, [repr(ground.model.chat), torch.get_float32_matmul_precision()]
    if setup is not None:
        layers = methods.get(setup.method).layers_measured(config)
        measured = statistics.digests(model, layers)
        made += [setup.method, asdict(config), measured]
    return json.dumps([model.fingerprint, str(model.start), str(model.dtype), ground.seed, *made], sort_keys=True)


def _lessons_from(ground: Ground) -> str:
    """Return what shapes the lessons of every pathway: other subjects, and prose."""
    return hashlib.sha256(repr((sorted(ground.facts.by_subject), ground.passages)).encode()).hexdigest()


# The table


def summary(rows: Sequence[BeliefRow], unread: Sequence[str] = (), seed: int = 0) -> dict[str, Any]:
    """Return one method's line of the table: `kinds` with `forced` and `generated` rates, their mean, and both `clean`.

    `clean`: over the questions alone whose like the unedited model can answer.
    """
    reasons = [*unread, *(f"case {row.case}: {row.skipped}" for row in rows if row.skipped is not None)]
    measured = [row for row in rows if row.skipped is None]
    seconds = [row.seconds for row in measured]
    return {
        "method": rows[0].method,
        "layers": list(rows[0].layers),
        "n": len(measured),
        "skipped": len(reasons),
        "skipped_because": reasons,
        "seconds_per_edit": sum(seconds) / len(seconds) if seconds else None,
        **_rates(tables(measured), seed),
        "clean": _rates(tables(measured, clean=True), seed),
    }


def tables(rows: Sequence[BeliefRow], clean: bool = False) -> Tables:
    """Return hits and items of each way `[kinds, cases]`, all kinds in their order."""
    counts = [row.counts(clean) for row in rows]
    found = {}
    for way in WAYS:
        pairs = np.array([[own.get(kind, {}).get(way, (0, 0)) for own in counts] for kind in KINDS], float)
        pairs = pairs.reshape(len(KINDS), len(rows), 2)
        found[way] = pairs[..., 0], pairs[..., 1]
    return found


def _rates(found: Tables, seed: int) -> dict[str, Any]:
    rates: dict[str, Any] = {"kinds": {kind: {} for kind in KINDS}}
    for way, (hits, items) in found.items():
        for kind, own, asked in zip(KINDS, hits, items, strict=True):
            some = asked.sum() > 0
            rates["kinds"][kind] |= {
                way: own.sum() / asked.sum() if some else None,
                f"{way}_ci": list(rate_interval(own, asked, seed)) if some else None,
                f"{way}_items": int(asked.sum()),
            }
        some = items.sum() > 0
        value, interval = mean_rate(hits, items, seed) if some else (None, None)
        rates |= {way: value, f"{way}_ci": interval and list(interval)}
    return rates


@dataclass(frozen=True)
class Winner:
    """The best method that tells the fact against the best that writes it; `by`: how much more a believer's answers it got.

    `told` and `edited` are their methods, `rates` the mean over kinds of each, 0 to 1, of `cases`; `by` counts for the fact
    told. `of`: among how many methods each was chosen on these very cases, which flatters it.
    """

    told: str
    edited: str
    rates: tuple[float, float]
    by: float
    interval: tuple[float, float]
    way: str
    cases: int
    of: tuple[int, int] = (1, 1)

    @property
    def sentence(self) -> str:
        """Which won and by how much, in a sentence."""
        low, high = (100 * end for end in self.interval)
        names = [
            f"the fact {what} ({name}{f', the best of {count} here' if count > 1 else ''})"
            for what, name, count in zip(("told", "edited"), (self.told, self.edited), self.of, strict=True)
        ]
        first, second = names if self.by >= 0 else names[::-1]
        ours, theirs = self.rates if self.by >= 0 else self.rates[::-1]
        if self.by < 0:
            low, high = -high, -low
        verdict = "wins over" if low > 0 and self.cases >= FEWEST else "does not clearly win over"
        return (
            f"{first[:1].upper()}{first[1:]} {verdict} {second}: {100 * ours:.0f} % against {100 * theirs:.0f} % of a "
            f"believer's answers, {self.way}; {100 * abs(self.by):.0f} points more (95 % interval {low:.0f} to {high:.0f}, "
            f"{self.cases} case{'s' * (self.cases != 1)})."
        )


def winner(rows: Mapping[str, Sequence[BeliefRow]], way: str = "generated", seed: int = 0) -> Winner | None:
    """Return who won over the clean questions; None where nothing is told or nothing edited, or no question tells.

    `rows`: each method's, of the same cases in the same order. All are compared by the questions that tell something of
    every one of them; a method that has less than half as many cases as another is left out.
    """
    counts = {name: sum(row.skipped is None for row in own) for name, own in rows.items() if name != UNEDITED}
    names = [name for name, count in counts.items() if count and 2 * count >= max(counts.values())]
    cases = [_common(own, way) for own in zip(*(rows[name] for name in names), strict=True)]
    cases = [own for own in cases if own[0].findings]
    if not cases:
        return None
    found = {name: tables(own, clean=True)[way] for name, own in zip(names, zip(*cases, strict=True), strict=True)}
    groups = [[name for name in names if _tells(name) == telling] for telling in (True, False)]
    if not all(groups):
        return None
    told, edited = (max(group, key=lambda name: mean_rate(*found[name], seed)[0]) for group in groups)
    by, interval = mean_difference(found[told], found[edited], seed)
    rates = mean_rate(*found[told], seed)[0], mean_rate(*found[edited], seed)[0]
    return Winner(told, edited, rates, by, interval, way, len(cases), (len(groups[0]), len(groups[1])))


def _tells(name: str) -> bool:
    """Return whether what has this name in the table puts the fact into the prompt."""
    return methods.get(name.partition(PLUS)[0]).group == TELLING


def _common(rows: Sequence[BeliefRow], way: str) -> list[BeliefRow]:
    """Return a case's rows with those clean questions alone that tell something of each; with none where one was skipped."""
    columns = zip(*(row.findings for row in rows), strict=True) if not any(row.skipped for row in rows) else ()
    kept = [own for own in columns if own[0]["known"] and all(one[way] is not None for one in own)]
    return [replace(row, findings=tuple(one[place] for one in kept)) for place, row in enumerate(rows)]
