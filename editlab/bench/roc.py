"""How well a score tells two kinds of things apart: the area under the ROC curve, and rates at a threshold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from editlab.bench.bootstrap import LEVEL, RESAMPLES


def auc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Return how often a positive's score is above a negative's, 0 to 1; a tie counts half. Raises `ValueError` for none."""
    if not len(positive) or not len(negative):
        raise ValueError("an area under the ROC curve needs scores of both kinds")
    p, n = np.asarray(positive, float)[:, None], np.asarray(negative, float)[None]
    return float((p > n).mean() + (p == n).mean() / 2)


def auc_interval(
    positive: Sequence[float], negative: Sequence[float], seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> tuple[float, float]:
    """Return the interval of the area, both kinds drawn again with replacement."""
    draw, p, n = np.random.default_rng(seed), np.asarray(positive, float), np.asarray(negative, float)
    areas = [auc(draw.choice(p, len(p)), draw.choice(n, len(n))) for _ in range(resamples)]
    low, high = np.quantile(areas, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def curve(positive: Sequence[float], negative: Sequence[float]) -> list[tuple[float, float]]:
    """Return the ROC curve: pairs of false and true positive rate, from (0, 0) to (1, 1), one for each threshold."""
    levels = sorted({*positive, *negative}, reverse=True)
    p, n = np.asarray(positive, float), np.asarray(negative, float)
    return [(0.0, 0.0), *((float((n >= level).mean()), float((p >= level).mean())) for level in levels)]
