"""How often a view answers as one who believes the new fact: by likelihood (forced) and as it writes (generated)."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

WAYS = ("forced", "generated")
"""How an answer is told: by likelihoods, teacher-forced, or from what the model writes."""

Counts = Mapping[str, Mapping[str, tuple[int, int]]]
"""For each kind and way: how many questions are answered as one who believes the new fact, of how many that tell."""


def tally(frame: pd.DataFrame, view: str, clean: bool = False) -> dict[str, dict[str, tuple[int, int]]]:
    """Return the counts of each kind under a view, from the rows of `ask`; `clean` keeps those that the model can answer."""
    frame = frame[frame["known"]] if clean else frame
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for kind, rows in frame.groupby("kind", sort=False):
        known = {way: [bool(value) for value in rows[f"{view}.{way}"] if value is not None] for way in WAYS}
        found[str(kind)] = {way: (sum(values), len(values)) for way, values in known.items()}
    return found


def belief(counts: Counts, way: str = "generated") -> float | None:
    """Return the mean over kinds of the share of questions that a believer's answer got, 0 to 1; None where none tells."""
    rates = [hits / asked for ways in counts.values() for hits, asked in (ways[way],) if asked]
    return sum(rates) / len(rates) if rates else None
