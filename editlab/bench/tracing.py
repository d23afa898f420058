"""Does causal tracing find the layer at which an edit holds best? Hase et al. 2023 (arXiv 2301.04213) say no.

Each fact that the model knows is traced, and edited at each layer alone. A row has both, under a key of all that shaped it,
so that a run that keeps its rows can be resumed. What tracing says of a layer is the indirect effect at the subject's last
token there; what the sweep says is the edit's score (`bench.layers`).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from editlab.bench import layers as sweeping
from editlab.bench import plain_tracing
from editlab.bench.bootstrap import LEVEL, rate_interval
from editlab.bench.editing import CASES_AT_ONCE, Setup
from editlab.bench.layers import LayerRow, best
from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.insight.tracing import KINDS, Tracing, trace
from editlab.probes import Ground
from editlab.work import Progress, no_progress, part_of

RESAMPLES = 500
"""Of the facts, for the interval of the correlations across them."""


@dataclass(frozen=True)
class FactRow:
    """One fact, traced and edited at each of `layers`. Lists have an entry a layer.

    `effects`: by kind, at the subject's last token. `seconds` of the tracing, on a CPU the processor's; `plain_seconds` and
    `published_seconds` of the plain forms, a sample and a restoration a forward, where they were timed, and the largest
    `difference` of an effect.
    """

    key: str
    subject: str
    prompt: str
    clean: float
    corrupted: float
    layers: list[int]
    effects: dict[str, list[float]]
    scores: list[float]
    taken: list[bool]
    norms: list[float | None]
    best: int | None
    seconds: float
    plain_seconds: float | None = None
    published_seconds: float | None = None
    difference: float | None = None

    def as_json(self) -> str:
        """Return one line of a file of rows."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> FactRow:
        """Return the row of such a line. Raises `ValueError` or `TypeError` where it is none."""
        return cls(**json.loads(line))


def keys(ground: Ground, requests: Sequence[EditRequest], how: Tracing, setup: Setup) -> list[str]:
    """Return the key of each fact's row."""
    model = ground.model
    read = [model.fingerprint, str(model.start), str(model.dtype), torch.get_float32_matmul_precision()]
    shaped = [*read, asdict(how), setup.method, asdict(setup.config(model)), ground.seed]
    return [hashlib.sha256(repr([*shaped, ground.case(request)]).encode()).hexdigest()[:20] for request in requests]


def measure(
    ground: Ground,
    requests: Sequence[EditRequest],
    how: Tracing,
    setup: Setup,
    done: Collection[str] = (),
    plain: int = 0,
    progress: Progress = no_progress,
) -> Iterator[FactRow]:
    """Yield a row for each fact whose key is not in `done`. `plain`: of so many the plain forms are timed as well.

    The edits are made without key statistics, which may be there for some layers alone: all layers are tried alike. Raises
    `BadRequest` for edits in a chat.
    """
    model, layers = ground.model, list(how.layers or range(ground.model.n_layers))
    if setup.config(model).form != "plain":
        raise BadRequest("Tracing reads plain prompts, and edits in a chat are asked in one. Leave out form=chat.")
    named = zip(keys(ground, requests, how, setup), requests, range(len(requests)), strict=True)
    missing = [one for one in named if one[0] not in done]
    alike = replace(ground, model=replace(model, statistics=()))
    for first in range(0, len(missing), CASES_AT_ONCE):
        chunk = missing[first : first + CASES_AT_ONCE]
        part = part_of(progress, first / len(missing), (first + len(chunk)) / len(missing))
        traced = []
        for number, (_, request, place) in enumerate(chunk):
            part(0.5 * number / len(chunk), f"tracing: {request.subject}")
            traced.append(_traced(ground, request, how, place < plain))
        cases = [alike.case(request) for _, request, _ in chunk]
        swept = list(sweeping.sweep(alike, cases, setup, layers, part_of(part, 0.5, 1.0)))
        for (key, request, _), found, rows in zip(chunk, traced, zip(*swept, strict=True), strict=True):
            yield _row(key, request, layers, rows, **found)


def _traced(ground: Ground, request: EditRequest, how: Tracing, timed: bool) -> dict[str, Any]:
    """Return what a row says of the tracing."""
    model = ground.model
    # On a CPU the processor's time, which other programs on the machine do not stretch.
    clock = time.process_time if model.device.type == "cpu" else time.perf_counter
    began = clock()
    frame = trace(model, request, how)
    found: dict[str, Any] = {"seconds": clock() - began} | {k: frame.attrs[k] for k in ("clean", "corrupted")}
    subject = frame[frame["place"] == "last subject"]
    found["effects"] = {kind: subject.loc[subject["kind"] == kind, "effect"].tolist() for kind in KINDS}
    if timed:
        for name, at_once in (("plain_seconds", 1), ("published_seconds", how.samples)):
            began = clock()
            effects = plain_tracing.trace(model, request, how, at_once)
            found[name] = clock() - began
        own = zip(frame["kind"], frame["layer"], frame["back"], strict=True)
        found["difference"] = max(abs(effects[k] - e) for k, e in zip(own, frame["effect"], strict=True))
    return found


def _row(key: str, request: EditRequest, layers: list[int], rows: Sequence[LayerRow], **traced: Any) -> FactRow:
    chosen = best(rows)
    return FactRow(
        key,
        request.subject,
        request.prompt,
        layers=layers,
        scores=[row.score for row in rows],
        taken=[row.success for row in rows],
        norms=[row.norm for row in rows],
        best=None if chosen is None else chosen.layer,
        **traced,
    )


