"""`bench growth | precision | memory`: what an edit costs in time, exactness and memory, by model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from editlab.bench import growth, peak, precision
from editlab.bench.precision import Precision
from editlab.cli.bench import long_life
from editlab.cli.bench.report import markdown, page
from editlab.cli.terminal import Answer, Session, command
from editlab.errors import BadFile
from editlab.facts import FactBase, read_cases
from editlab.model import LanguageModel, plan
from editlab.model.memory import gigabytes
from editlab.probes import Ground, passages

app = typer.Typer()

Out = Annotated[Path | None, typer.Option(help="Folder for the table.")]


@command(app, "growth")
def growth_table(
    session: Session,
    rounds: Annotated[int, typer.Option(min=1, help="How many rounds to measure.")] = 3,
    out: Out = None,
) -> Answer:
    """Measure how time grows: an edit's with the model and the requests, a workspace's with its events and check-ups."""
    model = session.model()
    with session.progress() as progress:
        rows = list(growth.measure(model.tokenizer, model.device, rounds, session.settings.seed, progress))
        progress(1.0, "growth: events and check-ups")
        rows += long_life.measure(model, rounds)
    cells = [
        [
            r["what"],
            f"{r['size']:,}",
            f"{r['seconds']:.3f}",
            f"{r['ratio']:.2f}",
            "-" if r["slope"] is None else f"{r['slope']:.2f}",
        ]
        for r in rows
    ]
    return _answer({"rows": rows}, ("what grows", "size", "seconds", "to the smallest", "slope"), cells, out, "Growth")


@command(app, "precision")
def precision_table(
    session: Session,
    data: Annotated[Path, typer.Option(help="Cases, in any form that apply reads.")],
    method: Annotated[str, typer.Option(help="How to edit.")] = "rome",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many cases.")] = None,
    out: Out = None,
) -> Answer:
    """Make the same edits in float32, bfloat16, 8 and 4 bit; compare their scores and the edits themselves."""
    unread: list[str] = []
    s = session.settings
    facts = FactBase.load(s.presets / "facts")
    cases = read_cases(data, unread)[:limit]
    if not cases:
        raise BadFile(f"{data} holds no case that can be read. The first fault: {unread[0]}")

    def load(how: Precision) -> LanguageModel:
        given = {"quantization": how.quantization, "dtype": how.dtype, "device": s.device, "seed": s.seed, "settings": s}
        return LanguageModel.load(s.model, **given)

    def ground(model: LanguageModel) -> Ground:
        return Ground(model, facts, passages(model, s.presets / "texts"), s.seed)

    with session.progress() as progress:
        rows = list(precision.measure(load, cases, method, ground, progress))
    rates = ("success", "locality", "same_subject", "rephrase_in", "shuffle_in", "long_in", "paraphrase")
    heads = ("precision", "weights", "n", "cosine", "least cosine", *rates)
    cells = [
        [
            row["precision"],
            gigabytes(row["bytes"]),
            str(row["n"]),
            f"{row['cosine']:.3f}",
            f"{row['least_cosine']:.3f}",
            *("-" if row[name] is None else f"{row[name]:.3f}" for name in rates),
        ]
        for row in rows
    ]
    return _answer({"method": method, "rows": rows}, heads, cells, out, "Precision")


@command(app, "memory")
def memory_table(session: Session, out: Out = None) -> Answer:
    """Compare the memory plan with the memory that loading, statistics, an edit and a battery really need."""
    s = session.settings
    options = {"quantization": s.quantization, "dtype": s.dtype, "device": s.device, "settings": s}
    planned = plan(s.model, **options)
    LanguageModel.load("config:atlas", **options).top("what libraries take is not the model's")
    facts = FactBase.load(s.presets / "facts")
    with session.progress() as progress:
        rows = list(
            peak.measure(
                planned,
                session.model,
                lambda model: Ground(model, facts, passages(model, s.presets / "texts"), s.seed),
                progress,
            )
        )
    cells = [[r["what"], gigabytes(r["planned"]), gigabytes(r["measured"]), f"{r['ratio']:.2f}"] for r in rows]
    return _answer({"model": s.model, "rows": rows}, ("stage", "planned", "measured", "ratio"), cells, out, "Memory")


def _answer(
    found: Mapping[str, Any], heads: Sequence[str], cells: Sequence[Sequence[str]], out: Path | None, title: str
) -> Answer:
    """Return a table for the terminal and, with a folder, as a page in it."""
    table = Table(*heads)
    for row in cells:
        table.add_row(*row)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        text = page(title, markdown(heads, iter([list(row) for row in cells])))
        (out / f"{title.lower()}.md").write_text(text, encoding="utf-8")
    return Answer(found, table)
