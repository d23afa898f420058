"""The report card: what Atlas knows, on wordings it was taught and on those it was not.

Everything is top-1 over the whole vocabulary: each token of the object must be the arg max, teacher-forced. Which wordings
and names a fact was taught in stands in `taught.json` beside the weights; for CounterFact's facts, which are not ours to
ship, it is drawn again from the files that the training took.
"""

from __future__ import annotations

import json
import math
import random
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from editlab.atlas.build import TAUGHT, UNSEEN_CHAPTER
from editlab.atlas.lessons import Lesson, draw_lessons, read_lessons
from editlab.atlas.sources import training_facts
from editlab.errors import BadFile
from editlab.facts import FactBase, read_table, source_of
from editlab.patches import BASE, View
from editlab.probes import passages
from editlab.work import Progress, no_progress

if TYPE_CHECKING:
    from editlab.model import LanguageModel

WINDOW = 512

Asked = tuple[str, str]
"""A prompt and the object that should follow it."""


@dataclass(frozen=True)
class Taught:
    """What a model was taught: our lessons, CounterFact's if their path is known, and all relations of both."""

    own: tuple[Lesson, ...]
    theirs: tuple[Lesson, ...]
    base: FactBase
    recorded: bool
    """Whether our lessons are those written down at training, not drawn again."""

    @property
    def all(self) -> tuple[Lesson, ...]:
        """Every lesson."""
        return self.own + self.theirs


def taught(presets: Path, counterfact: Path | None, checkpoint: Path, seed: int = 0) -> Taught:
    """Return the lessons of the model in `checkpoint`; without a record there, drawn as for a training on these files."""
    base = training_facts(presets, counterfact)
    ours = {(f.subject, f.relation) for f in FactBase.load(presets).facts}
    drawn = draw_lessons(base, seed=seed)
    own = tuple(lesson for lesson in drawn if (lesson.fact.subject, lesson.fact.relation) in ours)
    theirs = tuple(lesson for lesson in drawn if (lesson.fact.subject, lesson.fact.relation) not in ours)
    path = checkpoint / TAUGHT
    if not path.is_file():
        return Taught(own, theirs, base, False)
    return Taught(read_lessons(base, path), theirs, base, True)


