"""Tables of check-ups as the monitor makes them."""

from typing import Any

from pandas import DataFrame

from editlab.lab.workspaces.alarms import table_of


def table(**columns: list[Any]) -> DataFrame:
    """A table of check-ups, at events 10, 20, ...; what is not given is healthy."""
    count = len(next(iter(columns.values())))
    usual = {"holds": 1.0, "retention": 1.0, "locality": 1.0, "same_subject": None, "loss": 0.0, "kl": 0.0}
    usual |= {"relative_norm": 0.1, "value_norm": 1.0, "attention": 0.0, "loss_base": 0.0, "seconds": 1.0}
    rows = [
        {**usual, "number": 10 * (n + 1), "at": f"2026-11-21T14:0{n}:00+00:00", "count": n + 1}
        | {name: values[n] for name, values in columns.items()}
        for n in range(count)
    ]
    return table_of(rows)
