"""`atlas`: make the bundled model, and say what it knows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from editlab.atlas import report as cards
from editlab.atlas.build import export, prepare
from editlab.atlas.sources import training_facts
from editlab.atlas.train import Recipe
from editlab.cli.terminal import Answer, Session, command
from editlab.facts import FactBase
from editlab.model.devices import device_for

app = typer.Typer(help="The bundled model: training it, and its report card.", no_args_is_help=True)

CounterFact = Annotated[
    Path | None, typer.Option(help="Folder with facts.tsv, aliases.tsv and templates.json, or counterfact.json.")
]


@command(app, "train")
def train(
    session: Session,
    counterfact: CounterFact = None,
    tokens: Annotated[int, typer.Option(min=1, help="Length of the training.")] = Recipe.tokens,
    folder: Annotated[Path | None, typer.Option(help="Folder of the run; a second call resumes it.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Items a line of the report card.")] = 1000,
) -> Answer:
    """Train Atlas from its recipe, resuming where a run stopped; write the checkpoint to FOLDER/model and report on it."""
    settings = session.settings
    folder = folder or settings.data / "atlas"
    base = training_facts(settings.presets / "facts", counterfact)
    recipe = Recipe(tokens=tokens, seed=settings.seed)
    run = prepare(base, settings.presets / "texts", recipe, folder, str(device_for(settings.device)))
    with session.progress() as progress:
        run.train(progress)
    checkpoint = folder / "model"
    export(run, checkpoint, FactBase.load(settings.presets / "facts"))
    card = _card(session, str(checkpoint), checkpoint, counterfact, None, limit)
    return Answer({**card, "path": str(checkpoint)}, _table(card))


@command(app, "report")
def report(
    session: Session,
    counterfact: CounterFact = None,
    templates: Annotated[Path | None, typer.Option(help="TSV relation, template: wordings to score as unseen.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Draw so many items a line instead of all.")] = None,
) -> Answer:
    """Measure what the model knows: in trained wordings and names, in others, and after 300 unrelated tokens."""
    name = session.settings.model
    checkpoint = session.settings.presets / "atlas" if name == "atlas" else Path(name)
    card = _card(session, name, checkpoint, counterfact, templates, limit)
    return Answer(card, _table(card))


def _card(
    session: Session, name: str, checkpoint: Path, counterfact: Path | None, templates: Path | None, limit: int | None
) -> dict[str, Any]:
    presets = session.settings.presets
    lessons = cards.taught(presets / "facts", counterfact, checkpoint, session.settings.seed)
    unseen, trained = (None, []) if templates is None else cards.read_templates(templates, lessons.base)
    model = session.model(name)
    with session.progress() as progress:
        card = cards.report_card(model, lessons, presets, checkpoint, unseen, limit, session.settings.seed, progress)
    return card if templates is None else card | {"templates": str(templates), "templates_left_out": trained}


def _table(card: dict[str, Any]) -> Table:
    table = Table("what", "top-1", "95 % interval", "items", "of", title=f"Report card: {card['model']}")
    for row in card["rows"]:
        rate = "-" if row["top1"] is None else f"{row['top1']:.3f}"
        interval = "-" if row["ci"] is None else f"{row['ci'][0]:.3f}-{row['ci'][1]:.3f}"
        table.add_row(row["what"].replace("_", " "), rate, interval, f"{row['n']:,}", f"{row['of']:,}")
    table.add_section()
    for name in ("facts", "parameters", "tokens_seen"):
        table.add_row(name.replace("_", " "), "-" if card[name] is None else f"{card[name]:,}")
    table.add_row("loss on an unseen chapter, nats a token", f"{card['chapter_loss']:.3f}")
    return table
