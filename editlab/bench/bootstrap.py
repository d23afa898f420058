"""How sure a rate is: cases are drawn again with replacement, since the probes of one case stand or fall together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 2000
LEVEL = 0.95


def rate_interval(
    hits: Sequence[float], items: Sequence[float], seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> tuple[float, float]:
    """Return the interval of sum(hits) / sum(items), one entry a case. Resamples without an item are left out.

    Raises `ValueError` where no case has an item: then there is no rate.
    """
    hits, items = np.asarray(hits, float), np.asarray(items, float)
    if items.sum() == 0:
        raise ValueError("no case has an item")
    n = len(items)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    totals = drawn @ items
    rates = (drawn @ hits)[totals > 0] / totals[totals > 0]
    low, high = np.quantile(rates, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
