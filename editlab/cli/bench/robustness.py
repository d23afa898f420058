"""`bench`: the papers' table and EditLab's own speed, from the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import torch
import typer
from rich.console import Group
from rich.table import Table

from editlab.atlas.sources import training_facts
from editlab.bench import bounds, robustness, speed
from editlab.bench.cluster import Ask, Cluster
from editlab.bench.editing import Rep, Setup, at_each, packs_of
from editlab.bench.robustness import CaseRow
from editlab.bench.rows import append_rows, read_rows
from editlab.cli.bench.report import machine, markdown, page
from editlab.cli.model import layer_numbers, setting
from editlab.cli.terminal import Answer, Session, command
from editlab.errors import BadFile, BadRequest
from editlab.facts import EditCase, FactBase, read_cases
from editlab.facts.writers import frame_csv
from editlab.methods.rep import OFF
from editlab.model import LanguageModel
from editlab.probes import Ground, passages

app = typer.Typer()

Measure = Callable[..., Iterator[CaseRow]]
"""Measures cases under a setup: in this process, or over a cluster."""


@command(app, "robustness")
def robustness_table(
    session: Session,
    data: Annotated[Path, typer.Option(help="Cases, in any form that apply reads.")],
    names: Annotated[str, typer.Option("--methods", help="Methods, as rome,memit.")] = "rome,memit",
    rep: Annotated[str, typer.Option(help="Robust edit pathways, any of off,published,default; one row each.")] = "off",
    thresholds: Annotated[str | None, typer.Option(help="Thresholds of the gates, as 0.5,0.9; one row each.")] = None,
    chain: Annotated[int, typer.Option(min=1, help="How many edits to apply on top of one another.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many cases.")] = None,
    known: Annotated[bool, typer.Option("--known", help="Only cases whose true object the model says.")] = False,
    shard: Annotated[str | None, typer.Option(help="Only part 2 of 12, as 2/12: several processes share --out.")] = None,
    layers: Annotated[str | None, typer.Option(help="Layers to edit instead of the preset's, as 1 or 1,2.")] = None,
    each: Annotated[bool, typer.Option("--each-layer", help="Edit each of --layers alone, one row for each layer.")] = False,
    change: Annotated[list[str] | None, typer.Option("--set", help="Another setting, as keys=prompt; repeatable.")] = None,
    facts: Annotated[Path | None, typer.Option(help="Folder with facts.tsv, beside the presets.")] = None,
    texts: Annotated[Path | None, typer.Option(help="Prose for long contexts: a folder of *.txt, or one file.")] = None,
    prose: Annotated[Path | None, typer.Option(help="Unseen prose for false firings, instead of the last chapter.")] = None,
    generated: Annotated[
        bool, typer.Option("--generated", help="Also write answers, and judge them beside the tokens teacher-forced.")
    ] = False,
    most: Annotated[int | None, typer.Option(min=1, help="Only the first so many probes of each kind and domain.")] = None,
    ray: Annotated[str | None, typer.Option(help="Share the cases by a Ray cluster: its address, or local.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes on that cluster, a model each.")] = 2,
    out: Annotated[Path | None, typer.Option(help="Folder for rows and table; a second call resumes it.")] = None,
) -> Answer:
    """Edit the cases and measure how often the edits hold where they should, and only there."""
    reps = _reps(rep, thresholds)
    unread: list[str] = []
    cases = read_cases(data, unread)[:limit]
    if not cases:
        raise BadFile(f"{data} holds no case that can be read. The first fault: {unread[0]}")
    presets, seed = session.settings.presets, session.settings.seed
    base = training_facts(presets / "facts", facts)
    model = session.model()
    setups = [
        replace(setup, reps=reps, chain=chain, generated=generated, most=most)
        for setup in _setups(names, layers, each, change or (), model)
    ]
    long = passages(model, texts or presets / "texts")
    unseen = passages(model, prose).outside if prose else long.outside
    ground = Ground(model, base, long, seed, robustness.some_of(model, unseen))
    said = robustness.known(model, cases) if known else cases
    if not said:
        raise BadRequest(f"{model.name} knows none of the {len(cases)} facts that are edited in {data}. Give others.")
    part, name = _part(shard)
    chosen = [ground.with_facts(case) for pack in packs_of(said, setups[0])[part] for case in pack]
    path = out / name if out else None
    with ExitStack() as stack:
        measure: Measure = partial(robustness.measure, ground=ground)
        if ray is not None:
            cluster = stack.enter_context(closing(Cluster(ray, workers, Ask.of(ground, session.settings, workers))))
            measure = partial(cluster.measure, ground=ground)
        lines = [line for setup in setups for line in _lines(session, chosen, unread, setup, ground, path, measure)]
    head = {"model": model.name, "fingerprint": model.fingerprint, "data": str(data)}
    found = {**head, "cases": len(cases), "known": len(said) if known else None, "rows": lines}
    if out is not None and shard is None:
        (out / "robustness.md").write_text(page("Robustness", _table_md(lines)), encoding="utf-8")
        (out / "robustness.csv").write_text(frame_csv(_flat(lines)), encoding="utf-8")
    return Answer(found, Group(*_tables(lines)))


@command(app, "bounds")
def bounds_table(
    session: Session,
    data: Annotated[Path, typer.Option(help="Cases, in any form that apply reads.")],
    method: Annotated[str, typer.Option(help="How to edit.")] = "rome",
    rep: Annotated[str, typer.Option(help="Also under the robust edit pathway of this recipe.")] = OFF,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many cases.")] = None,
    facts: Annotated[Path | None, typer.Option(help="Folder with facts.tsv, beside the presets.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the table.")] = None,
) -> Answer:
    """Measure how often the share of the edit at a probe's key predicts the probe's answer."""
    unread: list[str] = []
    cases = read_cases(data, unread)[:limit]
    if not cases:
        raise BadFile(f"{data} holds no case that can be read. The first fault: {unread[0]}")
    presets, seed = session.settings.presets, session.settings.seed
    model = session.model()
    ground = Ground(model, training_facts(presets / "facts", facts), passages(model, presets / "texts"), seed)
    with session.progress() as progress:
        table = bounds.measure(cases, method, Rep(rep), ground, progress)
    rows = list(bounds.lines(table))
    heads = ("view", "kind", "probes", "agreement", "majority", "lemma_agreement", "lemma_majority")
    shown = Table(*heads)
    cells = [[f"{row[name]:.3f}" if isinstance(row[name], float) else str(row[name]) for name in heads] for row in rows]
    for own in cells:
        shown.add_row(*own)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "bounds.md").write_text(page("Bounds", markdown(heads, iter(cells))), encoding="utf-8")
    found = {"model": model.name, "method": method, "n": len(cases) - len(table.attrs["skipped"]), "rows": rows}
    return Answer(found | {"skipped_because": [*unread, *table.attrs["skipped"]]}, shown)


@command(app, "speed")
def speed_table(
    session: Session,
    rounds: Annotated[int, typer.Option(min=1, help="How many rounds to measure.")] = 5,
    parts: Annotated[str, typer.Option(help=f"Only these parts: {', '.join(speed.PARTS)}.")] = "",
    out: Annotated[Path | None, typer.Option(help="Folder for the table.")] = None,
) -> Answer:
    """Time an edit against the plain loop, a batch against single edits, and a view against the bare model, in one run."""
    presets = session.settings.presets
    model = session.model()
    with session.progress() as progress:
        rows = list(
            speed.measure(
                Ground(model, FactBase.load(presets / "facts"), passages(model, presets / "texts"), session.settings.seed),
                session.model,
                rounds,
                progress,
                tuple(part.strip() for part in parts.split(",") if part.strip()),
            )
        )
    found = {
        "model": model.name,
        "quantization": model.quantization,
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": machine(model),
        "threads": torch.get_num_threads(),
        "rows": rows,
    }
    table = Table("what", "seconds", "against", "its seconds", "speed-up", "to floor", "peak")
    for row in rows:
        table.add_row(*_speed_cells(row))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        heads = [str(column.header) for column in table.columns]
        what = f"{model.name}, {found['dtype']}, quantization {model.quantization}; "
        text = f"{what}{machine(model)}, {torch.get_num_threads()} threads, {rounds} rounds.\n\n"
        text = page("Speed", text + markdown(heads, map(_speed_cells, rows)))
        (out / "speed.md").write_text(text, encoding="utf-8")
    return Answer(found, table)


def _setups(names: str, layers: str | None, each: bool, changes: Sequence[str], model: LanguageModel) -> list[Setup]:
    """Return the rows of the table: each method, under each choice of layers."""
    if each and layers is None:
        raise BadRequest("--each-layer needs the layers to try: --layers 0,1,2.")
    common = dict(map(setting, changes))
    setups = [Setup(name.strip(), common) for name in names.split(",")]
    chosen = None if layers is None else layer_numbers(layers, model)
    if each:
        return [own for setup in setups for own in at_each(setup, chosen or ())]
    return setups if chosen is None else [replace(setup, changes=common | {"layers": chosen}) for setup in setups]


def _part(shard: str | None) -> tuple[slice, str]:
    """Return which cases a shard has, and the file for its rows. Raises `BadRequest`."""
    if shard is None:
        return slice(None), "robustness.jsonl"
    number, _, count = shard.partition("/")
    if not (number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count)):
        raise BadRequest(f"--shard is {shard!r}. Write the part and how many there are, as 2/12.")
    return slice(int(number) - 1, None, int(count)), f"robustness-{number}-of-{count}.jsonl"


def _reps(names: str, thresholds: str | None) -> tuple[Rep, ...]:
    """Return what is asked of each edit: as it is, or under a recipe at each threshold."""
    try:
        at = [None] if thresholds is None else [float(text) for text in thresholds.split(",")]
    except ValueError:
        raise BadRequest(f"--thresholds is {thresholds!r}. Write numbers from 0 to 1, as 0.5,0.9.") from None
    recipes = [name.strip() for name in names.split(",")]
    return tuple(Rep(name, value) for name in recipes for value in ([None] if name == OFF else at))


def _lines(
    session: Session,
    cases: list[EditCase],
    unread: list[str],
    setup: Setup,
    ground: Ground,
    path: Path | None,
    measure: Measure,
) -> Iterator[dict[str, Any]]:
    """Yield the lines of one setup, one a REP: what the file's folder has already, and the rest measured and appended."""
    if not cases:
        return
    known: dict[str, CaseRow] = {}
    for earlier in sorted(path.parent.glob("robustness*.jsonl")) if path else ():
        known |= read_rows(earlier, CaseRow.from_json)
    wanted = robustness.keys(cases, setup, ground)
    with session.progress() as progress, append_rows(path) as append:
        for row in measure(cases, setup, done=known, progress=progress):
            known[row.key] = row
            append(row)
    for keys in zip(*wanted, strict=True):
        rows = [known[key] for key in keys]
        line = robustness.summary(rows, unread, ground.seed) | robustness.by_place(cases, rows, ground.seed)
        yield line | {"settings": dict(setup.changes)}


