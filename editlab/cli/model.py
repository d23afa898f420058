"""`info`, `plan` and `stats`: what is known about a model, what it will take, and measuring more of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.table import Table

import editlab
from editlab.cli.terminal import Answer, Session, command
from editlab.errors import BadFile, BadRequest
from editlab.methods import mask
from editlab.model import LanguageModel, measuring, statistics
from editlab.model import plan as planned
from editlab.model.statistics import KeyStatistics

app = typer.Typer()


@command(app, "info")
def info(session: Session) -> Answer:
    """Show the model's family, size and precision, and what EditLab has measured and trained for it."""
    model = session.model()
    found = {
        "model": model.name,
        "family": model.arch.family,
        "parameters": model.parameters,
        "layers": model.n_layers,
        "d_model": model.d_model,
        "d_ff": model.d_ff,
        "dtype": str(model.dtype).removeprefix("torch."),
        "quantization": model.quantization,
        "device": str(model.device),
        "fingerprint": model.fingerprint,
        "checkpoint": model.checkpoint,
        "revision": model.revision,
        "folder": None if model.folder is None else str(model.folder),
        "statistics": statistics.measured_layers(model),
        "masks": mask.methods_with_masks(model),
        "validated": model.validated,
        "version": editlab.__version__,
    }
    table = Table(show_header=False)
    for name, value in found.items():
        table.add_row(name, f"{value:,}" if type(value) is int else str(value))
    return Answer(found, table)


@command(app, "plan")
def plan(
    session: Session,
    edits: Annotated[int, typer.Option(min=1, help="Edits that are made in one batch.")] = 1,
    statistics: Annotated[int, typer.Option(min=0, help="Layers whose key statistics are in memory.")] = 1,
) -> Answer:
    """Estimate the memory that the model and its edits need, and compare it with what is free. Nothing is loaded."""
    s = session.settings
    found = planned(
        s.model,
        quantization=s.quantization,
        dtype=s.dtype,
        device=s.device,
        edits=edits,
        statistics=statistics,
        settings=s,
    )
    parts = ("weights", "cache", "statistics", "kept", "edit", "batch", "total", "free")
    shown = {name: getattr(found, name) for name in parts}
    return Answer({**shown, "fits": found.fits, "advice": found.advice}, found.sentence())


@command(app, "stats")
def stats(
    session: Session,
    layers: Annotated[str, typer.Option(help="Layers to measure, as 1,2.")],
    text: Annotated[Path | None, typer.Option(help="Text file to take the keys from.")] = None,
    own: Annotated[bool, typer.Option("--self", help="Take the keys from the model's own samples (the default).")] = False,
    tokens: Annotated[int | None, typer.Option(min=1, help="How many tokens; ten a key dimension if not given.")] = None,
    folder: Annotated[Path | None, typer.Option(help="Where to keep them, instead of the data folder.")] = None,
    small: Annotated[bool, typer.Option("--small", help="Write half the bytes, in 16 bits, as bundled files have.")] = False,
) -> Answer:
    """Measure the key statistics of some layers. With them, edits spare the keys that the model already uses."""
    if own and text is not None:
        raise BadRequest("--text and --self name two sources. Give one of them.")
    prose = None if text is None else read_text(text)
    model = session.model()
    chosen = layer_numbers(layers, model)
    with session.progress() as progress:
        measured = measuring.collect(
            model,
            chosen,
            prose,
            tokens or statistics.KEYS_PER_DIMENSION * model.d_ff,
            folder or session.settings.data / "statistics",
            session.settings.seed,
            progress,
            small=small,
        )
    if few := _few(measured, model, tokens):
        session.errors.print(few, highlight=False)
    model = replace(model, statistics=session.settings.statistics_folders)  # one of them may be new
    names = ("layer", "tokens", "path", "sha256", "seconds", "quality")
    rows = [
        dict(zip(names, (s.layer, s.tokens, str(s.path), s.sha256, s.seconds, s.quality), strict=True)) | _used(model, s)
        for s in measured
    ]
    table = Table("layer", "tokens", "seconds", "unseen keys lie farther by", "path")
    for row in rows:
        quality = "-" if row["quality"] is None else f"{row['quality']:.2f}"
        table.add_row(str(row["layer"]), f"{row['tokens']:,}", f"{row['seconds']:.1f}", quality, row["path"])
    return Answer({"layers": rows}, Group(table, *_unused(rows)))


def _used(model: LanguageModel, measured: KeyStatistics) -> dict[str, str | None]:
    """Return the file that edits of a layer read, as it was named where it is the one just measured."""
    path, used = measured.path, statistics.used(model, measured.layer)
    same = path is not None and used is not None and used.samefile(path)
    return {"used": str(path) if same else str(used) if used else None}


def _unused(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a sentence for each layer whose edits do not read what was measured."""
    for row in rows:
        if row["used"] != row["path"]:
            read = row["used"] or "no key statistics"
            yield f"Edits at layer {row['layer']} read {read}, not what was measured. Leave out --folder to change that."


def _few(measured: Sequence[KeyStatistics], model: LanguageModel, asked: int | None) -> str:
    """Return what to know of statistics of less text than was asked for, or than a key has dimensions; else nothing."""
    read = min(one.tokens for one in measured)
    if read < model.d_ff:
        return (
            f"Only {read:,} tokens were read, and a key has {model.d_ff:,} dimensions: such statistics say next to nothing. "
            "Give a longer text, or more tokens."
        )
    return f"The text has {read:,} tokens; {asked:,} were asked for." if asked is not None and read < asked else ""


def setting(text: str) -> tuple[str, Any]:
    """Return a setting written as "keys=prompt"; its value is JSON where it can be read so. Raises `BadRequest`."""
    name, found, value = text.partition("=")
    if not found:
        raise BadRequest(f"--set {text!r} has no value. Write it as keys=prompt.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def layer_numbers(text: str, model: LanguageModel) -> tuple[int, ...]:
    """Return layers written as "1,2". Raises `BadRequest` for text without numbers, or no layer of the model."""
    try:
        numbers = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise BadRequest(f"--layers {text!r} is not a list of numbers. Write it as 1,2.") from None
    if not all(0 <= number < model.n_layers for number in numbers):
        raise BadRequest(f"--layers {text!r}: {model.name} has the layers 0 to {model.n_layers - 1}.")
    return numbers


def read_text(path: Path) -> str:
    """Read a text file, also one that begins with a byte order mark. Raises `BadFile`."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f"{path} cannot be read as UTF-8 text: {error}") from error