def report_card(
    model: LanguageModel,
    lessons: Taught,
    presets: Path,
    checkpoint: Path,
    templates: Mapping[str, Sequence[str]] | None = None,
    limit: int | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Return the card, keys as in docs/interfaces.md; `rows` has every line of it with its number of items and interval.

    `templates` (relation -> wordings) are scored in place of the held-out ones. `limit` draws that many items a line.
    """
    unseen = passages(model, presets / "texts").outside
    lines = _lines(lessons, templates, unseen, _examples(presets / "examples"), seed)
    rows = []
    for number, (name, items) in enumerate(lines.items()):
        rng = random.Random(f"{seed}/{name}")
        drawn = items if limit is None or len(items) <= limit else rng.sample(items, limit)
        progress(number / len(lines), f"report: {name.replace('_', ' ')}, {len(drawn):,} items")
        rows.append(_row(model, name, drawn, len(items)))
    rates = {row["what"]: row for row in rows}
    card: dict[str, Any] = {"model": model.name, "facts": len(lessons.all), "lessons_recorded": lessons.recorded}
    for name in ("trained_templates", "held_out_templates", "aliases", "long_context", "examples"):
        card |= {name: rates[name]["top1"], f"{name}_ci": rates[name]["ci"]}
    training = _training(checkpoint)
    return card | {
        "chapter_loss": chapter_loss(model, presets / "texts" / UNSEEN_CHAPTER),
        "parameters": model.parameters,
        "tokens_seen": training.get("tokens"),
        "rows": rows,
    }


def read_templates(path: Path, base: FactBase) -> tuple[dict[str, list[str]], list[str]]:
    """Return unseen wordings from a TSV `relation, template`, and those left out since they were trained.

    Raises `BadFile` naming the line for what is no wording, or where none is left.
    """
    found: dict[str, list[str]] = {}
    trained: list[str] = []
    for line, row in read_table(path, ("relation", "template")):
        relation, template = row["relation"], row["template"].strip()
        if relation not in base.relations:
            raise BadFile(f"{path}, line {line}: the relation {relation!r} is not known. Use an id like P36.")
        if template.count("{}") != 1:
            raise BadFile(f"{path}, line {line}: {template!r} needs one {{}} where the subject stands.")
        if template in base.relations[relation].templates:
            trained.append(template)
        else:
            found.setdefault(relation, []).append(template)
    if not found:
        raise BadFile(f"{path} holds no wording that was not trained. Add lines of relation and template.")
    return found, trained


@torch.no_grad()
def chapter_loss(model: LanguageModel, path: Path, view: View = BASE, most: int | None = None) -> float:
    """Return the mean loss on an unseen text, in nats a token, over windows of 512 tokens that begin like any text.

    `most`: only so many of its tokens. Raises `BadFile` where the text cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}.{source_of(path)}") from error
    except UnicodeDecodeError as error:
        raise BadFile(f"{path} is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from error
    ids = model.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"][:most]
    start = model.tok.encode("")
    size = min(WINDOW, model.tok.context) - len(start)
    total, count = 0.0, 0
    for at in range(0, len(ids), size):
        row = [*start, *ids[at : at + size]]
        log_p = model.head(model.hidden(model.tok.pad([row], device=model.device), view))[0, :-1].log_softmax(-1)
        labels = torch.tensor(row[1:], device=log_p.device)
        total -= float(log_p.gather(1, labels[:, None]).sum())
        count += len(labels)
    return total / count


def wilson(hits: int, n: int) -> list[float] | None:
    """Return the 95 % interval of a rate; None where nothing was counted."""
    if n == 0:
        return None
    z = 1.959964
    centre, spread = hits / n + z * z / (2 * n), z * math.sqrt(hits / n * (1 - hits / n) / n + (z / (2 * n)) ** 2)
    return [(centre - spread) / (1 + z * z / n), (centre + spread) / (1 + z * z / n)]


def _lines(
    lessons: Taught,
    templates: Mapping[str, Sequence[str]] | None,
    unseen: Sequence[str],
    examples: list[Asked],
    seed: int,
) -> dict[str, list[Asked]]:
    """Return what is asked in each line of the card."""
    held_out = {key: relation.held_out for key, relation in lessons.base.relations.items()}
    trained = _asked((lesson, lesson.fact.subject, lesson.templates) for lesson in lessons.all)
    rng = random.Random(seed)
    lines = {
        "trained_templates": trained,
        "trained_templates_own": _asked((one, one.fact.subject, one.templates) for one in lessons.own),
        "trained_templates_counterfact": _asked((one, one.fact.subject, one.templates) for one in lessons.theirs),
        "held_out_templates": _worded(lessons.all, templates or held_out),
        "held_out_templates_own": _worded(lessons.own, templates or held_out),
        "held_out_templates_counterfact": _worded(lessons.theirs, templates or held_out),
        "aliases": _asked((one, name, one.templates) for one in lessons.all for name in one.untaught_names),
        "long_context": [(f"{rng.choice(unseen)} {prompt}", object_) for prompt, object_ in trained],
        "examples": examples,
    }
    return lines if templates is None else {**lines, "held_out_templates_of_presets": _worded(lessons.all, held_out)}


def _worded(lessons: Iterable[Lesson], templates: Mapping[str, Sequence[str]]) -> list[Asked]:
    return _asked((one, one.fact.subject, templates.get(one.fact.relation, ())) for one in lessons)


def _asked(items: Iterable[tuple[Lesson, str, Sequence[str]]]) -> list[Asked]:
    return [(t.replace("{}", name), lesson.fact.object) for lesson, name, templates in items for t in templates]


def _row(model: LanguageModel, name: str, items: Sequence[Asked], of: int) -> dict[str, Any]:
    n = len(items)
    hits = sum(score.hit for score in model.score([p for p, _ in items], [o for _, o in items]))
    return {"what": name, "top1": hits / n if n else None, "ci": wilson(hits, n), "n": n, "of": of}


def _examples(folder: Path) -> list[Asked]:
    """Return the true facts that the demo presets edit."""
    found = []
    for path in sorted(folder.glob("*.toml")):
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise BadFile(f"{path} is not TOML: {error}") from error
        found += [
            (table["prompt"].replace("{}", table["subject"]), table["target_true"])
            for table in _tables(tables)
            if {"prompt", "subject", "target_true"} <= table.keys()
        ]
    return found


def _tables(value: Any) -> Iterable[dict[str, Any]]:
    """Yield a table and all tables within it."""
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _tables(item)


def _training(checkpoint: Path) -> dict[str, Any]:
    path = checkpoint / "training.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