# Tables


def _tables(lines: Sequence[Mapping[str, Any]]) -> Iterator[Table]:
    """Yield a table a setup: the paper's protocol and the clean part side by side, with intervals."""
    for line in lines:
        title = f"{_named(line)}{_at(line)}: {line['n']} cases, {line['skipped']} skipped"
        table = Table("", "paper's protocol, forced", "clean part, forced", title=title)
        parts = [line, line["clean"]]
        if "generated" in line:
            table.add_column("paper's protocol, generated")
            parts.append(line["generated"])
        for name in robustness.COLUMNS:
            table.add_row(name, *(_rate(rates[name], rates[f"{name}_ci"]) for rates in parts))
        yield table


def _table_md(lines: Sequence[Mapping[str, Any]]) -> str:
    heads = ["method", "layers", "n", *robustness.COLUMNS]
    parts = []
    sections = {"Paper's protocol": lambda line: line, "Clean part": lambda line: line["clean"]}
    sections |= {"Subject first": lambda line: line["subject_first"], "Subject later": lambda line: line["subject_later"]}
    if all("generated" in line for line in lines):
        sections |= {"Paper's protocol, generated": lambda line: line["generated"]}
    for title, rates in sections.items():
        parts += [f"## {title}", "", markdown(heads, (_line_cells(line, rates(line)) for line in lines)), ""]
    for line in lines:
        seconds = line["seconds_per_edit"]
        speed_text = "none measured" if seconds is None else f"{seconds:.3f} s an edit"
        if line["peak_bytes"] is not None:
            speed_text += f", {line['peak_bytes'] / 1e9:.2f} GB above the model at most"
        if line["gate_open_rate"] is not None:
            speed_text += (
                f", {line['seconds_to_refine']:.3f} s to refine, {line['bytes_per_layer'] / 1000:.0f} kB a layer; "
                f"a gate opens at {line['gate_open_rate']:.3f} of the rephrases, shuffles and long contexts and at "
                f"{line['false_firings_per_1000']:.2f} of 1,000 tokens of unseen prose"
            )
        settings = "".join(f", {name}={value}" for name, value in line["settings"].items())
        parts.append(f"- {_named(line)}{_at(line)}{settings}: {speed_text}; skipped {line['skipped']}")
        parts += [f"  - {reason}" for reason in line["skipped_because"]]
    return "\n".join(parts)


