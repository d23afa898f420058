"""The robustness table of REP (Yan et al. 2025, arXiv 2410.09338): does an edit hold where it should, and only there?

Each case is edited alone on the base model, with those of its group (MQuAKE's), or with others in a chain, and asked its
whole battery: as edited, and with the robust edit pathway of each recipe. One row a case and setup, under a key of all that
shaped it, so that a run that keeps its rows can be resumed. Rates are totals over all prompts, as the paper has them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from editlab import methods
from editlab.answers import ViewName
from editlab.bench.bootstrap import rate_interval
from editlab.bench.editing import CASE_FAULTS, Edit, Rep, Setup, edits_of, grouped, in_calls, packs_of
from editlab.bench.refining import Pathways, refined, view_of
from editlab.bench.timing import with_peak
from editlab.facts import EditCase
from editlab.facts.request import SLOT
from editlab.methods.rep import OFF
from editlab.model import statistics
from editlab.patches import BARE, BASE, View
from editlab.probes import Ground, Probe, ask, gates_of, tallies
from editlab.probes.matching import RULES
from editlab.work import Progress, no_progress

if TYPE_CHECKING:
    from editlab.model import LanguageModel

COLUMNS = (
    *("success", "locality", "same_subject", "rephrase_in", "rephrase_out", "shuffle_in", "shuffle_out"),
    *("long_in", "long_out", "paraphrase", "propagation"),
)
PROTOCOLS = {"paper": False, "clean": True}
GATED = ("rephrase", "shuffle", "long")
"""Kinds of probe at which a gate should open."""
PROSE_TOKENS = 4_000
"""Tokens of unseen prose in which false firings are counted, for each case."""

Tally = Mapping[str, tuple[float, int]]


@dataclass(frozen=True)
class CaseRow:
    """One case under one setup: for each protocol and column the sum over its prompts and their number, or why not.

    Under "paper" and "clean" they are teacher-forced, under "generated" written, where that was asked. Under "gates", `open`
    counts the probes at which a gate should open and does, `false` the tokens of unseen prose at which one does. `seconds`
    an edit took, `refining` its pathways, which hold `bytes` a layer; `peak`: the most bytes in use above those before,
    while the first of a run's edits were computed together.
    """

    key: str
    case: str
    method: str
    rep: str
    layers: tuple[int, ...]
    threshold: float | None = None
    chain: int = 1
    seconds: float = 0.0
    refining: float = 0.0
    bytes: int = 0
    peak: int | None = None
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    skipped: str | None = None

    def as_json(self) -> str:
        """Return one line of a file of rows."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> CaseRow:
        """Return the row of such a line. Raises `ValueError` or `TypeError` where it is none."""
        values = json.loads(line)
        return cls(**{**values, "layers": tuple(values["layers"])})


def some_of(model: LanguageModel, texts: Sequence[str], tokens: int = PROSE_TOKENS) -> tuple[str, ...]:
    """Return the first texts that together have about so many tokens."""
    found: list[str] = []
    while texts[len(found) :] and tokens > 0:
        tokens -= len(model.tok.encode(texts[len(found)]))
        found.append(texts[len(found)])
    return tuple(found)


def known(model: LanguageModel, cases: Sequence[EditCase]) -> list[EditCase]:
    """Return the cases whose true object the unedited model says behind the edit's own prompt; of a group all or none."""
    found = {id(case) for case in _known(model, cases)}
    return [case for pack in grouped(cases) if all(id(case) in found for case in pack) for case in pack]


def _known(model: LanguageModel, cases: Sequence[EditCase]) -> list[EditCase]:
    asked = [(case.request.text, case.request.target_true or "") for case in cases if case.request.target_true]
    try:
        said = iter(model.score([text for text, _ in asked], [true for _, true in asked]))
        return [case for case in cases if case.request.target_true and next(said).hit]
    except CASE_FAULTS:
        return [] if len(cases) == 1 else [one for case in cases for one in _known(model, [case])]


