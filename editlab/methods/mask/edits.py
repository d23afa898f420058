"""What a mask learns from: facts that the model knows, each edited on its own, kept as two vectors an edit and layer.

Any model gets its mask from facts that lie at hand: those that it says are edited to another object of their relation.
Edits are the long part of a training; they are written down chunk by chunk, so that a stopped one goes on.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from editlab import storage
from editlab.errors import BadRequest, DegenerateKey, TooLong
from editlab.facts import EditRequest, Fact, FactBase
from editlab.methods._method import Method
from editlab.methods.mask.batch import Example
from editlab.model import statistics
from editlab.patches import BASE, LowRank
from editlab.work import Cancel, Progress, never, no_progress, stop_if

if TYPE_CHECKING:
    from editlab.model import LanguageModel

EDITS = 1_500
"""Edits to learn from where nobody says how many."""
ASKED_AT_ONCE = 256
"""Facts that the model is asked for together."""
AT_ONCE = 64
"""Edits that are made, and written down, together."""
QUICK = {"contexts": 2}
"""Settings of edits that are made to be reversed: fewer contexts make them several times faster."""
PARAPHRASES = 2
"""Other wordings of each fact at which its edit is reversed as well."""


@dataclass(frozen=True)
class Lesson:
    """A fact to be edited, so that a mask learns to reverse it; other wordings of the fact ask for it too."""

    request: EditRequest
    paraphrases: tuple[str, ...] = ()


def lessons(
    model: LanguageModel,
    facts: FactBase,
    most: int,
    without: Collection[str] = (),
    seed: int = 0,
    cancel: Cancel = never,
) -> list[Lesson]:
    """Return at most `most` facts that the model says, each with another object of its relation, `without` some subjects.

    Drawn with `seed`, and only as many are asked as are needed. A fact comes again with another object where there are more
    to be made than facts. Raises `BadRequest` where the model knows none of them, and `Cancelled`.
    """
    rng = random.Random(f"mask/{seed}")
    drawn = [fact for fact in rng.sample(facts.facts, len(facts.facts)) if fact.subject not in without]
    known: list[tuple[Fact, list[str]]] = []
    for start in range(0, len(drawn), ASKED_AT_ONCE):
        if len(known) >= most:
            break
        stop_if(cancel)
        chunk = drawn[start : start + ASKED_AT_ONCE]
        asked = [(f, rng.sample(own := facts.relations[f.relation].templates, len(own))) for f in chunk]
        said = model.score([t[0].replace("{}", f.subject) for f, t in asked], [f.object for f, _ in asked])
        known += [pair for pair, own in zip(asked, said, strict=True) if own.hit]
    if not known:
        raise BadRequest(
            f"{model.name} knows none of the {len(drawn):,} facts it was asked, so there is nothing to edit and reverse. "
            "Load a model that does, or give facts that it knows: editlab mask train --facts FILE"
        )
    found: list[Lesson] = []
    objects = {name: sorted({fact.object for fact in own}) for name, own in facts.by_relation.items()}
    for turn in range(-(-most // len(known))):
        for fact, templates in known:
            others = [name for name in objects[fact.relation] if name.casefold() != fact.object.casefold()]
            if others:
                first, *rest = templates[turn % len(templates) :] + templates[: turn % len(templates)]
                request = EditRequest(first, fact.subject, rng.choice(others), fact.object)
                found.append(Lesson(request, tuple(t.replace("{}", fact.subject) for t in rest[:PARAPHRASES])))
    return found[:most]


def make_edits(
    model: LanguageModel,
    lessons: Sequence[Lesson],
    method: Method,
    config: Any = None,
    folder: Path | None = None,
    progress: Progress = no_progress,
    cancel: Cancel = never,
) -> Iterator[Example | str]:
    """Yield each lesson as an edit of its own on the unedited model, or the sentence that says why it cannot be made.

    With `folder`, edits are written there chunk by chunk, and what is there already is read instead of made.
    """
    for start in range(0, len(lessons), AT_ONCE):
        stop_if(cancel)
        progress(start / len(lessons), f"mask: edit {start + 1:,} of {len(lessons):,}")
        chunk = lessons[start : start + AT_ONCE]
        path = None if folder is None else folder / f"{_digest(model, chunk, method, config)}.safetensors"
        made = _read(path, model) if path is not None else None
        if made is None:
            made = _made(model, chunk, method, config, cancel)
            if path is not None:
                _write(path, made)
        for lesson, patches in zip(chunk, made, strict=True):
            yield patches if isinstance(patches, str) else Example(lesson.request, patches, lesson.paraphrases)


def _made(
    model: LanguageModel, lessons: Sequence[Lesson], method: Method, config: Any, cancel: Cancel
) -> list[tuple[LowRank, ...] | str]:
    """Return the patches of each; all at once where the method does not solve them together, else one after the other."""
    if not method.joint:
        try:
            return list(method.edit(model, [lesson.request for lesson in lessons], BASE, config, cancel=cancel).solves)
        except (BadRequest, DegenerateKey, TooLong):
            pass  # one of them cannot be edited: find out which
    made: list[tuple[LowRank, ...] | str] = []
    for lesson in lessons:
        try:
            made.append(method.edit(model, [lesson.request], BASE, config, cancel=cancel).patches)
        except (BadRequest, DegenerateKey, TooLong) as error:
            made.append(f"{lesson.request.subject}: {error}")
    return made


def _write(path: Path, made: Sequence[tuple[LowRank, ...] | str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors, faults = {}, {}
    for number, patches in enumerate(made):
        if isinstance(patches, str):
            faults[str(number)] = patches
            continue
        for patch in patches:
            tensors |= {f"{number}.{patch.layer}.A": patch.A.cpu(), f"{number}.{patch.layer}.B": patch.B.cpu()}
    header = {"size": str(len(made)), "faults": json.dumps(faults)}
    with storage.new_file(path) as part:
        save_file({k: v.contiguous() for k, v in tensors.items()}, part, header)


def _read(path: Path, model: LanguageModel) -> list[tuple[LowRank, ...] | str] | None:
    """Return what `_write` wrote; None where there is nothing that can be read."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata()
        tensors = {name: tensor.to(model.device) for name, tensor in load_file(path).items()}
    except (OSError, SafetensorError, KeyError, TypeError):
        return None
    made: list[tuple[LowRank, ...] | str] = [()] * int(header["size"])
    for number, sentence in json.loads(header["faults"]).items():
        made[int(number)] = sentence
    for name in sorted(tensors):
        number, layer, part = name.split(".")
        if part == "A":
            patch = LowRank(int(layer), tensors[name], tensors[f"{number}.{layer}.B"])
            made[int(number)] = (*made[int(number)], patch)
    return made


def _digest(model: LanguageModel, lessons: Sequence[Lesson], method: Method, config: Any) -> str:
    """Return a hash of all that shapes the edits."""
    asked, settled = [lesson.request.as_dict() for lesson in lessons], method.settle(config, model)
    read = [model.fingerprint, str(model.start), str(model.dtype), torch.get_float32_matmul_precision()]
    measured = statistics.digests(model, method.layers_measured(settled))
    return hashlib.sha256(json.dumps([*read, method.name, repr(settled), measured, asked]).encode()).hexdigest()[:16]
