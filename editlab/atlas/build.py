"""From facts and prose to a model folder: what `editlab atlas train` does."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict, replace
from pathlib import Path

import torch
from tokenizers import Tokenizer

from editlab.atlas.corpus import Corpus
from editlab.atlas.lessons import Lesson, as_json, draw_lessons, identities
from editlab.atlas.tokenizer import as_transformers, train_tokenizer
from editlab.atlas.train import Recipe, Run
from editlab.facts import FactBase

UNSEEN_CHAPTER = "chapter7.txt"
SHARD_BYTES = 15_000_000
TAUGHT = "taught.json"


def training_paragraphs(texts: Path) -> tuple[str, ...]:
    """Return the paragraphs of every chapter but the unseen one."""
    chapters = [path for path in sorted(texts.glob("*.txt")) if path.name != UNSEEN_CHAPTER]
    return tuple(
        " ".join(p.split()) for path in chapters for p in path.read_text(encoding="utf-8").split("\n\n") if p.strip()
    )


def prepare(base: FactBase, texts: Path, recipe: Recipe, folder: Path, device: str = "cpu") -> Run:
    """Return a run in `folder`, new or resumed, with its tokenizer beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    lessons, names, paragraphs = draw_lessons(base, seed=recipe.seed), identities(base), training_paragraphs(texts)
    path = folder / "tokenizer.json"
    if path.exists():
        tokenizer = Tokenizer.from_file(str(path))
    else:
        tokenizer = train_tokenizer([*_spoken(lessons), *paragraphs], recipe.vocabulary)
        tokenizer.save(str(path))
    run = Run(recipe, Corpus(tokenizer, lessons, names, paragraphs, recipe.mixture, recipe.seed), folder, device)
    run.resume()
    return run


def _spoken(lessons: tuple[Lesson, ...]) -> list[str]:
    return [
        f"{t.replace('{}', n)} {lesson.fact.object}."
        for lesson in lessons
        for n in lesson.names
        for t in lesson.templates[:3]
    ]


def export(run: Run, folder: Path, own: FactBase) -> None:
    """Write the run's model as a plain checkpoint: bfloat16 shards, tokenizer, and what it was taught of our `own` facts.

    Only our own wordings are written down. What it was taught of CounterFact's can be drawn again from their files, which
    are not part of this project.
    """
    model = copy.deepcopy(run.model).to(torch.bfloat16)
    model.save_pretrained(folder, max_shard_size=SHARD_BYTES)
    as_transformers(run.corpus.tokenizer).save_pretrained(folder)
    training = {
        "tokens": run.step * run.recipe.rows * run.recipe.length,
        "recipe": asdict(run.recipe),
    }
    (folder / "training.json").write_text(json.dumps(training, indent=1) + "\n", encoding="utf-8")
    ours = {(fact.subject, fact.relation) for fact in own.facts}
    lessons = [
        replace(one, templates=tuple(t for t in one.templates if t in own.relations[one.fact.relation].templates))
        for one in run.corpus.lessons
        if (one.fact.subject, one.fact.relation) in ours
    ]
    (folder / TAUGHT).write_text(as_json(lessons), encoding="utf-8")
