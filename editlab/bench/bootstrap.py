"""How sure a rate is: cases are drawn again with replacement, since the probes of one case stand or fall together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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


def mean_rate(hits: np.ndarray, items: np.ndarray, seed: int = 0) -> tuple[float, tuple[float, float]]:
    """Return the mean over kinds of sum(hits) / sum(items), and its interval; both `[kinds, cases]`.

    A kind without an item does not count. Raises `ValueError` where none has any.
    """
    return _of(lambda drawn: _mean_rates(drawn, hits, items), hits.shape[1], seed)


def mean_difference(
    ours: tuple[np.ndarray, np.ndarray], theirs: tuple[np.ndarray, np.ndarray], seed: int = 0
) -> tuple[float, tuple[float, float]]:
    """Return how much the `mean_rate` of one exceeds another's, and its interval: the same cases are drawn of both."""
    count = ours[0].shape[1]
    return _of(lambda drawn: _mean_rates(drawn, *ours) - _mean_rates(drawn, *theirs), count, seed)


def _of(value: Callable[[np.ndarray], np.ndarray], count: int, seed: int) -> tuple[float, tuple[float, float]]:
    """Return a value of all cases, and its interval over cases drawn again. `value` takes how often each is drawn."""
    whole = float(value(np.ones((1, count)))[0])
    if np.isnan(whole):
        raise ValueError("no case has an item")
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    low, high = np.nanquantile(value(drawn), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return whole, (float(low), float(high))


def _mean_rates(drawn: np.ndarray, hits: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Return the mean over kinds of their rates for each draw `[draws, cases]`; NaN where no kind has an item."""
    totals = drawn @ items.T
    rates = np.divide(drawn @ hits.T, totals, out=np.zeros(totals.shape), where=totals > 0)
    kinds = (totals > 0).sum(1)
    return np.divide(rates.sum(1), kinds, out=np.full(len(drawn), np.nan), where=kinds > 0)
