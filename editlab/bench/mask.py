"""The reversal mask's table (Holmov et al. 2026, arXiv 2605.28839): how many edits one mask reverses, and at what price.

Each edit is made alone on the unedited model and asked at its own prompt, as it is and under masks: the one that was learnt,
and others of its size that learnt nothing. Reversed counts edits that had succeeded; log-probabilities are of whole objects.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from editlab import methods
from editlab.answers import ViewName
from editlab.atlas.report import chapter_loss
from editlab.bench.bootstrap import rate_interval
from editlab.facts import EditCase, FactBase
from editlab.methods.mask import (
    Batch,
    Example,
    Lesson,
    MaskConfig,
    ReversalMask,
    baselines,
    batches,
    make_edits,
    own_delta,
    train,
)
from editlab.patches import BASE, Mask, View
from editlab.work import Progress, no_progress

if TYPE_CHECKING:
    from editlab.model import LanguageModel

AT_ONCE = 8
"""Edits whose masked weights are held at a time."""
MASK, OWN = "mask", "own_delta_magnitude"
FACTS = 1_000
"""Unedited facts that are asked under the mask."""
EDITS = 5
"""Edits under which unedited facts and prose are asked."""
TOKENS = 10_000
"""Tokens of each text of prose."""

Row = dict[str, Any]


def lessons_of(cases: Sequence[EditCase]) -> tuple[list[Lesson], list[str]]:
    """Return the cases as edits to reverse, and a sentence for each case without a true object, which cannot be reversed."""
    usable = [case for case in cases if case.request.target_true]
    missing = [f"case {case.id}: it names no true object" for case in cases if not case.request.target_true]
    return [Lesson(case.request, case.paraphrases[:2]) for case in usable], missing


def edits(
    model: LanguageModel, lessons: Sequence[Lesson], method: str, folder: Path | None, progress: Progress
) -> tuple[list[Example], list[str]]:
    """Return each lesson as an edit with the model's own settings, and why some could not be made; `folder` keeps them."""
    how = methods.get(method)
    found = list(make_edits(model, lessons, how, methods.config_for(method, model), folder, progress))
    return [f for f in found if isinstance(f, Example)], [f for f in found if isinstance(f, str)]


def rows(
    model: LanguageModel,
    examples: Sequence[Example],
    masks: Mapping[str, Sequence[Mask]],
    progress: Progress = no_progress,
) -> Iterator[Row]:
    """Yield one row an edit: whether it `held` (the new object is said) and whether the model `knew` the true one.

    For every mask NAME: "NAME.reversed", "NAME.top1" (the unedited model's next token is back), "NAME.kl" (nats, unedited
    against masked) and "NAME.said" (the new object is still said). `OWN` is the largest entries of each edit itself.
    """
    for start in range(0, len(examples), AT_ONCE):
        progress(start / len(examples), f"mask: edit {start + 1} of {len(examples)}")
        for example in examples[start : start + AT_ONCE]:
            own = {OWN: [own_delta(example, mask) for mask in masks[MASK]]} if MASK in masks else {}
            yield _row(model, example, {**masks, **own})


def _row(model: LanguageModel, example: Example, masks: Mapping[str, Sequence[Mask]]) -> Row:
    request = example.request
    views = {ViewName.BASE: BASE, ViewName.EDITED: View(example.patches)} | {
        name: View((*example.patches, *own)) for name, own in masks.items()
    }
    asked = [view for view in views.values() for _ in range(2)]
    both = [request.target_true or "", request.target_new] * len(views)
    scored = model.score([request.text] * len(asked), both, asked)
    true, new = dict(zip(views, scored[::2], strict=True)), dict(zip(views, scored[1::2], strict=True))
    said = model.logits([request.text] * len(views), list(views.values())).log_softmax(-1)
    base, top = said[0], int(said[0].argmax())
    row: Row = {
        "subject": request.subject,
        "knew": true[ViewName.BASE].hit,
        "held": new[ViewName.EDITED].hit,
        "p_new": new[ViewName.EDITED].p,
        "p_true": true[ViewName.BASE].p,
    }
    for number, name in enumerate(views):
        if name in masks:
            row |= {
                f"{name}.reversed": true[name].log_p > new[name].log_p,
                f"{name}.top1": int(said[number].argmax()) == top,
                f"{name}.kl": float((base.exp() * (base - said[number])).sum()),
                f"{name}.said": new[name].hit,
            }
    return row


def rates(table: Sequence[Row], name: str = MASK, seed: int = 0) -> dict[str, Any]:
    """Return success without and under a mask over a table's edits, and the shares of held edits reversed and restored."""
    held = [row for row in table if row["held"]]
    found: dict[str, Any] = {
        "n": len(table),
        "held": len(held),
        "success_without": _mean([row["held"] for row in table]),
        "success_under_mask": _mean([row[f"{name}.said"] for row in table]),
    }
    for key in ("reversed", "top1", "kl"):
        found[key] = _mean([row[f"{name}.{key}"] for row in held])
    return (
        found | {"reversed_ci": rate_interval([row[f"{name}.reversed"] for row in held], [1] * len(held), seed)}
        if held
        else found
    )


