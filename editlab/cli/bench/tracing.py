"""`bench tracing`: does causal tracing find the layer at which an edit holds best, and how fast is it?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Group
from rich.table import Table

from editlab.atlas.sources import training_facts
from editlab.bench import tracing
from editlab.bench.editing import Setup
from editlab.bench.rows import append_rows, read_rows
from editlab.bench.tracing import FactRow
from editlab.bench.validate import known_facts
from editlab.cli.bench.report import machine, markdown, page
from editlab.cli.model import layer_numbers, setting
from editlab.cli.terminal import Answer, Session, command
from editlab.insight.tracing import KINDS, NOISE, SAMPLES, Tracing, deviation_of
from editlab.probes import Ground, passages

app = typer.Typer()

AGREEMENT = ("rho", "across", "agreement", "near", "score")
HEADS = ("state", "rank correlation, over layers", "over facts", "same layer", "or next to it", "score there")
BY_LAYER = ("layer", *KINDS, "taken", "score", "best", "norm")


@command(app, "tracing")
def tracing_table(
    session: Session,
    limit: Annotated[int, typer.Option(min=10, help="How many facts that the model knows.")] = 100,
    method: Annotated[str, typer.Option(help="How to edit at each layer.")] = "rome",
    layers: Annotated[str | None, typer.Option(help="Layers to trace and to edit, as 0,3,6; all if not given.")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help="A method's setting, as steps=10; repeatable.")] = None,
    samples: Annotated[int, typer.Option(min=1, help="Samples of the noise.")] = SAMPLES,
    noise: Annotated[float, typer.Option(help="Noise, in standard deviations of the subjects' embeddings.")] = NOISE,
    window: Annotated[int | None, typer.Option(min=1, help="Layers restored together; 10 of 48 if not given.")] = None,
    plain: Annotated[int, typer.Option(min=0, help="Time the plain forms as well on so many facts.")] = 3,
    facts: Annotated[Path | None, typer.Option(help="Folder with facts.tsv, beside the presets.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for rows and table; a second call resumes it.")] = None,
) -> Answer:
    """Trace facts that the model knows, edit each at every layer, and compare tracing's layer with the best one."""
    presets, seed = session.settings.presets, session.settings.seed
    base, model = training_facts(presets / "facts", facts), session.model()
    ground = Ground(model, base, passages(model, presets / "texts"), seed)
    chosen = () if layers is None else layer_numbers(layers, model)
    how = Tracing(deviation_of(model, base.by_subject), noise, samples, window, chosen, seed)
    setup = Setup(method, dict(map(setting, change or ())))
    path = out / "tracing.jsonl" if out else None
    rows = read_rows(path, FactRow.from_json)
    with session.progress() as progress, append_rows(path) as append:
        known = known_facts(ground, limit)
        for row in tracing.measure(ground, known.requests, how, setup, rows, plain, progress):
            rows[row.key] = row
            append(row)
    wanted = tracing.keys(ground, known.requests, how, setup)
    found = tracing.summary([rows[key] for key in wanted], seed)
    found |= {"model": model.name, "method": method, "window": how.width(model.n_layers), "device": machine(model)}
    agreement = [[kind, *(_interval(found[kind], name) for name in AGREEMENT)] for kind in KINDS]
    by_layer = [[_cell(row[name]) for name in BY_LAYER] for row in found["by_layer"]]
    if out is not None:
        text = f"{_sentences(found)}\n\n{markdown(HEADS, iter(agreement))}\n\n{markdown(BY_LAYER, iter(by_layer))}"
        (out / "tracing.md").write_text(page("Causal tracing", text), encoding="utf-8")
    tables = [_table("Tracing and the sweep", HEADS, agreement), _table("Mean by layer", BY_LAYER, by_layer)]
    return Answer(found, Group(*tables, _sentences(found)))


def _sentences(found: Mapping[str, Any]) -> str:
    """Return what was measured, beside the tables."""
    fixed, sweep, speed = found["fixed"], found["sweep"], found["speed"]
    lines = [
        f"{found['model']}, {found['device']}, {torch.get_num_threads()} threads; {found['n']} facts, window of "
        f"{found['window']} layers; {found['edited']} can be edited at one of the layers or more.",
        f"By chance, tracing's layer were the best one for {found['chance']:.2f} of the facts. One layer for all: layer "
        f"{fixed['agreement']['layer']} is the best one for {_interval(fixed['agreement'], 'agreement')}, layer "
        f"{fixed['score']['layer']} has the highest score, {_interval(fixed['score'], 'score')}. The best layer of each: "
        f"score {_interval(sweep, 'score')}.",
        f"Tracing takes {speed['seconds']:.2f} s a fact.",
    ]
    if speed["timed"]:
        lines.append(
            f"Of {speed['timed']} facts in the same run: {speed['timed_seconds']:.2f} s; a forward for each restoration and "
            f"sample {speed['plain_seconds']:.2f} s ({speed['plain_ratio']:.1f} times as long), a forward for each "
            f"restoration {speed['published_ratio']:.1f} times as long; largest difference of an effect "
            f"{speed['difference']:.0e}."
        )
    return "\n\n".join(lines)


def _interval(found: Mapping[str, Any], name: str) -> str:
    value, interval = found[name], found[f"{name}_ci"]
    return "-" if value is None else f"{value:.2f} ({interval[0]:.2f} to {interval[1]:.2f})"


def _cell(value: float | int | None) -> str:
    return "-" if value is None else str(value) if isinstance(value, int) else f"{value:.3f}"


def _table(title: str, heads: tuple[str, ...], cells: list[list[str]]) -> Table:
    table = Table(*heads, title=title)
    for row in cells:
        table.add_row(*row)
    return table
