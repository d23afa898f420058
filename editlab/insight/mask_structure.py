"""What a reversal mask takes away: a few output dimensions, or a little everywhere?

A mask that prunes at random takes about the same share of every row and column of the weight: the binomial distribution says
how far the shares then differ. Where they differ far more, the mask has found particular dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import pandas as pd

from editlab.patches import Mask

OUTPUT, KEY = "output", "key"
"""The weight's rows (dimensions of the residual stream that it writes), and its columns (neurons that it reads)."""


def mask_structure(masks: Sequence[Mask]) -> pd.DataFrame:
    """Return a row a dimension of each mask, the most pruned first: `layer`, `axis`, `dimension`, `pruned` (0 to 1).

    `axis` is `OUTPUT` or `KEY`; `entries`: how many the dimension has; `chance`: what the most pruned dimension of its axis
    would come to if the same number of entries were pruned at random (the median).
    """
    frames = []
    for mask in masks:
        for axis, dim in ((OUTPUT, 1), (KEY, 0)):
            shares = 1 - mask.kept.float().mean(dim)
            entries = mask.kept.shape[dim]
            order = shares.argsort(descending=True, stable=True)
            frames.append(
                pd.DataFrame(
                    {
                        "layer": mask.layer,
                        "axis": axis,
                        "dimension": order.tolist(),
                        "pruned": shares[order].tolist(),
                        "entries": entries,
                        "chance": _largest_by_chance(mask.pruned, entries, len(shares)),
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def concentration(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row a layer and axis of `mask_structure`: how unevenly it prunes.

    Columns: `layer`, `axis`, `pruned` (mean share), `most` and `dimension` (the most pruned one), `chance` (as there),
    `spread`: the standard deviation of the shares, as a multiple of the binomial one: about 1 for a random mask; `tenth`:
    the part of all pruned entries that lies in the most pruned tenth of the dimensions.
    """
    rows = []
    for (layer, axis), own in frame.groupby(["layer", "axis"], sort=False):
        p, first = float(own["pruned"].mean()), own.iloc[0]
        binomial = (p * (1 - p) / first["entries"]) ** 0.5
        tenth = own["pruned"].head(max(1, round(len(own) / 10))).sum()
        rows.append(
            {
                "layer": int(layer),
                "axis": axis,
                "pruned": p,
                "most": float(first["pruned"]),
                "dimension": int(first["dimension"]),
                "chance": float(first["chance"]),
                "spread": float(own["pruned"].std(ddof=0) / binomial) if binomial > 0 else float("nan"),
                "tenth": float(tenth / own["pruned"].sum()) if p > 0 else float("nan"),
            }
        )
    return pd.DataFrame(rows)


def _largest_by_chance(p: float, entries: int, dimensions: int) -> float:
    """Return the median of the largest of `dimensions` shares of `entries` entries each, all pruned with probability p."""
    z = NormalDist().inv_cdf(0.5 ** (1 / dimensions))
    return min(1.0, p + z * (p * (1 - p) / entries) ** 0.5)
