"""Does theory tell where an edit will hold? The bounds of `insight.bounds` over many cases, beside the majority guess."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from editlab import methods
from editlab.answers import ViewName
from editlab.bench.editing import CASE_FAULTS, Rep
from editlab.facts import EditCase
from editlab.insight import agreement, summary
from editlab.methods.rep import refine
from editlab.patches import BASE, THRESHOLD
from editlab.probes import Ground, ask
from editlab.work import Progress, no_progress

MOST = 3
"""Probes of each kind and domain."""


def measure(
    cases: Sequence[EditCase],
    method: str,
    rep: Rep,
    ground: Ground,
    progress: Progress = no_progress,
) -> pd.DataFrame:
    """Return the bounds' tables of all cases in one: of the edit and, with a recipe of REP, also under it ("view").

    `attrs["skipped"]` says which cases could not be edited, and why.
    """
    tables: list[pd.DataFrame] = []
    skipped: list[str] = []
    config = methods.config_for(method, ground.model, form="plain")  # the bounds are of plain prompts
    for number, case in enumerate(cases):
        progress(number / len(cases), f"bounds, {method}: case {case.id}")
        try:
            tables += _tables(case, method, config, rep, ground)
        except CASE_FAULTS as error:
            skipped.append(f"case {case.id}: {error}")
    found = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    found.attrs["skipped"] = skipped
    return found


def lines(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield probes, agreement and majority of both forms of the bounds, for each view and kind and for all kinds."""
    for view, own in table.groupby("view", sort=False) if len(table) else ():
        for kind, rows in (("all", own), *own.groupby("kind", sort=False)):
            by_lemma = summary(rows, "lemma_agree")
            yield {"view": view, "kind": kind, **summary(rows), **{f"lemma_{name}": v for name, v in by_lemma.items()}}


def _tables(case: EditCase, method: str, config: Any, rep: Rep, ground: Ground) -> Iterator[pd.DataFrame]:
    model = ground.model
    patches = methods.get(method).edit(model, [case.request], config=config).patches
    probes = ground.battery(case, MOST)
    views = {ViewName.BASE: BASE, ViewName.EDITED: BASE.with_patches(patches)}
    pathways = {ViewName.EDITED: ()}
    threshold = rep.fires_above
    if threshold is not None:
        pathways[ViewName.REP] = refine(model, ground.lessons(case), patches, config=rep.config).pathways
        views[ViewName.REP] = views[ViewName.EDITED].with_patches(pathways[ViewName.REP]).with_threshold(threshold)
    frame = ask(model, case.request, probes, views, answers=False)
    for view, own in pathways.items():
        limit = THRESHOLD if threshold is None else threshold
        yield agreement(model, case.request, patches, probes, frame, own, limit, named=view).assign(view=view)
