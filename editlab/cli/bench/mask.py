"""`bench mask` and `bench loud`: the reversal mask's tables, from the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from rich.console import Group
from rich.table import Table

from editlab import methods
from editlab.atlas.build import UNSEEN_CHAPTER
from editlab.bench import mask, robustness
from editlab.bench.rows import append_rows, read_rows
from editlab.cli.bench.report import markdown, page
from editlab.cli.mask import fact_base, mask_config, taught, work_of
from editlab.cli.terminal import Answer, Session, command
from editlab.errors import BadFile, BadRequest
from editlab.facts import FactBase, read_cases
from editlab.facts.writers import frame_csv
from editlab.insight import loudness
from editlab.insight.loudness import Loudness
from editlab.methods import mask as masking

app = typer.Typer()


@command(app, "mask")
def mask_table(
    session: Session,
    test: Annotated[Path, typer.Option(help="Edits that the mask never saw, in any form that apply reads.")],
    train: Annotated[Path | None, typer.Option(help="Edits to train a mask on; left out with --use.")] = None,
    use: Annotated[str | None, typer.Option(help="bundled: measure the mask that the model already has.")] = None,
    method: Annotated[str, typer.Option(help="The method whose edits the mask reverses.")] = "rome",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many cases of each file.")] = None,
    known: Annotated[bool, typer.Option("--known", help="Only cases whose true object the model says.")] = False,
    edits: Annotated[
        int | None, typer.Option(min=1, help="How many edits to train on; the presets' facts fill up --train.")
    ] = None,
    facts: Annotated[Path | None, typer.Option(help="More facts beside the presets': CounterFact's JSON or tables.")] = None,
    relations: Annotated[str | None, typer.Option(help="Only facts of these relations, as P17,P30.")] = None,
    without: Annotated[list[Path] | None, typer.Option(help="More cases whose subjects are left out.")] = None,
    recipe: Annotated[str, typer.Option(help="default, or published for the paper's constants.")] = "default",
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's own.")] = None,
    sizes: Annotated[str | None, typer.Option("--curve", help="Also train on fewer edits, as 100,300,1000.")] = None,
    guard: Annotated[bool, typer.Option("--guard", help="Also edit under the mask (guard).")] = False,
    prose: Annotated[list[Path] | None, typer.Option(help="Unseen prose, beside the last chapter; repeatable.")] = None,
    keep: Annotated[Path | None, typer.Option(help="Folder in which to keep the mask that is learnt.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for rows and table.")] = None,
) -> Answer:
    """Measure how many edits a mask reverses, beside untrained masks of its size, and what it costs elsewhere."""
    if (use is None) == (train is None) or use not in (None, "bundled"):
        raise BadRequest("Give --train FILE to learn a mask, or --use bundled for the one that the model has.")
    config = mask_config(recipe, method, session.settings.seed, epochs)
    steps = [int(size) for size in (sizes or "").split(",") if size.isdigit()]
    if sizes is not None and (train is None or not steps):
        raise BadRequest("--curve takes numbers of edits, as 100,300, and learns masks: give --train FILE beside it.")
    faults: list[str] = []
    asked = read_cases(test, faults)[:limit]
    tested, untold = mask.lessons_of(asked)
    if not tested:
        raise BadFile(f"{test} holds no edit with a true object. The first fault: {[*faults, *untold][0]}")
    model, work, how = session.model(), work_of(session), methods.get(method)
    presets, seed = session.settings.presets, session.settings.seed
    if known:
        tested, _ = mask.lessons_of(robustness.known(model, asked))
        if not tested:
            raise BadRequest(f"{model.name} knows none of the {len(asked)} facts in {test}. Give others.")
    curve: list[dict[str, Any]] = []
    with session.progress() as progress:
        found, training = masking.need(model, method) if use else None, []
        examples, skipped = mask.edits(model, tested, method, work, progress)
        if train is not None:
            cases = read_cases(train, [])[:limit]
            cases = robustness.known(model, cases) if known else cases
            base = fact_base(session, facts, relations)
            lessons = taught(session, model, base, cases, [test, *(without or ())], edits)
            found, training = masking.make(model, lessons, how, config, work, progress)
            if keep is not None:
                masking.write(found, model, keep)
            curve = list(mask.curve(model, training, examples, steps, config, progress))
        table = list(mask.rows(model, examples, mask.masks_of(model, training or examples, found.masks, seed), progress))
        texts = [presets / "texts" / UNSEEN_CHAPTER, *(prose or ())]
        prices = mask.price(model, examples, found.masks, FactBase.load(presets / "facts"), texts)
        guarded = mask.under_the_guard(model, tested, method, found.masks, progress) if guard else {}
    answer = mask.summary(found, table, [*faults, *untold, *skipped], seed) | prices | guarded
    shown = Table("", "reversed", "top-1 back", "KL", "still said")
    cells = [[name, *(f"{value:.3f}" for value in values)] for name, values in mask.lines(table)]
    for row in cells:
        shown.add_row(*row)
    if out is not None:
        _write(out, table, [str(column.header) for column in shown.columns], cells, answer, curve)
    head = {"model": model.name, "method": method, "test": str(test)}
    return Answer(head | answer | ({"curve": curve} if curve else {}), shown)


def _write(
    out: Path,
    table: Sequence[mask.Row],
    heads: Sequence[str],
    cells: Sequence[list[str]],
    answer: Mapping[str, Any],
    curve: Sequence[Mapping[str, Any]],
) -> None:
    """Write the rows as they are, and a page of the rates."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "mask.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table), encoding="utf-8")
    rates_text = "\n".join(f"- {name}: {value:.3f}" for name, value in answer.items() if isinstance(value, float))
    parts = [markdown(heads, iter(cells)), rates_text]
    if curve:
        parts.append(markdown(list(curve[0]), iter(_cells(pd.DataFrame(curve)))))
    (out / "mask.md").write_text(page("Reversal mask", "\n\n".join(parts)), encoding="utf-8")


