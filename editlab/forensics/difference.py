"""A checkpoint against its base: which weights differ, by how much, in how many directions, and which edits explain it.

Two weights at a time are in memory. Weights that are the same as stored (`rounding.py`) do not differ; the others are
described by a spectrum above the noise of rounding, and held against the matrices of known edits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from editlab.errors import BadModel
from editlab.forensics import beside
from editlab.forensics.checkpoint import Checkpoint
from editlab.forensics.explanation import explain
from editlab.forensics.known import Known, Update, distinct, fits
from editlab.forensics.pairs import Pair, adapter_pairs, names_of, pairs, shapes_of
from editlab.forensics.rounding import Spectrum, norm_of, spectrum_of
from editlab.model import lora
from editlab.work import Cancel, Progress, never, no_progress, stop_if

Fit = Literal["exact", "rounding", "part", "none"]
"""How a change is explained: to the last bit; but for rounding; in part; not at all."""
BLURRED = 2.0
"""By how much the floor is raised under what edits leave: two roundings part there, and others add up in another order."""
Placed = tuple[int, tuple[Update, ...]]
"""The place of an edit among the known ones, and what it adds to a weight."""
BLOCK = re.compile(r"\.(\d+)\.")
STOPPED = "Stopped. The checkpoint was not checked to its end."


@dataclass(frozen=True)
class Change:
    """One weight that differs. `base_norm`: the Frobenius norm of the base's, None where that is not at hand.

    `norm`: that of the change; `noise`: what rounding alone can have; `spectrum`: of the change; `edits`: the coefficients
    of the known edits in it, by their places; `left_norm`, `left`: norm and spectrum of what they do not explain.
    """

    name: str
    shape: tuple[int, ...]
    norm: float
    base_norm: float | None
    noise: float
    spectrum: Spectrum
    edits: Mapping[int, float]
    left_norm: float
    left: Spectrum
    fit: Fit

    @property
    def layer(self) -> int | None:
        """The block that it belongs to."""
        found = BLOCK.search(self.name)
        return int(found[1]) if found else None

    @property
    def relative(self) -> float | None:
        """The size of the change as a share of the base's weight."""
        return self.norm / self.base_norm if self.base_norm else None

    @property
    def explained(self) -> float:
        """The share of the squared change that the known edits explain, 0 to 1."""
        if self.fit == "none":
            return 0.0
        return max(0.0, 1 - (self.left_norm / self.norm) ** 2)

    @property
    def is_explained(self) -> bool:
        """Whether nothing is left of it but rounding."""
        return self.fit in ("exact", "rounding")


@dataclass(frozen=True)
class Found:
    """A known edit in the checkpoint: its coefficients by weight. `of`: in how many weights it would be."""

    name: str
    source: str
    coefficients: Mapping[str, float]
    of: int


@dataclass(frozen=True)
class Difference:
    """How a checkpoint differs from its base.

    `compared`: how many weights were held against each other; `rounded`: how many of them are the same but for how they are
    stored; `added`, `missing`: names of weights that only one of the two has; `beside`: what else differs; `known`: how many
    edits it was held against, `strange` how many of those fit no weight, by name and shape.
    """

    checkpoint: str
    base: str | None
    compared: int
    rounded: int
    changes: tuple[Change, ...]
    edits: tuple[Found, ...]
    added: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    known: int = 0
    strange: int = 0

    @property
    def is_none(self) -> bool:
        """Whether checkpoint and base answer alike, by all that was compared."""
        return not (self.changes or self.added or self.missing or self.beside)

    @property
    def is_explained(self) -> bool:
        """Whether the known edits are all that differs."""
        return not (self.added or self.missing or self.beside) and all(change.is_explained for change in self.changes)

    @property
    def explained(self) -> float:
        """The share of all changes, squared and summed, that the known edits explain, 0 to 1; 1 where nothing differs."""
        total = sum(change.norm**2 for change in self.changes)
        if not math.isfinite(total):
            return 0.0
        return sum(change.explained * change.norm**2 for change in self.changes) / total if total else 1.0


