"""Whether facts that hang on an edited one follow it, stay as they were, or break."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from editlab.facts import EditCase
from editlab.patches import View
from editlab.probes.battery import Probe
from editlab.probes.verdict import BASE, ask

if TYPE_CHECKING:
    from editlab.model import LanguageModel

FATES = ("follows", "stays", "breaks")
"""It says what follows from the edit; what followed before it; or neither."""


def linked(model: LanguageModel, case: EditCase, views: Mapping[str, View]) -> pd.DataFrame:
    """Return a row for each linked fact of a case.

    Columns: text, subject, `before` and `now` (what followed from the old fact, and what follows from the new one), `known`
    (whether the unedited model says the former: only then can it follow, stay or break), and for each view NAME its fate
    "NAME" and its answer "NAME.answer". Fates are teacher-forced: all tokens of an object are the arg max.
    """
    asked = tuple(
        Probe("propagation", "", item.text, item.expected, item.subject, item.before, item.aliases, item.any_of)
        for item in case.propagation
        if item.expected is not None and item.before is not None
    )
    if not asked:
        return pd.DataFrame(columns=["text", "subject", "before", "now", "known", *views])
    found = ask(model, case.request, asked, views)
    frame = found[["text", "subject", "before"]].assign(now=found["expected"], known=False)
    for name, view in views.items():
        stays = [score.hit for score in model.score(list(found["text"]), list(found["before"]), view)]
        hits = zip(found[f"{name}.hit"], stays, strict=True)
        frame[name] = ["follows" if follows else "stays" if stay else "breaks" for follows, stay in hits]
        frame[f"{name}.answer"] = found[f"{name}.answer"]
    return frame.assign(known=frame[BASE] == "stays")


def fates(frame: pd.DataFrame, view: str) -> dict[str, int]:
    """Return how many of the known linked facts follow, stay and break under a view."""
    counts = frame.loc[frame["known"].astype(bool), view].value_counts()
    return {fate: int(counts.get(fate, 0)) for fate in FATES}
