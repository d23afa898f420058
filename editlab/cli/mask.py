"""`mask`: train a reversal mask for a model, from the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from editlab import methods
from editlab.bench.mask import lessons_of
from editlab.cli.terminal import Answer, Session, command
from editlab.facts import FactBase, read_cases
from editlab.lab import read_scenarios
from editlab.methods.mask import MaskConfig, cost, lessons, make, write

app = typer.Typer(help="Reversal masks: one mask that takes back most edits of a method.", no_args_is_help=True)

EDITS = 1_500


@command(app, "train")
def train(
    session: Session,
    facts: Annotated[Path | None, typer.Option(help="Folder of facts as presets/facts, instead of those.")] = None,
    cases: Annotated[Path | None, typer.Option(help="Edits to learn from beside the facts: CounterFact or CSV.")] = None,
    without: Annotated[list[Path] | None, typer.Option(help="Cases whose subjects are left out; repeatable.")] = None,
    method: Annotated[str, typer.Option(help="Whose edits the mask takes back.")] = "rome",
    count: Annotated[int, typer.Option("--edits", min=20, help="How many edits to learn from.")] = EDITS,
    recipe: Annotated[str, typer.Option(help="default, or published: the paper's constants.")] = "default",
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's own.")] = None,
    folder: Annotated[Path | None, typer.Option(help="Where to keep it, instead of the data folder.")] = None,
) -> Answer:
    """Edit facts that the model knows, learn one mask that takes the edits back, and measure it on edits it never saw.

    The subjects of the demo presets are never among them. A stopped training goes on where it was.
    """
    config = mask_config(recipe, method, session.settings.seed, epochs)
    presets, seed = session.settings.presets, session.settings.seed
    base = FactBase.load(facts or presets / "facts")
    left_out = {scenario.request.subject for scenario in read_scenarios(presets / "scenarios")}
    left_out |= {case.request.subject for path in without or () for case in read_cases(path, [])}
    model = session.model()
    given, _ = lessons_of(read_cases(cases, [])) if cases else ([], [])
    chosen = [lesson for lesson in given if lesson.request.subject not in left_out][:count]
    if len(chosen) < count:
        chosen += lessons(model, base, count - len(chosen), left_out, seed)
    how = methods.get(method)
    session.errors.print(cost(model, chosen, how, config).sentence, highlight=False)
    work = session.settings.data / "masks" / "work"
    with session.progress() as progress:
        mask, _ = make(model, chosen, how, config, work, progress)
    path = write(mask, model, folder or session.settings.data / "masks")
    found = {"model": model.name, "method": method, "path": str(path), "layers": mask.layers, **mask.report}
    table = Table(show_header=False)
    for name in ("path", "n_train", "n_unseen", "skipped", "pruned", "reversed_train", "reversed_unseen", "seconds"):
        value = found[name]
        table.add_row(name, f"{value:.3f}" if isinstance(value, float) else str(value))
    return Answer(json.loads(json.dumps(found)), table)


def mask_config(recipe: str, method: str, seed: int, epochs: int | None = None) -> MaskConfig:
    """The settings of a recipe. Raises `BadRequest` for one that does not exist."""
    changes = {} if epochs is None else {"epochs": epochs}
    if recipe == "published":
        return MaskConfig.published(method, **changes)
    return MaskConfig(recipe=recipe, seed=seed, **changes)