def measure(
    cases: Sequence[EditCase],
    setup: Setup,
    ground: Ground,
    done: Collection[str] = (),
    progress: Progress = no_progress,
) -> Iterator[CaseRow]:
    """Yield a row for each case and REP whose key is not in `done`. Cases that cannot be edited give rows that say why."""
    model, config = ground.model, setup.config(ground.model)
    form = model.form(config.form)
    blank = {id(case): rows for case, rows in zip(cases, _blank(cases, setup, ground), strict=True)}
    packs = [pack for pack in packs_of(cases, setup) if any(_open(blank[id(case)], done) for case in pack)]
    asked, count = 0, sum(map(len, packs))
    for number, call in enumerate(in_calls(packs, setup)):
        work = partial(edits_of, model, setup, config, call)
        found, peak = with_peak(work, model.device) if number == 0 else (work(), None)
        for pack, edits in zip(call, found, strict=True):
            made = {rep: refined(ground, pack, edits, rep, form) for rep in setup.reps}
            views = {rep: view_of(edits, own, rep).in_form(form) for rep, own in made.items()}
            for place, (case, edit) in enumerate(zip(pack, edits, strict=True)):
                progress(asked / count, f"{setup.method}: case {case.id}")
                asked += 1
                own = {rep: one[place] for rep, one in made.items()}
                rows = {rep: replace(row, peak=peak) for rep, row in _open(blank[id(case)], done).items()}
                yield from _measured(case, rows, edit, own, views, ground, setup)


def keys(cases: Sequence[EditCase], setup: Setup, ground: Ground) -> list[list[str]]:
    """Return the keys of the rows that `measure` gives with the same arguments: for each case one a REP."""
    return [[row.key for row in rows.values()] for rows in _blank(cases, setup, ground)]


def by_place(cases: Sequence[EditCase], rows: Sequence[CaseRow], seed: int = 0) -> dict[str, dict[str, Any]]:
    """Return the paper's rates for the cases whose subject begins the prompt, and for the others; `rows` has one a case.

    Without a token in front, a first token attracts attention whatever it says, and its keys are of another kind.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, first in (("subject_first", True), ("subject_later", False)):
        own = [r for case, r in zip(cases, rows, strict=True) if case.request.prompt.startswith(SLOT) == first]
        measured = [row.tallies["paper"] for row in own if row.skipped is None]
        found[name] = {"n": len(measured), **_rates(measured, seed)}
    return found


def summary(rows: Sequence[CaseRow], unread: Sequence[str] = (), seed: int = 0) -> dict[str, Any]:
    """Return the table's line for the rows of one setup, as docs/interfaces.md has it. `unread`: unreadable records."""
    measured = [row for row in rows if row.skipped is None]
    reasons = [*unread, *(f"case {row.case}: {row.skipped}" for row in rows if row.skipped is not None)]
    written = [row.tallies["generated"] for row in measured if "generated" in row.tallies]
    first = rows[0]
    return {
        "method": first.method,
        "rep": first.rep,
        "threshold": first.threshold,
        "chain": first.chain,
        "layers": list(first.layers),
        "n": len(measured),
        "skipped": len(reasons),
        "skipped_because": reasons,
        **_rates([row.tallies["paper"] for row in measured], seed),
        "clean": _rates([row.tallies["clean"] for row in measured], seed),
        **({"generated": _rates(written, seed)} if written else {}),
        "gate_open_rate": _share(measured, "open"),
        "false_firings_per_1000": None if (false := _share(measured, "false")) is None else 1000 * false,
        "seconds_per_edit": _mean([row.seconds for row in measured]),
        "peak_bytes": max((row.peak for row in measured if row.peak is not None), default=None),
        "seconds_to_refine": _mean([row.refining for row in measured]) if first.rep != OFF else None,
        "bytes_per_layer": max((row.bytes for row in measured), default=0) if first.rep != OFF else None,
    }


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _share(rows: Sequence[CaseRow], name: str) -> float | None:
    """Return the share that fired of what was counted under "gates"; None where nothing was."""
    found = [row.tallies["gates"][name] for row in rows if name in row.tallies.get("gates", {})]
    total = sum(count for _, count in found)
    return sum(fired for fired, _ in found) / total if total else None


def _rates(found: Sequence[Tally], seed: int) -> dict[str, Any]:
    rates: dict[str, Any] = {}
    for name in COLUMNS:
        hits = [tally.get(name, (0.0, 0))[0] for tally in found]
        items = [tally.get(name, (0.0, 0))[1] for tally in found]
        asked = sum(items) > 0
        rates[name] = sum(hits) / sum(items) if asked else None
        rates[f"{name}_ci"] = list(rate_interval(hits, items, seed)) if asked else None
        rates[f"{name}_items"] = sum(items)
    return rates


