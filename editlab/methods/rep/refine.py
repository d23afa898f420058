"""Makes the pathways of an edit: one a layer, bottom first, so that upper layers learn from keys as they will come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from editlab.errors import BadRequest, DegenerateKey
from editlab.methods._contexts import context_texts
from editlab.methods._method import Stopwatch
from editlab.methods.rep.config import RepConfig
from editlab.methods.rep.gate import learn_gate
from editlab.methods.rep.lessons import Keys, Lessons, read
from editlab.methods.rep.published import learn_pathway
from editlab.patches import BARE, BASE, Form, LowRank, Patch, Pathway, View
from editlab.work import Cancel, Progress, never, no_progress, stop_if

if TYPE_CHECKING:
    from editlab.model import LanguageModel

CONTEXTS = ((5, 10), (10, 10))


@dataclass(frozen=True)
class Refined:
    """The pathways of an edit, the bottom layer first. `reused` of them were there before.

    `health`: of the lowest layer that was learnt, the share of positive and of negative keys at which its gate opens.
    """

    pathways: tuple[Pathway, ...]
    reused: int
    health: dict[str, float]
    seconds: float


def refine(
    model: LanguageModel,
    lessons: Lessons,
    patches: Sequence[Patch],
    view: View = BASE,
    config: RepConfig | None = None,
    progress: Progress = no_progress,
    cancel: Cancel = never,
    row: int = 0,
    form: Form = BARE,
) -> Refined:
    """Return a pathway for each layer that `patches`, an edit computed on `view`, touch by a low-rank update.

    A pathway of the same subject and layer that lies in `view` already is taken as it is. `row` tells which request of a
    batch is meant, `form` how the edit's prompt was put to the model. Trained on keys of forwards that stop at the layer;
    the same lessons give the same pathways. Raises `DegenerateKey` where the edit's own key does not hear the edit,
    `BadRequest` where no such update is in it.
    """
    watch, config = Stopwatch(), config or RepConfig()
    known = {pathway.layer: pathway for pathway in view.pathways if pathway.subject == lessons.subject}
    contexts = context_texts(model, CONTEXTS, config.seed)
    below = view.with_patches(patches)
    pathways: list[Pathway] = []
    health: dict[str, float] = {}
    edits = sorted((patch for patch in patches if isinstance(patch, LowRank)), key=lambda patch: patch.layer)
    if not edits:
        raise BadRequest("REP leads keys to a low-rank update, and this edit has none. Apply it without REP.")
    for number, patch in enumerate(edits):
        stop_if(cancel)
        progress(number / len(edits), f"REP: keys of layer {patch.layer}")
        pathway = known.get(patch.layer)
        if pathway is None:
            task = _Task(model, lessons, contexts, patch, row, below, config, form, cancel)
            published = config.recipe == "published"
            pathway, learnt = _published(task, len(edits) > 1) if published else _default(task, progress)
            health = health or learnt
            below = below.with_patches([pathway]).with_threshold(config.threshold)
        pathways.append(pathway)
    reused = sum(any(pathway is other for other in known.values()) for pathway in pathways)
    return Refined(tuple(pathways), reused, health, watch.seconds)


@dataclass(frozen=True)
class _Task:
    """One layer's pathway to be learnt: for a row of a patch, from keys under a view."""

    model: LanguageModel
    lessons: Lessons
    contexts: Sequence[str]
    patch: LowRank
    row: int
    view: View
    config: RepConfig
    form: Form
    cancel: Cancel

    def keys(self, contexts: Sequence[str]) -> Keys:
        """Return the labelled keys of the lessons behind these texts."""
        return read(self.model, self.lessons, contexts, self.patch.layer, self.view, self.config.seed, self.form)

    def own_keys(self, contexts: Sequence[str]) -> Float[Tensor, "contexts d_ff"]:
        """Return the key of the subject itself behind each text."""
        rows = [self.model.locate(self.lessons.prompt, self.lessons.subject, context, self.form) for context in contexts]
        return self.model.keys(rows, [self.patch.layer], self.view)[self.patch.layer]


def _default(task: _Task, progress: Progress) -> tuple[Pathway, dict[str, float]]:
    """Solve all but the gate: k' = k + gate(k) share (1 - s(k)) k_e, where s(k) = (u.k) / (u.k_e) is what k hears.

    Behind an open gate a key that heard nothing hears `share` of the edit, and the edit's own key stays where it is. With
    a share of 1 every key hears the same (docs/methods.md 3.9).
    """
    u, config = task.patch.A[task.row], task.config
    key = task.own_keys([""])[0]
    heard = u @ key
    if heard.abs() < 1e-4 * u.norm() * key.norm():
        raise DegenerateKey("The edit's own key does not hear it, so no other key can be brought there. Edit again first.")
    keys = task.keys(task.contexts[: max(1, config.contexts)])
    gate = learn_gate(keys, config, progress, task.cancel)
    U, V, b = config.share * key[:, None], -u[None] / heard, config.share * key
    pathway = Pathway(task.patch.layer, task.lessons.subject, U, V, b, gate.H, gate.h, gate.w, gate.c)
    return pathway, _health(pathway, keys, config)


def _published(task: _Task, spread: bool) -> tuple[Pathway, dict[str, float]]:
    """Learn a pathway towards u of an edit at one layer (ROME), or towards the mean key where it has several (MEMIT)."""
    u = task.patch.A[task.row]
    target = u / u.norm()
    if spread:
        keys = task.own_keys(task.contexts)
        target = 0.5 * keys[0] + 0.5 * keys[1:].mean(0)
    layer, seed = task.patch.layer, task.config.seed
    pathway = learn_pathway(task.model, task.lessons, task.contexts, layer, target, task.view, seed, task.cancel, task.form)
    return pathway, _health(pathway, task.keys(task.contexts[:1]), task.config)


@torch.no_grad()
def _health(pathway: Pathway, keys: Keys, config: RepConfig) -> dict[str, float]:
    fires = pathway.gate(keys.keys) > config.threshold
    shares = {"opens": fires[keys.positive], "opens_falsely": fires[~keys.positive]}
    size = sum(tensor.numel() * tensor.element_size() for tensor in vars(pathway).values() if torch.is_tensor(tensor))
    return {name: float(own.float().mean()) for name, own in shares.items()} | {"bytes": float(size)}