def summary(rows: Sequence[FactRow], seed: int = 0) -> dict[str, Any]:
    """Return how far tracing and sweep agree, by kind of state, each with its interval; and how fast tracing is.

    `rho`: the mean over facts of the rank correlation, over layers, of effect and score. `across`: the mean over layers of
    the rank correlation over facts, as Hase et al. have it. `agreement`: the share of facts whose layer of the largest
    effect is the sweep's best; `near`: or a neighbour of it. `score`: the mean score at tracing's layer. `fixed`: the same
    two with one layer for all facts, for each the layer at which it is largest. `sweep`: the mean score at the best layer of
    each fact. Scores are means over all facts, also those whose edit takes nowhere, which have no best layer.
    """
    layers = rows[0].layers
    scores = np.array([row.scores for row in rows])
    judged = [row for row in rows if row.best is not None]
    best_there = np.array([[row.best == layer for layer in layers] for row in judged])
    found: dict[str, Any] = {
        "n": len(rows),
        "edited": len(judged),
        "layers": layers,
        "chance": 1 / len(layers),
        "fixed": {
            name: _fixed(values, name, layers, seed) for name, values in (("agreement", best_there), ("score", scores))
        },
        "sweep": _rate([_highest(row) for row in rows], "score", seed),
    }
    for kind in KINDS:
        effects = np.array([row.effects[kind] for row in rows])
        places = [int(np.argmax(row.effects[kind])) for row in judged]
        apart = [abs(place - layers.index(row.best)) for place, row in zip(places, judged, strict=True)]
        found[kind] = (
            _rate([rho for pair in zip(effects, scores, strict=True) if not np.isnan(rho := _rho(*pair))], "rho", seed)
            | _across(effects, scores, seed)
            | _rate([own == 0 for own in apart], "agreement", seed)
            | _rate([own <= 1 for own in apart], "near", seed)
            | _rate(scores[np.arange(len(rows)), effects.argmax(1)], "score", seed)
        )
    return found | {"by_layer": _by_layer(rows), "speed": _speed(rows)}


def _highest(row: FactRow) -> float:
    """Return a fact's score at its best layer; where its edit takes nowhere, its highest score."""
    return max(row.scores) if row.best is None else row.scores[row.layers.index(row.best)]


def _rho(first: Sequence[float], second: Sequence[float]) -> float:
    """Return Spearman's rank correlation; NaN where one side is constant."""
    if not np.ptp(first) or not np.ptp(second):
        return float("nan")
    return float(pd.Series(first).rank().corr(pd.Series(second).rank()))


def _rate(values: Sequence[float], name: str, seed: int) -> dict[str, Any]:
    values = [float(value) for value in values]
    if not values:
        return {name: None, f"{name}_ci": None}
    return {name: sum(values) / len(values), f"{name}_ci": list(rate_interval(values, [1.0] * len(values), seed))}


def _fixed(values: np.ndarray, name: str, layers: Sequence[int], seed: int) -> dict[str, Any]:
    """Return the largest mean over facts `[facts, layers]` that one layer for all has, and that layer."""
    if not len(values):
        return {"layer": None, **_rate([], name, seed)}
    best = int(values.mean(0).argmax())
    return {"layer": layers[best], **_rate(values[:, best], name, seed)}


def _across(effects: np.ndarray, scores: np.ndarray, seed: int) -> dict[str, Any]:
    def mean(places: np.ndarray) -> float:
        found = [_rho(effects[places, n], scores[places, n]) for n in range(effects.shape[1])]
        return float(np.nanmean(found)) if not np.isnan(found).all() else float("nan")

    drawn = np.random.default_rng(seed).integers(0, len(effects), (RESAMPLES, len(effects)))
    resampled = [value for places in drawn if not np.isnan(value := mean(places))]
    if not resampled:
        return {"across": None, "across_ci": None}
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"across": mean(np.arange(len(effects))), "across_ci": [float(low), float(high)]}


def _by_layer(rows: Sequence[FactRow]) -> list[dict[str, Any]]:
    """Return a row a layer: mean effects, the edits that take there, their mean score and the median of their norms."""
    frame = pd.DataFrame(
        {"layer": layer, "taken": row.taken[n], "score": row.scores[n], "best": row.best == layer, "norm": row.norms[n]}
        | {kind: row.effects[kind][n] for kind in KINDS}
        for row in rows
        for n, layer in enumerate(row.layers)
    )
    grouped = frame.groupby("layer")
    means = grouped[[*KINDS, "taken", "score", "best"]].mean().assign(norm=grouped["norm"].median()).reset_index()
    return [{name: None if pd.isna(value) else value for name, value in row.items()} for row in means.to_dict("records")]


def _speed(rows: Sequence[FactRow]) -> dict[str, Any]:
    timed = [row for row in rows if row.plain_seconds is not None]
    found: dict[str, Any] = {"seconds": sum(row.seconds for row in rows) / len(rows), "timed": len(timed)}
    if timed:
        seconds = sum(row.seconds for row in timed)
        found |= {
            "timed_seconds": seconds / len(timed),
            "plain_seconds": sum(row.plain_seconds or 0.0 for row in timed) / len(timed),
            "plain_ratio": sum(row.plain_seconds or 0.0 for row in timed) / seconds,
            "published_ratio": sum(row.published_seconds or 0.0 for row in timed) / seconds,
            "difference": max(row.difference or 0.0 for row in timed),
        }
    return found
