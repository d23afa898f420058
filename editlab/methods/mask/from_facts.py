"""From facts to a mask: edit them, hold some out, train, and measure how many of the unseen edits it reverses."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from editlab.errors import BadRequest
from editlab.methods._method import Method, Stopwatch
from editlab.methods.mask.batch import Example, batches
from editlab.methods.mask.config import MaskConfig
from editlab.methods.mask.edits import AT_ONCE, PARAPHRASES, QUICK, Lesson, make_edits
from editlab.methods.mask.files import ReversalMask
from editlab.methods.mask.training import layers_of, reversal, train
from editlab.patches import BASE
from editlab.wording import noop
from editlab.work import Cancel, Progress, never, no_progress, part_of

if TYPE_CHECKING:
    from editlab.model import LanguageModel

HELD_OUT = 0.1
"""Share of the subjects whose edits the training never sees."""
SAMPLE = 16
"""Edits that are made to tell what all of them will cost."""


@dataclass(frozen=True)
class Cost:
    """What a training will take, measured on a few of its edits: seconds for the edits and the training, bytes it holds."""

    edits: int
    edit_seconds: float
    train_seconds: float
    bytes: int

    @property
    def sentence(self) -> str:
        """The same for a person."""
        minutes = (self.edit_seconds + self.train_seconds) / 60
        room = noop(f"{self.bytes / 1e9:.1f} GB beside the model")
        return noop(f"{self.edits:,} edits and the training: about {minutes:,.0f} minutes and {room}.")


def check_method(method: Method) -> None:
    """Raise `BadRequest` for a method whose edits no mask can reverse."""
    if not method.at_subject:
        raise BadRequest(
            f"A reversal mask is about the weights at which an edit writes to its subject, and {method.name} writes none "
            "there. Train one for another method."
        )


def make(
    model: LanguageModel,
    lessons: Sequence[Lesson],
    method: Method,
    config: MaskConfig | None = None,
    work: Path | None = None,
    progress: Progress = no_progress,
    cancel: Cancel = never,
) -> tuple[ReversalMask, list[Example]]:
    """Edit the lessons, train on nine tenths of their subjects, and measure on the rest; with the edits it was trained on.

    Edits that do not hold teach nothing and are left out. With `work`, a folder, edits and training are kept there, and a
    stopped call goes on from it. Raises `BadRequest` where too few edits hold, `Cancelled` when stopped.
    """
    watch, config = Stopwatch(), config or MaskConfig()
    check_method(method)
    quick = method.config_for(model, **QUICK)
    made = list(make_edits(model, lessons, method, quick, work, part_of(progress, 0.0, 0.5), cancel))
    held = _that_hold(model, [one for one in made if isinstance(one, Example)])
    training, unseen = _split(held, config.seed)
    if not unseen:
        few = noop(f"Only {len(held)} of {len(lessons)} edits hold: too few for a mask")
        raise BadRequest(f"{few}. Give more facts that the model knows.")
    keep = None if work is None else work / f"mask-{method.name}.safetensors"
    *_, (_, masks) = train(model, training, unseen, config, BASE, keep, part_of(progress, 0.5, 1.0), cancel)
    layers = sorted({patch.layer for example in held for patch in example.patches})
    report = {
        "n_train": len(training),
        "n_unseen": len(unseen),
        "skipped": len(lessons) - len(held),
        "pruned": sum(mask.pruned for mask in masks) / len(masks),
        **{
            name: reversal(list(batches(model, [replace(e, paraphrases=()) for e in own], layers, config.batch)), masks)
            for name, own in (("reversed_train", training), ("reversed_unseen", unseen))
        },
        "seconds": round(watch.seconds, 1),
        "settings": asdict(config),
        "edits": asdict(quick),
    }
    return ReversalMask(method.name, masks, report), training


def cost(
    model: LanguageModel,
    lessons: Sequence[Lesson],
    method: Method,
    config: MaskConfig | None = None,
    cancel: Cancel = never,
) -> Cost:
    """Return what `make` will take, from making a few of its edits and training on them once.

    Raises `BadRequest` where none of them can be made or they touch no layer to be masked, `Cancelled` when stopped.
    """
    config = config or MaskConfig()
    sample = random.Random(config.seed).sample(lessons, min(SAMPLE, len(lessons)))
    quick, watch = method.config_for(model, **QUICK), Stopwatch()
    found = [one for one in make_edits(model, sample, method, quick, cancel=cancel) if isinstance(one, Example)]
    editing = watch.seconds / len(sample)
    if not found:
        raise BadRequest("None of the facts could be edited. Give facts whose subjects the tokenizer knows.")
    watch = Stopwatch()
    layers, _ = layers_of(found, BASE, config)
    for batch in batches(model, found, layers, config.batch):
        batch.logits({layer: model.weight(layer).new_ones(model.d_model, model.d_ff) for layer in layers})
    forward = watch.seconds / len(found)
    tokens = sum(len(model.tok.encode(prompt)) for example in found for prompt in example.prompts) / len(found)
    size = int(len(lessons) * tokens * (model.d_ff + 2 * model.d_model) * 4 * len(layers))
    once = len(lessons) * (1 + PARAPHRASES + config.plain)
    visits = max(once * config.epochs, config.steps * config.batch) / (1 + PARAPHRASES)
    return Cost(len(lessons), editing * len(lessons), 2 * forward * visits, size)


def _that_hold(model: LanguageModel, examples: Sequence[Example]) -> list[Example]:
    """Return the edits whose new object is likelier than the true one: only these can be reversed."""
    if not examples:
        return []
    layers = sorted({patch.layer for example in examples for patch in example.patches})
    bare = [replace(example, paraphrases=()) for example in examples]
    leads = torch.zeros(len(examples), device=model.device)
    with torch.no_grad():
        for batch in batches(model, bare, layers, AT_ONCE):
            leads[batch.owner] = batch.leads({})
    return [example for example, ahead in zip(examples, leads.tolist(), strict=True) if ahead < 0]


def _split(examples: Sequence[Example], seed: int) -> tuple[list[Example], list[Example]]:
    """Split by subject: no subject of the held-out edits is trained on."""
    subjects = sorted({example.request.subject for example in examples})
    unseen = set(random.Random(seed).sample(subjects, round(HELD_OUT * len(subjects))))
    return (
        [example for example in examples if example.request.subject not in unseen],
        [example for example in examples if example.request.subject in unseen],
    )
