"""`validate`: measure how edits of a model hold, choose its layers by that, and write its preset."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.table import Table

from editlab import methods
from editlab.bench import preset
from editlab.bench.robustness import COLUMNS, CaseRow
from editlab.bench.rows import append_rows, read_rows
from editlab.bench.validate import EDITS, JUDGED_BY, LEAST, Validation, sentence, validate
from editlab.cli.model import layer_numbers
from editlab.cli.terminal import Answer, Session, command
from editlab.facts import FactBase
from editlab.model import LanguageModel
from editlab.probes import Ground, passages

app = typer.Typer()


@command(app, "validate")
def validate_model(
    session: Session,
    names: Annotated[
        str | None, typer.Option("--method", help="Methods, as rome,memit; by default all that write at the subject.")
    ] = None,
    facts: Annotated[Path | None, typer.Option(help="Folder of facts like presets/facts, instead of that one.")] = None,
    edits: Annotated[int, typer.Option(min=LEAST, help="How many edits to measure with.")] = EDITS,
    layers: Annotated[str | None, typer.Option(help="Layers to choose from, as 3,5,7.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the preset, instead of the model's own.")] = None,
    to: Annotated[Path | None, typer.Option(help="Folder for the preset, instead of presets in the data folder.")] = None,
) -> Answer:
    """Edit facts that the model knows, measure how well the edits hold, and write the results into the model's preset.

    A stopped call goes on where it was. Layers of a preset that was measured on these weights stay, unless --layers
    names others.
    """
    chosen = None if names is None else [part.strip() for part in names.split(",")]
    for one in chosen or ():
        methods.get(one)
    s = session.settings
    base = FactBase.load(facts or s.presets / "facts")
    model = session.model()
    bundled, own = s.model_presets
    path = preset.path_for(model, to or own, name, bundled)
    rows_at = s.data / "validate" / f"{model.fingerprint}.jsonl"
    with session.progress() as progress, append_rows(rows_at) as keep:
        found = validate(
            Ground(model, base, passages(model, s.presets / "texts"), s.seed),
            chosen or [name for name, method in methods.METHODS.items() if method.at_subject],
            s.data / "statistics",
            edits,
            None if layers is None else layer_numbers(layers, model),
            read_rows(rows_at, CaseRow.from_json),
            keep,
            progress,
        )
    preset.write(path, model, found, date.today(), bundled)
    return Answer(_object(model, found, path), Group(*_tables(found, path)))


def _object(model: LanguageModel, found: Validation, path: Path) -> dict[str, Any]:
    return {
        "model": model.name,
        "checkpoint": model.checkpoint,
        "fingerprint": model.fingerprint,
        "facts_known": found.facts.said,
        "facts_asked": found.facts.asked,
        "sweep": [{"layer": line["layers"][0], **line} for line in found.sweep],
        "layer": found.layer,
        "measured": found.measured,
        "seconds": found.seconds,
        "path": str(path),
    }


def _tables(found: Validation, path: Path) -> list[Any]:
    """Return tables of the sweep and of the methods, and a sentence each."""
    shown: list[Any] = []
    if found.sweep:
        table = Table("layer", *JUDGED_BY, "their mean", title=f"Layers, by {found.sweep[0]['n']} edits each")
        for line in found.sweep:
            table.add_row(str(line["layers"][0]), *(_rate(line, one) for one in JUDGED_BY), f"{line['score']:.2f}")
        shown.append(table)
    heads = [head for method in found.measured for head in (method, f"{method}, written")]
    table = Table("", *heads, title="Measured, with 95 % intervals: teacher-forced, and in the answer that is written")
    lines = [line for own in found.measured.values() for line in (own, own["generated"])]
    for one in COLUMNS:
        table.add_row(one, *(_rate(line, one, True) for line in lines))
    shown.append(table)
    shown += [sentence(method, line) for method, line in found.measured.items()]
    known = f"The model knows {found.facts.said} of {found.facts.asked:,} facts that it was asked."
    return [*shown, f"{known} Written to {path}; it took {found.seconds:.0f} s."]


def _rate(line: Mapping[str, Any], name: str, interval: bool = False) -> str:
    if line[name] is None:
        return "-"
    low, high = line[f"{name}_ci"]
    return f"{line[name]:.2f}" + (f" ({low:.2f} to {high:.2f})" if interval else "")
