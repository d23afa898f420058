"""One edit's trade-off curve: what its probes say at every threshold of the gate (figure 7 of arXiv 2410.09338).

A row of tokens answers differently at two thresholds only where other tokens fire. So the gates are read once, thresholds
at which the same tokens fire share one forward, and most rows, in which nothing ever fires, cost a single one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from editlab.answers import ViewName
from editlab.facts import EditRequest
from editlab.patches import BASE, View
from editlab.probes.battery import Probe
from editlab.probes.gates import gates_at, layers_of
from editlab.probes.verdict import KEPT, ask, scores
from editlab.wording import noop
from editlab.work import Cancel, Progress, never, no_progress, stop_if

if TYPE_CHECKING:
    from editlab.model import LanguageModel

THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.995, 1.0)
"""No gate is above 1: the last one is the edit without its pathway."""

PART = 64
"""Rows that are asked at once: between two such parts the work can be stopped."""

Alike = tuple[float, ...]
"""Thresholds at which the same tokens of a row fire, ascending."""


def sweep(
    model: LanguageModel,
    request: EditRequest,
    probes: Sequence[Probe],
    view: View,
    thresholds: Sequence[float] = THRESHOLDS,
    progress: Progress = no_progress,
    cancel: Cancel = never,
) -> pd.DataFrame:
    """Return a row a threshold: `threshold`, `firing` (probes at which a gate opens) and the rates of `probes.scores`.

    The same figures as asking all probes at each threshold, in a fraction of the forwards. `attrs["largest"]` has the
    largest gate of each probe, by which `firing` can be told for any other threshold. Raises `Cancelled`.
    """

    def step(fraction: float, text: str) -> None:
        stop_if(cancel, "Stopped before the curve was complete.")
        progress(fraction, text)

    step(0.0, noop("curve: what the base model says"))
    asked, expected = _expected(model, request, probes)
    texts = [probe.text for probe in asked]
    kept = [row for row, probe in enumerate(asked) if probe.kind in KEPT]
    base = model.score([texts[row] for row in kept], [expected[row] for row in kept], BASE) if kept else []
    said = dict(zip(kept, (score.said for score in base), strict=True))
    step(0.2, noop("curve: where the gates open"))
    targets = [*enumerate(expected), *_aliases(asked, expected)]
    pairs = [(view.asks(texts[number]), target) for number, target in targets]
    rows = [tuple(model.tok.with_target(text, target)[0][:-1]) for text, target in pairs]
    at = {threshold: view.with_threshold(threshold) for threshold in sorted(thresholds)}
    largest = largest_gates(model, rows[: len(asked)], view)
    classes = _alike(model, rows, view, at)
    found: dict[tuple[int, float], dict[str, Any]] = {(n, own): {"rep.hit": False} for n in range(len(asked)) for own in at}
    for first in range(0, len(classes), PART):
        step(0.3 + 0.7 * first / len(classes), noop("curve: the probes at each threshold"))
        part = [(*targets[row], row, alike) for row, alike in classes[first : first + PART]]
        views = [at[alike[0]] for *_, alike in part]
        answers = model.score([texts[number] for number, *_ in part], [target for _, target, *_ in part], views)
        for (number, _, row, alike), score in zip(part, answers, strict=True):
            for threshold in alike:
                found[number, threshold]["rep.hit"] |= score.hit
                if row < len(asked):  # what is expected, no alias
                    found[number, threshold]["rep.same"] = _same(score.said, said.get(number))
    kinds = [{"kind": probe.kind, "domain": probe.domain, "any_of": probe.any_of} for probe in asked]
    frame = pd.DataFrame(
        {
            "threshold": threshold,
            "firing": sum(gate > threshold for gate in largest),
            **scores(pd.DataFrame([kind | found[number, threshold] for number, kind in enumerate(kinds)]), ViewName.REP),
        }
        for threshold in at
    )
    frame.attrs["largest"] = largest
    return frame


def largest_gates(model: LanguageModel, rows: Sequence[tuple[int, ...]], view: View) -> list[float]:
    """Return the largest gate of each row. A gate above another layer's counts as it is while all below are shut."""
    shut = view.with_threshold(1.0)
    found = [0.0] * len(rows)
    for layer in layers_of(view):
        for row, gates in enumerate(gates_at(model, rows, layer, [shut] * len(rows))):
            found[row] = max(found[row], gates.max().item())
    return found


def _expected(model: LanguageModel, request: EditRequest, probes: Sequence[Probe]) -> tuple[list[Probe], list[str]]:
    """Return the probes at which something is expected, and what: the base model's own answer where nothing is given."""
    open_ = [probe for probe in probes if probe.expected is None]
    answers = ask(model, request, open_, {ViewName.BASE: BASE}, answers=False)["expected"].tolist() if open_ else []
    known = {probe: answer for probe, answer in zip(open_, answers, strict=True) if isinstance(answer, str)}
    asked = [probe for probe in probes if probe.expected is not None or probe in known]
    return asked, [probe.expected if probe.expected is not None else known[probe] for probe in asked]


def _aliases(asked: Sequence[Probe], expected: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield what is as good as what a probe expects, by the probe's number, where hits count."""
    for number, probe in enumerate(asked):
        if probe.kind not in KEPT:
            yield from ((number, alias) for alias in dict.fromkeys(probe.aliases) if alias != expected[number])


def _same(said: Sequence[int], base: Sequence[int] | None) -> float:
    """Return the share of tokens that the base model says as well; NaN where it was not asked."""
    return float("nan") if not base else sum(a == b for a, b in zip(said, base, strict=True)) / len(base)


def _alike(
    model: LanguageModel, rows: Sequence[tuple[int, ...]], view: View, at: dict[float, View]
) -> list[tuple[int, Alike]]:
    """Return each row's thresholds, grouped by which tokens fire.

    Layer after layer: what fires below decides which keys arrive above. At one layer the firing tokens of a higher
    threshold are among those of a lower one, so that their number tells the patterns apart.
    """
    classes: list[tuple[int, Alike]] = [(row, tuple(at)) for row in range(len(rows))]
    for layer in layers_of(view):
        gates = gates_at(model, [rows[row] for row, _ in classes], layer, [at[alike[0]] for _, alike in classes])
        divided: list[tuple[int, Alike]] = []
        for (row, alike), own in zip(classes, gates, strict=True):
            largest = own.max(-1).values
            counts = {threshold: int((largest > threshold).sum()) for threshold in alike}
            divided += [(row, group) for group in _grouped(counts)]
        classes = divided
    return classes


def _grouped(counts: dict[float, int]) -> Iterator[Alike]:
    """Yield thresholds with the same count."""
    for count in dict.fromkeys(counts.values()):
        yield tuple(threshold for threshold, own in counts.items() if own == count)