def curve(
    model: LanguageModel,
    training: Sequence[Example],
    tested: Sequence[Example],
    sizes: Sequence[int],
    config: MaskConfig,
    progress: Progress,
) -> Iterator[Row]:
    """Yield what a mask reverses that learnt from fewer edits: shares of edits that held, by the first token that differs.

    Few edits are seen more often (`MaskConfig.steps`).
    """
    layers = sorted({patch.layer for example in training for patch in example.patches})
    drawn = random.Random(config.seed).sample(training, len(training))
    unseen = list(batches(model, [replace(example, paraphrases=()) for example in tested], layers, config.batch))
    for size in sorted({min(size, len(drawn)) for size in sizes}):
        own = drawn[:size]
        *_, (epoch, masks) = train(model, own, config=config, progress=progress)
        bare = list(batches(model, [replace(example, paraphrases=()) for example in own], layers, config.batch))
        pruned = sum(own_mask.pruned for own_mask in masks) / len(masks)
        shares = {"train": _reversed(bare, masks), "test": _reversed(unseen, masks)}
        yield {
            "edits": size,
            "epochs": epoch.number,
            "pruned": pruned,
            **{f"reversed_{name}": v for name, v in shares.items()},
        }


@torch.no_grad()
def _reversed(lessons: Sequence[Batch], masks: Sequence[Mask]) -> float:
    """Return the share of edits that held without the masks and at which the true object leads under them."""
    M = {mask.layer: mask.kept.float() for mask in masks}
    held = torch.cat([batch.leads({}) < 0 for batch in lessons])
    return torch.cat([batch.leads(M) > 0 for batch in lessons])[held].float().mean().item()


def lines(table: Sequence[Row]) -> Iterator[tuple[str, list[float]]]:
    """Yield for each mask of a table the rates of reversed edits and of top-1 restored, KL, and success under it."""
    names = dict.fromkeys(key.removesuffix(".reversed") for row in table for key in row if key.endswith(".reversed"))
    for name in names:
        found = rates(table, name)
        yield name, [found[key] for key in ("reversed", "top1", "kl", "success_under_mask")]


def summary(mask: ReversalMask, table: Sequence[Row], skipped: Sequence[str], seed: int = 0) -> dict[str, Any]:
    """Return the answer of `bench mask`, as docs/interfaces.md has it. Reversed counts edits that had succeeded."""
    found = rates(table, MASK, seed)
    return {
        "n_train": mask.report.get("n_train"),
        "n_test": found["n"],
        "held": found["held"],
        "skipped": len(skipped),
        "skipped_because": list(skipped),
        "layers": list(mask.layers),
        "pruned": mask.pruned,
        "reversed_train": mask.report.get("reversed_train"),
        "reversed_unseen": mask.report.get("reversed_unseen"),
        "reversed_test": found["reversed"],
        "reversed_test_ci": found.get("reversed_ci"),
        "top1_restored_test": found["top1"],
        "kl": found["kl"],
        "success_without": found["success_without"],
        "success_under_mask": found["success_under_mask"],
        "baselines": {name: values[0] for name, values in lines(table) if name != MASK},
    }


def under_the_guard(
    model: LanguageModel, lessons: Sequence[Lesson], method: str, masks: Sequence[Mask], progress: Progress
) -> dict[str, float]:
    """Return the success of edits made under the mask, by an editor that sees the masked model (the paper's blocking).

    Its update is masked with the weight it is written into. `rows` has the other form: an editor that sees no mask.
    """
    how, view, hits = methods.get(method), View(tuple(masks)), []
    size = 1 if how.joint else AT_ONCE
    for start in range(0, len(lessons), size):
        progress(start / len(lessons), f"guard: edit {start + 1} of {len(lessons)}")
        requests = [lesson.request for lesson in lessons[start : start + size]]
        views = [view.with_patches(solve) for solve in how.edit(model, requests, view).solves]
        scores = model.score([r.text for r in requests], [r.target_new for r in requests], views)
        hits += [score.hit for score in scores]
    return {"success_editing_under_mask": _mean(hits)}


@torch.no_grad()
def price(
    model: LanguageModel, examples: Sequence[Example], masks: Sequence[Mask], facts: FactBase, prose: Sequence[Path]
) -> dict[str, float]:
    """Return what a mask costs elsewhere: unedited known facts and loss on prose (nats a token), edited against masked.

    Means over a few edits; `facts_*` 0 to 1, of facts that the unedited model says.
    """
    asked = [(facts.relations[f.relation].templates[0].replace("{}", f.subject), f.object) for f in facts.facts]
    subjects = {example.request.subject for example in examples}
    asked = [pair for pair, f in zip(asked, facts.facts, strict=True) if f.subject not in subjects]
    asked = asked[:: max(1, len(asked) // FACTS)]
    prompts, objects = [p for p, _ in asked], [o for _, o in asked]
    known = [n for n, score in enumerate(model.score(prompts, objects)) if score.hit]
    prompts, objects = [prompts[n] for n in known], [objects[n] for n in known]
    found: dict[str, list[float]] = {}
    for example in examples[:EDITS]:
        views = {ViewName.EDITED: View(example.patches), ViewName.MASKED: View((*example.patches, *masks))}
        for name, view in views.items():
            hits = [score.hit for score in model.score(prompts, objects, view)]
            found.setdefault(f"facts_{name}", []).append(_mean(hits))
            for path in prose:
                found.setdefault(f"loss_{path.stem}_{name}", []).append(chapter_loss(model, path, view, TOKENS))
    return {name: _mean(values) for name, values in found.items()}


def masks_of(
    model: LanguageModel, training: Sequence[Example], masks: Sequence[Mask], seed: int = 0
) -> dict[str, Sequence[Mask]]:
    """Return the learnt masks and, where the edits they were learnt from are known, the baselines of their size."""
    own = baselines(model, training, masks, seed) if training else {}
    return {MASK: masks, **own}


def _mean(values: Sequence[float]) -> float:
    return sum(map(float, values)) / len(values) if values else float("nan")