def compare(
    checkpoint: Checkpoint | lora.Adapter,
    base: Checkpoint | None,
    edits: Sequence[Known] = (),
    progress: Progress = no_progress,
    cancel: Cancel = never,
) -> Difference:
    """Return how a checkpoint, or what a LoRA adds, differs from its base, and what is known of it.

    Raises `BadModel` for files that are damaged and for a base of another architecture, `Cancelled`.
    """
    edits = distinct(edits)
    added: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    other: tuple[str, ...] = ()
    if isinstance(checkpoint, lora.Adapter):
        found, of = adapter_pairs(checkpoint, base), len(checkpoint.pairs())
    elif base is None:
        raise BadModel(f"{checkpoint.name} is a whole model: name the base that it is held against.")
    else:
        names = names_of(checkpoint, base)
        added, missing, other = names.added, names.missing, beside.apart(checkpoint, base)
        found, of = pairs(checkpoint, base, names.both), len(names.both)
    shapes = shapes_of(checkpoint if base is None else base)
    updates = _by_weight(edits, base, shapes)
    changes, rounded, number = [], 0, 0
    for number, (name, pair, stored) in enumerate(found, start=1):
        stop_if(cancel, STOPPED)
        progress(number / of, f"comparing weights: {number:,} of {of:,}, {name}")
        rounded += stored
        if pair is not None:
            changes.append(_change(pair, updates.get(_plain(name, base), ())))
    told = tuple(_found(edits, changes))
    strange = len(edits) - len({place for rows in updates.values() for place, _ in rows})
    name = base and base.name
    return Difference(
        checkpoint.name, name, number, rounded, tuple(changes), told, added, missing, other, len(edits), strange
    )


@torch.no_grad()
def _change(pair: Pair, edits: Sequence[Placed]) -> Change:
    shape, floor = tuple(pair.change.shape), pair.floor
    base_norm = None if pair.base is None else norm_of(pair.base)
    norm = norm_of(pair.change)
    if not math.isfinite(norm):
        nothing = Spectrum((), floor.top)
        return Change(pair.name, shape, math.inf, base_norm, floor.norm, nothing, {}, math.inf, nothing, "none")
    fitting = [(place, own) for place, own in edits if all(fits(update, shape) for update in own)]  # a vocabulary may be cut
    told = explain(pair.change, fitting, pair.left_by)
    spectrum = spectrum_of(pair.change, floor.top)
    left = spectrum if told.left is pair.change else spectrum_of(told.left, BLURRED * floor.top)
    left_norm = norm_of(told.left)
    return Change(
        pair.name,
        shape,
        norm,
        base_norm,
        floor.norm,
        spectrum,
        told.coefficients,
        left_norm,
        left,
        _fit(told.coefficients, left_norm, left),
    )


def _fit(coefficients: Mapping[int, float], left_norm: float, left: Spectrum) -> Fit:
    if not coefficients:
        return "none"
    if left_norm == 0:
        return "exact"
    return "part" if left.values else "rounding"


def _plain(name: str, base: Checkpoint | None) -> str:
    """Return a weight's name as edits and files share it; an adapter without a base is held against its own names."""
    return name if base is None else base.plain(name)


def _by_weight(
    edits: Sequence[Known], base: Checkpoint | None, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, tuple[Placed, ...]]:
    """Return what the edits add to each weight whose shape they fit, with their places, by the weight's plain name."""
    found: dict[str, tuple[Placed, ...]] = {}
    for place, edit in enumerate(edits):
        for name, updates in edit.updates.items():
            plain = _plain(name, base)
            if plain in shapes and all(fits(update, shapes[plain]) for update in updates):
                found[plain] = (*found.get(plain, ()), (place, updates))
    return found


def _found(edits: Sequence[Known], changes: Sequence[Change]) -> Iterator[Found]:
    """Yield the edits that are in the checkpoint, with their coefficients."""
    for place, edit in enumerate(edits):
        own = {change.name: change.edits[place] for change in changes if place in change.edits}
        if own:
            yield Found(edit.name, edit.source, own, len(edit.updates))
