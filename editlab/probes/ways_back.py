"""Ways back from an edit, on the same probes: what each restores of what the unedited model said, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pandas as pd

from editlab.answers import ViewName
from editlab.facts import EditRequest
from editlab.patches import BASE, View
from editlab.probes.battery import KINDS, Probe
from editlab.probes.verdict import KEPT, ask
from editlab.work import Cancel, Progress, never, no_progress, stop_if

if TYPE_CHECKING:
    from editlab.model import LanguageModel


def ways_back(
    model: LanguageModel,
    request: EditRequest,
    probes: Sequence[Probe],
    ways: Mapping[str, View],
    progress: Progress = no_progress,
    cancel: Cancel = never,
) -> pd.DataFrame:
    """Return a row a way; `ways` has the edited model first, as "edited", and one view for each way to reverse the edit.

    What the unedited model answers is what should come back: a way says the same where every token of that answer has the
    same arg max, teacher-forced. Columns: `way`; at the edited prompt `answer` (text), `p_true`, `p_new` (0 to 1) and
    `restored` (whether it says the same); `again`: at how many of the `changed` probes, where the edited model does not say
    the same, this way does; `broken`: at how many of the others it does not; `locality`: agreement with the unedited model
    at other subjects and other facts of the subject (0 to 1, NaN where none was asked). Raises `Cancelled`.
    """
    views = {ViewName.BASE: BASE, **ways}
    asked = [replace(probe, expected=None) for probe in probes]
    frames: list[pd.DataFrame] = []
    for kind, group in groupby(asked, key=lambda probe: probe.kind):
        stop_if(cancel, "Stopped before the ways back were compared.")
        progress(sum(map(len, frames)) / len(asked), f"ways back: {KINDS[kind]}")
        frames.append(ask(model, request, tuple(group), views, answers=kind == "success"))
    frame = pd.concat(frames, ignore_index=True)
    at_prompt = frame[frame["kind"] == "success"].iloc[0]
    return pd.DataFrame([_row(way, at_prompt, frame[frame["expected"].notna()]) for way in ways])


def _row(way: str, at_prompt: pd.Series, frame: pd.DataFrame) -> dict[str, Any]:
    says_nothing = pd.isna(at_prompt["expected"])  # without edits, at the edited prompt
    back, before = frame[f"{way}.same"] == 1, frame["edited.same"] == 1
    same = frame.loc[frame["kind"].isin(KEPT), f"{way}.same"]
    return {
        "way": way,
        "answer": at_prompt[f"{way}.answer"],
        "p_true": at_prompt[f"{way}.p_true"],
        "p_new": at_prompt[f"{way}.p_new"],
        "restored": bool(not at_prompt[f"{way}.answer"] if says_nothing else at_prompt[f"{way}.same"] == 1),
        "again": int((back & ~before).sum()),
        "changed": int((~before).sum()),
        "broken": int((~back & before).sum()),
        "locality": float(same.mean()) if len(same) else float("nan"),
    }