def _named(line: Mapping[str, Any]) -> str:
    """Return a row's name: the method, what REP adds, and how many edits lie in one view."""
    rep = "" if line["rep"] == OFF else f" + REP {line['rep']} > {line['threshold']:g}"
    return f"{line['method']}{rep}" + (f", chain of {line['chain']}" if line["chain"] > 1 else "")


def _at(line: Mapping[str, Any]) -> str:
    """Return the layers of a row, where it has any."""
    return f", layers {line['layers']}" if line["layers"] else ""


def _flat(lines: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the lines as plain cells: an interval as `_low` and `_high`, the clean part with `clean_` in front."""
    frame = pd.json_normalize([dict(line) for line in lines], sep="_")
    for name in [name for name in frame if name.endswith("_ci")]:
        ends = [own if isinstance(own, list) else [None, None] for own in frame[name]]
        frame[f"{name[:-3]}_low"], frame[f"{name[:-3]}_high"] = zip(*ends, strict=True)
    return frame.drop(columns=[name for name in frame if name.endswith("_ci")])


def _line_cells(line: Mapping[str, Any], rates: Mapping[str, Any]) -> list[str]:
    return [
        _named(line),
        ",".join(map(str, line["layers"])),
        str(rates.get("n", line["n"])),
        *(_rate(rates[name], rates[f"{name}_ci"]) for name in robustness.COLUMNS),
    ]


def _rate(rate: float | None, interval: Sequence[float] | None) -> str:
    return "-" if rate is None else f"{rate:.3f} ({interval[0]:.2f}-{interval[1]:.2f})"


def _speed_cells(row: Mapping[str, Any]) -> list[str]:
    def number(value: float | None, pattern: str) -> str:
        return "-" if value is None else format(value, pattern)

    more = f", {row['tokens_per_second']:.0f} tokens/s" if "tokens_per_second" in row else ""
    more += f", equal within {row['largest_difference']:.0e}" if "largest_difference" in row else ""
    return [
        row["what"] + more,
        number(row["seconds"], ".4f"),
        row["plain"] or "-",
        number(row["plain_seconds"], ".4f"),
        number(row["speedup"], ".2f"),
        number(row["ratio_to_floor"], ".2f"),
        "-" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 1e9:.2f} GB",
    ]
