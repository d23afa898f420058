"""How loud a layer's answer is before and after an edit (figure 5 of arXiv 2410.09338).

To overrule what is stored, an edited value is longer than what stood there, in models with 7 billion parameters far longer
than any other; a key that retrieves it by mistake gets all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from editlab.insight.similarity import RANDOM, forms, random_keys
from editlab.insight.site import Site
from editlab.patches import View
from editlab.work import Cancel, Progress, never, no_progress, stop_if

if TYPE_CHECKING:
    from editlab.probes import Passages, Probe


def values(
    site: Site,
    probes: Sequence[Probe],
    passages: Passages,
    seed: int = 0,
    progress: Progress = no_progress,
    cancel: Cancel = never,
) -> pd.DataFrame:
    """Return a row a key: kind, domain, text, subject, and the value's length `before` and `after` the edit and in `rep`.

    `before`: |W k|, with what other edits add; `after`: |W k + edit|; `rep`: the same with the key as the pathways move it
    (NaN without any). All as multiples of the median of `before` at random words, whose bare length is
    `frame.attrs["median"]`. Raises `Cancelled`.
    """
    said = forms(site, probes)
    progress(0.0, "values: the subject in all its forms")
    keys = site.keys([form.at for form in said])
    stop_if(cancel, "Stopped before the values were measured.")
    others, words = random_keys(site, passages, seed)
    keys = torch.cat([keys, others])
    progress(0.6, "values: how long they are")
    before, after = (_norms(site, keys, view) for view in (site.unedited, site.edited))
    rep = torch.full_like(before, torch.nan)
    if site.robust is not None:
        arriving = site.keys([form.at for form in said], site.robust)
        rep = _norms(site, torch.cat([arriving, site.moved(others)]), site.edited)
    median = float(before[len(said) :].quantile(0.5))
    frame = pd.DataFrame(
        {
            "kind": [*(form.kind for form in said), *([RANDOM] * len(others))],
            "domain": [*(form.domain for form in said), *([""] * len(others))],
            "text": [*(form.text for form in said), *words],
            "subject": [*(form.subject for form in said), *([""] * len(others))],
            "before": (before / median).tolist(),
            "after": (after / median).tolist(),
            "rep": (rep / median).tolist(),
        }
    )
    frame.attrs["median"] = median
    return frame


@torch.no_grad()
def _norms(site: Site, keys: Float[Tensor, "n d_ff"], view: View) -> Float[Tensor, "n"]:
    """Return the lengths of the projection's output under a view. The module computes, so it may be quantised."""
    projection = site.model.arch.projection_of(site.model.hf, site.layer)
    found = projection(keys.to(site.model.dtype)).float()
    laid = view.laid.get(site.layer)
    return (found if laid is None else laid.written(keys, found)).norm(dim=1)
