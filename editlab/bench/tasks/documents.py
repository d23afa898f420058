"""The documents of the tasks, as the harness reads them: a text, four ways to go on, and which of them is right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from editlab.probes import ability
from editlab.probes.ability import Choice


def facts(**given: Any) -> Any:
    """Return the facts as the harness reads them."""
    return _dataset(ability.facts())


def prose(**given: Any) -> Any:
    """Return the prose as the harness reads it."""
    return _dataset(ability.prose())


def _dataset(choices: Sequence[Choice]) -> Any:
    from datasets import Dataset  # of the harness

    return {"test": Dataset.from_list([{"text": c.text, "choices": list(c.options), "right": c.right} for c in choices])}
