"""`mask`: train a reversal mask for a model, from the terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from editlab import methods
from editlab.atlas.sources import training_facts
from editlab.bench.mask import lessons_of
from editlab.cli.model import layer_numbers, setting
from editlab.cli.terminal import Answer, Session, command
from editlab.errors import BadRequest
from editlab.facts import EditCase, FactBase, read_cases
from editlab.lab import read_examples
from editlab.methods.mask import EDITS, Lesson, MaskConfig, check_method, cost, lessons, make, write
from editlab.model import LanguageModel

app = typer.Typer(help="Reversal masks: one mask that reverses most edits of a method.", no_args_is_help=True)


@command(app, "train")
def train(
    session: Session,
    facts: Annotated[Path | None, typer.Option(help="More facts beside the presets': CounterFact's JSON or tables.")] = None,
    relations: Annotated[str | None, typer.Option(help="Only facts of these relations, as P17,P30.")] = None,
    cases: Annotated[Path | None, typer.Option(help="Edits to train on beside the facts: CounterFact or CSV.")] = None,
    without: Annotated[list[Path] | None, typer.Option(help="Cases whose subjects are left out; repeatable.")] = None,
    method: Annotated[str, typer.Option(help="The method whose edits the mask reverses.")] = "rome",
    count: Annotated[int, typer.Option("--edits", min=20, help="How many edits to train on.")] = EDITS,
    recipe: Annotated[str, typer.Option(help="default, or published for the paper's constants.")] = "default",
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's own.")] = None,
    layers: Annotated[str | None, typer.Option(help="Mask these of the edits' layers alone, as 1 or 1,2.")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help="Another setting, as kl=10; repeatable.")] = None,
    folder: Annotated[Path | None, typer.Option(help="Where to keep it, instead of the data folder.")] = None,
) -> Answer:
    """Edit facts that the model knows, train one mask that reverses the edits, and measure it on unseen edits.

    The subjects of the demo presets are never among them. A stopped training goes on where it was.
    """
    how = methods.get(method)
    check_method(how)
    model = session.model()
    config = mask_config(recipe, method, session.settings.seed, epochs, change or ())
    if layers is not None:
        config = replace(config, layers=layer_numbers(layers, model))
    base = fact_base(session, facts, relations)
    chosen = taught(session, model, base, read_cases(cases, []) if cases else [], without or (), count)
    session.errors.print(cost(model, chosen, how, config).sentence, highlight=False)
    with session.progress() as progress:
        mask, _ = make(model, chosen, how, config, work_of(session), progress)
    path = write(mask, model, folder or session.settings.data / "masks")
    found = {"model": model.name, "method": method, "path": str(path), "layers": mask.layers, **mask.report}
    table = Table(show_header=False)
    for name in ("path", "n_train", "n_unseen", "skipped", "pruned", "reversed_train", "reversed_unseen", "seconds"):
        value = found[name]
        table.add_row(name, f"{value:.3f}" if isinstance(value, float) else str(value))
    return Answer(json.loads(json.dumps(found)), table)


def taught(
    session: Session,
    model: LanguageModel,
    base: FactBase,
    cases: Sequence[EditCase],
    without: Sequence[Path],
    count: int | None,
) -> list[Lesson]:
    """Return what a mask learns from: given cases, filled up to `count` with facts that the model knows.

    No subject of `without` or of the demo presets is among them.
    """
    presets, seed = session.settings.presets, session.settings.seed
    left_out = {example.request.subject for example in read_examples(presets / "examples")}
    left_out |= {case.request.subject for path in without for case in read_cases(path, [])}
    given, _ = lessons_of(cases)
    chosen = [lesson for lesson in given if lesson.request.subject not in left_out][:count]
    if count is not None and len(chosen) < count:
        chosen += lessons(model, base, count - len(chosen), left_out, seed)
    return chosen


def fact_base(session: Session, more: Path | None, relations: str | None) -> FactBase:
    """Return the presets' facts and those of a file, of some relations. Raises `BadRequest` where there are none."""
    base = training_facts(session.settings.presets / "facts", more)
    if relations is None:
        return base
    wanted = {name.strip() for name in relations.split(",")}
    found = FactBase(tuple(fact for fact in base.facts if fact.relation in wanted), base.relations, base.aliases)
    if not found.facts:
        raise BadRequest(f"No fact has a relation of {relations!r}. Known are: {', '.join(sorted(base.by_relation))}.")
    return found


def work_of(session: Session) -> Path:
    """Return where edits and unfinished trainings are kept, so that a stopped command goes on."""
    return session.settings.data / "masks" / "work"


def mask_config(recipe: str, method: str, seed: int, epochs: int | None = None, changes: Sequence[str] = ()) -> MaskConfig:
    """Return the settings of a recipe, some of them changed. Raises `BadRequest` for a value that does not fit."""
    own = dict(map(setting, changes))
    if epochs is not None:
        own = {"steps": 0} | own | {"epochs": epochs}  # the recipe's least number of steps would make more of them
    if recipe == "published":
        return MaskConfig.published(method, **own)
    return MaskConfig(**{"recipe": recipe, "seed": seed, **own})