@command(app, "loud")
def loud_table(
    session: Session,
    data: Annotated[Path, typer.Option(help="Edits with a true object, in any form that apply reads.")],
    method: Annotated[str, typer.Option(help="How to edit.")] = "rome",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many cases.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for rows and tables; a second call resumes it.")] = None,
) -> Answer:
    """Measure the logits of the new object and each layer's part in them: unedited, edited, and under the mask."""
    cases = [case for case in read_cases(data, [])[:limit] if case.request.target_true]
    if not cases:
        raise BadFile(f"{data} holds no edit with a true object. Give one that names it.")
    model = session.model()
    path = out / "loud.jsonl" if out else None
    known = read_rows(path, Loudness.from_json)
    with session.progress() as progress, append_rows(path) as append:
        requests = [case.request for case in cases]
        own_mask = masking.find(model, method)
        for number, row in enumerate(loudness.rows(model, requests, method, own_mask, known), start=1):
            known[row.key] = row
            append(row)
            progress(number / len(requests), f"loud: {row.subject}")
    found = [known[key] for key in loudness.keys(model, requests, method, own_mask)]
    sure, parts = loudness.loud(found), loudness.summary(found)
    shown = [_table("How sure", sure), _table("Contributions to the logits", parts)]
    if out is not None:
        (out / "loud.csv").write_text(frame_csv(sure), encoding="utf-8")
        (out / "contributions.csv").write_text(frame_csv(parts), encoding="utf-8")
        body = "\n\n".join(markdown(list(frame), iter(_cells(frame))) for frame in (sure, parts))
        (out / "loud.md").write_text(page("Edits are loud", body), encoding="utf-8")
    skipped = [f"{row.subject}: {row.skipped}" for row in found if row.skipped is not None]
    head = {"model": model.name, "method": method, "n": len(found) - len(skipped), "skipped": skipped}
    tables = {"loud": sure.to_dict("records"), "contributions": parts.to_dict("records")}
    return Answer(head | tables, Group(*shown))


def _cells(frame: pd.DataFrame) -> list[list[str]]:
    return [
        [f"{value:.3f}" if isinstance(value, float) else str(value) for value in row] for row in frame.to_numpy().tolist()
    ]


def _table(title: str, frame: pd.DataFrame) -> Table:
    table = Table(*map(str, frame), title=title)
    for row in _cells(frame):
        table.add_row(*row)
    return table
