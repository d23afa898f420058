"""The robustness table of REP (Yan et al. 2025, arXiv 2410.09338): does an edit hold where it should, and only there?

Each case is edited alone on the base model and asked its whole battery. One row a case and method, under a key of all
that shaped it: whoever keeps the rows can stop and go on. Rates are totals over all prompts, as the paper has them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from editlab import methods
from editlab.bench.bootstrap import rate_interval
from editlab.errors import BadRequest, DegenerateKey, TooLong
from editlab.facts import EditCase, FactBase
from editlab.methods import Edited, Method
from editlab.model import statistics
from editlab.patches import BASE, View
from editlab.probes import Passages, ask, battery, case_for, tallies

if TYPE_CHECKING:
    from editlab.model import LanguageModel

CASES_AT_ONCE = 16
COLUMNS = (
    *("success", "locality", "same_subject", "rephrase_in", "rephrase_out", "shuffle_in", "shuffle_out"),
    *("long_in", "long_out", "paraphrase", "propagation"),
)
PROTOCOLS = {"paper": False, "clean": True}
CASE_FAULTS = (BadRequest, DegenerateKey, TooLong)
"""What a single case can be at fault for; any other error concerns them all and ends the run."""

Progress = Callable[[float, str], None]
Tally = Mapping[str, tuple[float, int]]


@dataclass(frozen=True)
class Setup:
    """One way to edit: a method, with the settings that differ from the model's preset (`layers`, `keys`, ...)."""

    method: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    rep: str = "off"

    def config(self, model: LanguageModel) -> Any:
        """The method's configuration for a model."""
        return methods.config_for(methods.get(self.method).config, self.method, model, **self.changes)


@dataclass(frozen=True)
class CaseRow:
    """One case under one setup: for each protocol and column the sum over its prompts and their number, or why not."""

    key: str
    case: str
    method: str
    rep: str
    layers: tuple[int, ...]
    seconds: float = 0.0
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    skipped: str | None = None

    def as_json(self) -> str:
        """One line of a file of rows."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> CaseRow:
        """The row of such a line. Raises `ValueError` or `TypeError` where it is none."""
        values = json.loads(line)
        return cls(**{**values, "layers": tuple(values["layers"])})


def with_facts(case: EditCase, facts: FactBase, seed: int = 0) -> EditCase:
    """A case whose file says nothing about the subject's other facts or about consequences, with those of a fact base."""
    known = case_for(case.request, facts, seed)
    return replace(
        case,
        same_subject=case.same_subject or known.same_subject,
        propagation=case.propagation or known.propagation,
    )


def measure(
    model: LanguageModel,
    cases: Sequence[EditCase],
    setup: Setup,
    passages: Passages,
    seed: int = 0,
    done: Collection[str] = (),
    progress: Progress = lambda _fraction, _text: None,
) -> Iterator[CaseRow]:
    """A row for each case whose key is not in `done`. Cases that cannot be edited give a row that says why."""
    method, config = methods.get(setup.method), setup.config(model)
    shaped = _shaped_by(model, setup, config, passages, seed)
    blank = [CaseRow(_key(shaped, case), case.id, setup.method, setup.rep, config.layers) for case in cases]
    open_ = [(case, row) for case, row in zip(cases, blank, strict=True) if row.key not in done]
    size = 1 if method.joint else CASES_AT_ONCE
    for start in range(0, len(open_), size):
        chunk = open_[start : start + size]
        edits = _edits(model, method, config, [case for case, _ in chunk])
        for number, ((case, row), edit) in enumerate(zip(chunk, edits, strict=True), start):
            fraction = 1 - (len(open_) - number) / len(cases)
            progress(fraction, f"{setup.method}, layers {config.layers}: case {case.id}")
            yield _measured(model, case, row, edit, passages, seed)


def keys(model: LanguageModel, cases: Sequence[EditCase], setup: Setup, passages: Passages, seed: int = 0) -> list[str]:
    """The keys of the rows that `measure` gives with the same arguments, in the order of the cases."""
    shaped = _shaped_by(model, setup, setup.config(model), passages, seed)
    return [_key(shaped, case) for case in cases]


def summary(rows: Sequence[CaseRow], unread: Sequence[str] = (), seed: int = 0) -> dict[str, Any]:
    """The table's line for the rows of one setup, as `interfaces.md` has it. `unread`: records no case was made of."""
    measured = [row for row in rows if row.skipped is None]
    reasons = [*unread, *(f"case {row.case}: {row.skipped}" for row in rows if row.skipped is not None)]
    first = rows[0]
    return {
        "method": first.method,
        "rep": first.rep,
        "layers": list(first.layers),
        "n": len(measured),
        "skipped": len(reasons),
        "skipped_because": reasons,
        **_rates([row.tallies["paper"] for row in measured], seed),
        "clean": _rates([row.tallies["clean"] for row in measured], seed),
        "gate_open_rate": None,
        "false_firings_per_1000": None,
        "seconds_per_edit": sum(row.seconds for row in measured) / len(measured) if measured else None,
    }


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


def _edits(model: LanguageModel, method: Method, config: Any, cases: Sequence[EditCase]) -> list[tuple[View, float] | str]:
    """For each case the view under its edit and the seconds it took, or why there is none."""
    try:
        edited = method.edit(model, [case.request for case in cases], BASE, config)
    except CASE_FAULTS as error:
        if len(cases) == 1:
            return [str(error)]
        return [_edits(model, method, config, [case])[0] for case in cases]
    return [(view, edited.seconds / len(cases)) for view in _views(edited)]


def _views(edited: Edited) -> list[View]:
    return [BASE.with_patches(solve) for solve in edited.solves]


def _measured(
    model: LanguageModel, case: EditCase, row: CaseRow, edit: tuple[View, float] | str, passages: Passages, seed: int
) -> CaseRow:
    if isinstance(edit, str):
        return replace(row, skipped=edit)
    view, seconds = edit
    try:
        probes = battery(model, case, passages, seed)
        frame = ask(model, case.request, probes, {"base": BASE, "edited": view}, answers=False)
    except CASE_FAULTS as error:
        return replace(row, skipped=str(error))
    found = {name: tallies(frame, "edited", clean) for name, clean in PROTOCOLS.items()}
    return replace(row, seconds=seconds, tallies=found)


def _shaped_by(model: LanguageModel, setup: Setup, config: Any, passages: Passages, seed: int) -> str:
    measured = [found.sha256 if (found := statistics.find(model, layer)) else "" for layer in config.layers]
    parts = [model.fingerprint, str(model.dtype), setup.method, setup.rep, asdict(config), measured, asdict(passages), seed]
    return json.dumps(parts, sort_keys=True)


def _key(shaped: str, case: EditCase) -> str:
    return hashlib.sha256(f"{shaped}{case!r}".encode()).hexdigest()[:20]