def _open(rows: Mapping[Rep, CaseRow], done: Collection[str]) -> dict[Rep, CaseRow]:
    return {rep: row for rep, row in rows.items() if row.key not in done}


def _measured(
    case: EditCase,
    rows: Mapping[Rep, CaseRow],
    edit: Edit | str,
    made: Mapping[Rep, Pathways],
    views: Mapping[Rep, View],
    ground: Ground,
    setup: Setup,
) -> Iterator[CaseRow]:
    """Yield the rows of one case, all its views asked at once."""
    if not rows:
        return
    if isinstance(edit, str):
        yield from (replace(row, skipped=edit) for row in rows.values())
        return
    names = {rep: f"view {number}" for number, rep in enumerate(rows)}
    try:
        probes = ground.battery(case, setup.most)
        form = next(iter(views.values())).form
        asked = {ViewName.BASE: BASE.in_form(form), **{names[rep]: views[rep] for rep in rows}}
        frame = ask(ground.model, case.request, probes, asked, answers=setup.generated)
    except CASE_FAULTS as error:
        yield from (replace(row, skipped=str(error)) for row in rows.values())
        return
    for rep, row in rows.items():
        found = {name: tallies(frame, names[rep], clean) for name, clean in PROTOCOLS.items()}
        if setup.generated:
            found["generated"] = tallies(frame, names[rep], generated=True)
        own = made[rep]
        if rep.recipe != OFF:
            found["gates"] = _gates(ground, probes, views[rep])
        yield replace(row, seconds=edit.seconds, refining=own.seconds, bytes=own.bytes, tallies=found)


def _gates(ground: Ground, probes: Sequence[Probe], view: View) -> dict[str, tuple[float, int]]:
    """Return how many probes open a gate that should, and how many tokens of prose open one that should not."""
    texts = [probe.text for probe in probes if probe.kind in GATED]
    opened = [bool((own > view.threshold).any()) for own in gates_of(ground.model, texts, view)]
    fired = [(own > view.threshold) for own in gates_of(ground.model, ground.prose, view.in_form(BARE))]
    return {
        "open": (float(sum(opened)), len(opened)),
        "false": (float(sum(int(own.sum()) for own in fired)), sum(len(own) for own in fired)),
    }


def _blank(cases: Sequence[EditCase], setup: Setup, ground: Ground) -> list[dict[Rep, CaseRow]]:
    """Return an empty row for each case and REP, under a key of all that will shape it."""
    config = setup.config(ground.model)
    shaped = _shaped_by(setup, config, ground)
    packs = packs_of(cases, setup)
    company = [pack if setup.chain > 1 or len(pack) > 1 else () for pack in packs for _ in pack]
    return [
        {
            rep: CaseRow(
                _key(shaped, rep, case, others),
                case.id,
                setup.method,
                rep.recipe,
                getattr(config, "layers", ()),
                rep.fires_above,
                setup.chain,
            )
            for rep in setup.reps
        }
        for case, others in zip(cases, company, strict=True)
    ]


def _shaped_by(setup: Setup, config: Any, ground: Ground) -> str:
    model = ground.model
    layers = methods.get(setup.method).layers_measured(config)
    measured = statistics.digests(model, layers)
    lessons_from = hashlib.sha256(repr(sorted(ground.facts.by_subject)).encode()).hexdigest()
    prose = hashlib.sha256(repr((ground.passages, ground.prose)).encode()).hexdigest()
    parts = [
        model.fingerprint,
        str(model.start),
        str(model.dtype),
        torch.get_float32_matmul_precision(),
        setup.method,
        setup.chain,
        asdict(config),
        measured,
        lessons_from,
        prose,
    ]
    asked = [*(["generated", RULES] if setup.generated else []), *([setup.most] if setup.most else [])]
    return json.dumps([*parts, ground.seed, *asked], sort_keys=True)


def _key(shaped: str, rep: Rep, case: EditCase, others: Sequence[EditCase]) -> str:
    how = "" if rep.recipe == OFF else f"{rep.config!r}{rep.fires_above}"
    return hashlib.sha256(f"{shaped}{how}{case!r}{[other.request for other in others]!r}".encode()).hexdigest()[:20]
