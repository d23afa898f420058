"""How a benchmark edits its cases: by which method, and which of them together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from editlab import methods
from editlab.errors import BadRequest, DegenerateKey, TooLong
from editlab.facts import EditCase, EditRequest
from editlab.methods.rep import OFF, RepConfig, check_threshold, recipe_of
from editlab.patches import BASE, Patch, View

if TYPE_CHECKING:
    from editlab.model import LanguageModel

CASES_AT_ONCE = 16
CASE_FAULTS = (BadRequest, DegenerateKey, TooLong)
"""What a single case can be at fault for; any other error concerns them all and ends the run."""
Pack = Sequence[EditCase]
"""Cases that are asked under one view."""


@dataclass(frozen=True)
class Rep:
    """One way to refine an edit: `off`, or a recipe at a threshold (None: the recipe's own). Raises `BadRequest`."""

    recipe: str = OFF
    threshold: float | None = None

    def __post_init__(self) -> None:
        recipe_of(self.recipe)
        if self.threshold is not None:
            check_threshold(self.threshold)

    @property
    def config(self) -> RepConfig:
        """The recipe's settings."""
        return RepConfig(recipe=self.recipe)

    @property
    def fires_above(self) -> float | None:
        """The threshold of its view; None where there is no pathway."""
        if self.recipe == OFF:
            return None
        return self.config.threshold if self.threshold is None else self.threshold


@dataclass(frozen=True)
class Setup:
    """One way to edit: a method, with the settings that differ from the model's preset (`layers`, `keys`, ...).

    `reps`: all that is asked of one and the same edit. `chain`: so many cases are edited in one view, each on top of those
    before it, and asked when the last one is applied; where cases are left over, their chain is shorter. `generated`:
    answers are written too, and judged beside the tokens that are teacher-forced. `most`: so many probes of each kind and
    domain, the first ones; None: all.
    """

    method: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    reps: tuple[Rep, ...] = (Rep(),)
    chain: int = 1
    generated: bool = False
    most: int | None = None

    def config(self, model: LanguageModel) -> Any:
        """Return the method's configuration for a model."""
        return methods.config_for(self.method, model, **self.changes)


@dataclass(frozen=True)
class Edit:
    """One case's patches, the view they were computed on, how long that took, and what the method says of their health."""

    patches: tuple[Patch, ...]
    below: View
    seconds: float
    health: Mapping[str, float] = field(default_factory=dict)


def at_each(setup: Setup, layers: Sequence[int]) -> list[Setup]:
    """Return a setup for each layer, which is edited alone. Raises `BadRequest` for a method that has no layers."""
    method = methods.get(setup.method)
    if "layers" not in {field.name for field in fields(method.config)}:
        raise BadRequest(f"{method.name} edits no layer that could be chosen. Choose another method.")
    return [replace(setup, changes={**setup.changes, "layers": (layer,)}) for layer in layers]


def grouped(cases: Sequence[EditCase]) -> list[Pack]:
    """Return the cases whose edits belong together (`EditCase.group`), in their order; most stand alone."""
    return [tuple(own) for _, own in groupby(cases, key=lambda case: case.group or id(case))]


def packs_of(cases: Sequence[EditCase], setup: Setup) -> list[Pack]:
    """Return the cases that are asked under one view: a chain's; else each by itself, or with those of its group."""
    if setup.chain == 1:
        return grouped(cases)
    return [cases[start : start + setup.chain] for start in range(0, len(cases), setup.chain)]


def in_calls(packs: Sequence[Pack], setup: Setup) -> Iterator[list[Pack]]:
    """Yield packs whose edits are computed in one call, each as if it were alone."""
    chunk: list[Pack] = []
    for pack in packs:
        chunk.append(pack)
        if setup.chain > 1 or methods.get(setup.method).joint or sum(map(len, chunk)) >= CASES_AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def edits_of(model: LanguageModel, setup: Setup, config: Any, chunk: Sequence[Pack]) -> list[list[Edit | str]]:
    """Return each case's edit, on the base model or, in a chain, on top of those before it, or why there is none."""
    if setup.chain == 1:
        return _alone(model, setup, config, chunk)
    (pack,) = chunk
    edits: list[Edit | str] = []
    view = BASE
    for case in pack:
        held = [earlier.request for earlier, edit in zip(pack, edits, strict=False) if isinstance(edit, Edit)]
        edit = _alone(model, setup, config, [[case]], view, held)[0][0]
        edits.append(edit)
        view = view.with_patches(edit.patches) if isinstance(edit, Edit) else view
    return [edits]


def _alone(
    model: LanguageModel,
    setup: Setup,
    config: Any,
    packs: Sequence[Pack],
    view: View = BASE,
    earlier: Sequence[EditRequest] = (),
) -> list[list[Edit | str]]:
    """Return the edits of packs on top of the `earlier` ones; all cases of a joint method's pack have the same patches."""
    requests = [case.request for pack in packs for case in pack]
    method = methods.get(setup.method)
    try:
        edited = method.edit(model, requests, view, config, **({"earlier": earlier} if method.spares else {}))
    except CASE_FAULTS as error:
        if len(packs) == 1:
            return [[str(error)] * len(packs[0])]
        return [_alone(model, setup, config, [pack], view, earlier)[0] for pack in packs]
    solves, health = iter(edited.solves * (len(requests) if method.joint else 1)), iter(edited.health)
    return [[Edit(next(solves), view, edited.seconds / len(requests), next(health)) for _ in pack] for pack in packs]
