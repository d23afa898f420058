"""The rows of `bench forensics`, one a copy of the model, and the rates that they give.

Rates have intervals by bootstrap over copies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from editlab.bench.bootstrap import rate_interval
from editlab.bench.roc import auc, auc_interval

RATES = ("flagged", "layer_found", "subject_first", "object_first", "object_five", "written_first", "written_five")
REVERSALS = ("reversed", "restored", "reversed_plainly")
NAMED = tuple(
    f"named_{rate}"
    for rate in ("flagged", "layer_found", "subject_first", "object_first", "object_five", "reversed", "restored", "facts")
)
"""The same where names were tried at each layer, instead of directions of its spectrum."""


@dataclass(frozen=True)
class ForensicRow:
    """One copy. `kind`: "edited", "chain", or how it was changed without an edit; `found`: what was measured on it.

    Of an edited copy: `score`, `layer`, `rank` of what was found; the rates of `RATES`, `REVERSALS` and `NAMED` as 0 or 1;
    `facts`, the share of other facts that are still said after the reversal; `named`, the score by names; `mask`,
    `mask_clean`, `mask_other`: the change under the reversal mask at the edited prompt, at the same prompt of the clean
    model, and at another's prompt of the edited one.
    """

    key: str
    case: str
    method: str
    kind: str
    found: Mapping[str, Any] = field(default_factory=dict)
    skipped: str | None = None

    def as_json(self) -> str:
        """Return one line of a file of rows."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> ForensicRow:
        """Return the row of such a line. Raises `ValueError` or `TypeError` where it is none."""
        return cls(**json.loads(line))


def summary(rows: Sequence[ForensicRow], clean: Sequence[ForensicRow], seed: int = 0) -> dict[str, Any]:
    """Return the line of one method: rates with intervals, and the ROC of the scan and of the mask."""
    measured = [row.found for row in rows if row.skipped is None and row.kind == "edited"]
    line: dict[str, Any] = {
        "method": rows[0].method,
        "n": len(measured),
        "skipped": sum(row.skipped is not None for row in rows),
        "held": sum(found["held"] for found in measured),
    }
    for name in (*RATES, *REVERSALS, "facts", "facts_plainly", *NAMED):
        line |= rate(name, [found[name] for found in measured if found.get(name) is not None], seed)
    for name, score in (("auc", "score"), ("auc_named", "named")):
        positive, negative = ([f[score] for f in own if score in f] for own in (measured, [row.found for row in clean]))
        line |= area(name, positive, negative, seed)
    masked = [found for found in measured if "mask" in found and found["held"]]
    for name in ("mask_clean", "mask_other"):
        line |= area(f"auc_{name}", [found["mask"] for found in masked], [found[name] for found in masked], seed)
    return line


def false_alarms(rows: Sequence[ForensicRow], seed: int = 0) -> list[dict[str, Any]]:
    """Return a line for each way to change a model without an edit."""
    lines = []
    for kind in dict.fromkeys(row.kind for row in rows):
        own = [row.found for row in rows if row.kind == kind]
        line = {"kind": kind, "n": len(own), "highest": max(found["score"] for found in own)}
        line |= {"highest_named": max((found["named"] for found in own if "named" in found), default=None)}
        for name in ("flagged", "named_flagged"):
            line |= rate(name, [found[name] for found in own if name in found], seed)
        lines.append(line)
    return lines


def rate(name: str, values: Sequence[float], seed: int) -> dict[str, Any]:
    """Return a mean with its interval; None where there is nothing."""
    if not values:
        return {name: None, f"{name}_ci": None}
    return {name: mean(values), f"{name}_ci": list(rate_interval(values, [1] * len(values), seed))}


def area(name: str, positive: Sequence[float], negative: Sequence[float], seed: int) -> dict[str, Any]:
    """Return an area under the ROC curve with its interval; None where one of the kinds is missing."""
    if not positive or not negative:
        return {name: None, f"{name}_ci": None}
    return {name: auc(positive, negative), f"{name}_ci": list(auc_interval(positive, negative, seed))}


def mean(values: Sequence[float]) -> float | None:
    """Return a mean; None where there is nothing."""
    return sum(map(float, values)) / len(values) if values else None
