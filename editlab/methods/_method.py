"""What a method is, and what it gives back."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch

from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.methods._settings import MethodSettings
from editlab.patches import BASE, Dense, LowRank, Patch, View
from editlab.wording import noop
from editlab.work import Cancel, Progress, never, no_progress

if TYPE_CHECKING:
    from editlab.methods._delta import Value
    from editlab.model import LanguageModel


@dataclass(frozen=True)
class Edited(Sequence[Patch]):
    """The patches of one call, in the order in which they are laid, with what is known about them.

    `solves` groups them as they can be removed: one ROME edit, or one MEMIT batch as a whole. `health` has one entry a
    request; `contexts` are the texts in front of the prompt that shaped it.
    """

    method: str
    requests: tuple[EditRequest, ...]
    layers: tuple[int, ...]
    solves: tuple[tuple[Patch, ...], ...]
    health: tuple[dict[str, float], ...]
    contexts: tuple[str, ...]
    seconds: float

    @property
    def patches(self) -> tuple[Patch, ...]:
        """All patches, solve after solve."""
        return tuple(patch for solve in self.solves for patch in solve)

    def __len__(self) -> int:
        return len(self.patches)

    def __getitem__(self, index: Any) -> Any:
        return self.patches[index]

    def __iter__(self) -> Iterator[Patch]:
        return iter(self.patches)


Group = Literal["locate", "tune", "remember", "tell"]
GROUPS: dict[Group, str] = {
    "locate": noop("Locate and edit: a solved change of a few matrices"),
    "tune": noop("Fine-tuning: a trained change of one matrix"),
    "remember": noop("A memory beside the weights"),
    "tell": noop("Text before the question: no weight changes"),
}
"""What a method changes, as people read it."""


class Method(ABC):
    """A way to make patches. It knows a model and requests; no page, no database, no user.

    `title`: its name and what it does, in a few words. `about`: the same in a sentence or two, with its source, as people
    read it before they choose; without one, its docstring says it, in English alone. `group`: what it changes, by which
    people find it. `like`: the method whose preset it takes, as far as it has those settings, where a model has none of its
    own. `joint`: the requests of one call are solved together, so that each one's patch depends on the others. `spares`:
    `edit` also takes the `earlier` requests that the view holds, to spare them. `scans`: it tries many layers and takes one.
    `needs_statistics`: it cannot do without the key statistics of its layers; `whitens`: it reads them at all.
    `at_subject`: it writes what the subject's last token retrieves, which REP and a mask build on. A method without layers
    has no setting `layers`; one that draws nothing has no `seed`, and drops one that is given.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    about: ClassVar[str] = ""
    group: ClassVar[Group] = "locate"
    like: ClassVar[str] = ""
    config: ClassVar[type[MethodSettings]]
    joint: ClassVar[bool] = False
    spares: ClassVar[bool] = False
    scans: ClassVar[bool] = False
    needs_statistics: ClassVar[bool] = False
    whitens: ClassVar[bool] = True
    at_subject: ClassVar[bool] = True

    @abstractmethod
    def edit(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        view: View = BASE,
        config: Any = None,
        progress: Progress = no_progress,
        cancel: Cancel = never,
    ) -> Edited:
        """Return patches that, on top of `view`, make the model say each request's new object."""

    def prepare(self, model: LanguageModel, config: Any) -> None:  # noqa: B027 - most methods need nothing
        """Compute and keep what all edits with this configuration share, so that the first one does not wait for it."""

    def config_for(self, model: LanguageModel, /, **changes: Any) -> Any:
        """Return the settings for a model: the preset's values where it has some, else the defaults, then `changes`.

        Raises `BadRequest` for a setting that the method does not have, or a value that does not fit it.
        """
        known = self._known
        changes = self._own(changes)
        located = "layers" in known
        default = default_layers(self.config, model) if located else {}
        alike = {name: value for name, value in model.preset.get(self.like, {}).items() if name in known}
        config = self.config(**{**default, **alike, **model.preset.get(self.name, {}), **changes})
        if located and not (config.layers and all(0 <= layer < model.n_layers for layer in config.layers)):
            raise BadRequest(
                f"Layers must lie between 0 and {model.n_layers - 1} for {model.name}; given: {config.layers}.", "layers"
            )
        return config

    def check_settings(self, /, **changes: Any) -> None:
        """Raise `BadRequest` for changes that `config_for` refuses whatever the model is."""
        default = {"layers": (0,)} if "layers" in self._known else {}
        self.config(**{**default, **self._own(changes)})

    @property
    def _known(self) -> set[str]:
        """The names of the settings."""
        return {field.name for field in fields(self.config)}

    def _own(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Return the changes without a seed that the method does not have."""
        return {name: value for name, value in changes.items() if name in self._known or name != "seed"}

    def layers_measured(self, config: Any) -> tuple[int, ...]:
        """Return the layers whose key statistics an edit with this configuration reads where they exist."""
        return getattr(config, "layers", ()) if self.whitens and getattr(config, "whiten", True) else ()

    def settle(self, config: Any, model: LanguageModel) -> Any:
        """Return the settings to edit with: the given ones, with the model's layers where they name none; or the model's."""
        given = {} if config is None else dict(vars(config))
        return self.config_for(model, **{name: value for name, value in given.items() if name != "layers" or value})


def default_layers(kind: type, model: LanguageModel) -> dict[str, tuple[int, ...]]:
    """Return layers for a model that nobody validated: as deep, in proportion, as the published ones of a 7B Llama.

    Those begin at `depth`, 5 of 32 where the configuration does not say. Never the last one: nothing above it would
    carry what is retrieved to the end of the text.
    """
    last = max(1, model.n_layers - 1)
    first = min(max(1, round(model.n_layers * getattr(kind, "depth", 5 / 32))), last - 1)
    return {"layers": tuple(range(first, min(first + getattr(kind, "spread", 1), last)))}


def check_requests(model: LanguageModel, requests: Sequence[EditRequest]) -> None:
    """Refuse, before any work, what cannot be edited: nothing to do, or a subject the tokenizer cannot place."""
    if not requests:
        raise BadRequest("There is nothing to edit: give at least one request.")
    for request in requests:
        model.locate(request.prompt, request.subject)
        model.tok.with_target(request.text, request.target_new)


def probability_of_new(model: LanguageModel, requests: Sequence[EditRequest], views: Sequence[View]) -> list[float]:
    """Return p(target_new) at each edit prompt under its view, measured and not taken from the edit's loss."""
    return [s.p for s in model.score([r.text for r in requests], [r.target_new for r in requests], list(views))]


def relative_norm(model: LanguageModel, patch: LowRank | Dense) -> float:
    """Return |dW| / |W| in the Frobenius norm at the patch's layer."""
    key = f"norm of W at layer {patch.layer}"
    if key not in model.memo:
        model.memo[key] = model.weight(patch.layer).norm().item()
    if isinstance(patch, Dense):
        return patch.D.norm().item() / model.memo[key]
    A, B = patch.A.double(), patch.B.double()
    squared = ((A @ A.T) * (B.T @ B)).sum().clamp(min=0)
    return float(torch.sqrt(squared)) / model.memo[key]


def health_of_solve(
    values: Sequence[Value], reached: Sequence[float], norm: float, whitened: bool, seconds: float
) -> tuple[dict[str, float], ...]:
    """Return the health of requests that were solved together, which share the norm and the time of their solve."""
    shared = {"relative_norm": norm, "whitened": float(whitened)}
    return tuple(
        {**shared, "loss": value.loss, "steps": value.steps, "p_new": p, "seconds": seconds / len(values)}
        for value, p in zip(values, reached, strict=True)
    )


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return time.perf_counter() - self._began
