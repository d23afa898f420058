"""How often a view answers as one who believes the new fact: by likelihood (forced) and as it writes (generated)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

WAYS = ("forced", "generated")
"""How an answer is told: by likelihoods, teacher-forced, or from what the model writes."""

Counts = Mapping[str, Mapping[str, tuple[int, int]]]
"""For each kind and way: how many questions are answered as one who believes the new fact, of how many that tell."""


def tally(rows: Sequence[Mapping[str, Any]], view: str = "", clean: bool = False) -> dict[str, dict[str, tuple[int, int]]]:
    """Return the counts of each kind under a view, from the rows of `ask`; `clean` keeps those that the model can answer.

    Without a view, the rows are findings of one, whose columns have no name in front.
    """
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for row in rows:
        if clean and not row["known"]:
            continue
        own = found.setdefault(row["kind"], dict.fromkeys(WAYS, (0, 0)))
        for way in WAYS:
            value, (hits, asked) = row[f"{view}.{way}" if view else way], own[way]
            if value is not None:
                own[way] = hits + bool(value), asked + 1
    return found


def belief(counts: Counts, way: str = "generated") -> float | None:
    """Return the mean over kinds of the share of questions that a believer's answer got, 0 to 1; None where none tells."""
    rates = [hits / asked for ways in counts.values() for hits, asked in (ways[way],) if asked]
    return sum(rates) / len(rates) if rates else None
