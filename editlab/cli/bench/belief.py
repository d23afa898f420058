"""`bench belief`: whether a model believes an edit, beside the fact told in the prompt and the fact retrieved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from rich.console import Group
from rich.table import Table

from editlab import methods
from editlab.atlas.sources import training_facts
from editlab.bench import belief, robustness
from editlab.bench.belief import BeliefRow, Plan
from editlab.bench.editing import Rep, Setup
from editlab.bench.rows import append_rows, read_rows
from editlab.cli.bench.report import markdown, page
from editlab.cli.model import setting
from editlab.cli.terminal import Answer, Session, command
from editlab.errors import BadFile, BadRequest
from editlab.facts import EditCase, read_cases
from editlab.facts.writers import frame_csv
from editlab.probes import Ground, passages
from editlab.probes.belief import KINDS, WAYS

app = typer.Typer()

CLEAN = {False: "all questions", True: "questions whose like the unedited model can answer"}


@command(app, "belief")
def belief_table(
    session: Session,
    data: Annotated[Path, typer.Option(help="Cases, in any form that apply reads.")],
    names: Annotated[str, typer.Option("--methods", help="Methods, as rome,told.")] = "rome,memit,told,note",
    kinds: Annotated[str, typer.Option(help=f"Kinds of questions, any of {','.join(KINDS)}.")] = ",".join(KINDS),
    form: Annotated[
        str, typer.Option(help="Put plain prompts as plain text, or in the model's chat template: chat.")
    ] = "plain",
    rep: Annotated[str, typer.Option(help="Robust edit pathways, any of off,published,default; a column each.")] = "off",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many cases.")] = None,
    known: Annotated[bool, typer.Option("--known", help="Only cases whose true object the model says.")] = False,
    change: Annotated[list[str] | None, typer.Option("--set", help="Another setting, as keys=prompt; repeatable.")] = None,
    facts: Annotated[Path | None, typer.Option(help="Folder with facts.tsv, beside the presets.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for rows and table; a second call resumes it.")] = None,
) -> Answer:
    """Edit the cases, tell and retrieve the same facts, and ask whether the model believes them."""
    chosen = tuple(name.strip() for name in kinds.split(",") if name.strip())
    wrong = next((name for name in chosen if name not in KINDS), None)
    if wrong is not None or not chosen:
        raise BadRequest(f"There is no kind of question {wrong!r}. They are: {', '.join(KINDS)}.")
    reps = tuple(Rep(recipe.strip()) for recipe in rep.split(","))
    setups = _setups([name.strip() for name in names.split(",")], dict(map(setting, change or ())), reps)
    unread: list[str] = []
    cases = read_cases(data, unread)[:limit]
    if not cases:
        raise BadFile(f"{data} holds no case that can be read. The first fault: {unread[0]}")
    presets = session.settings.presets
    base = training_facts(presets / "facts", facts)
    model = session.model()
    plan = Plan(setups, chosen, model.form(form))
    ground = Ground(model, base, passages(model, presets / "texts"), session.settings.seed)
    said = robustness.known(model, cases) if known else cases
    if not said:
        raise BadRequest(f"{model.name} knows none of the {len(cases)} facts that are edited in {data}. Give others.")
    rows = _rows(session, said, plan, ground, out / "belief.jsonl" if out else None)
    lines = [belief.summary(own, unread, ground.seed) for own in rows.values()]
    won = {way: belief.winner(rows, way, ground.seed) for way in WAYS}
    sentences = {way: "" if own is None else own.sentence for way, own in won.items()}
    if out is not None:
        (out / "belief.md").write_text(page("Belief", _markdown(lines, sentences)), encoding="utf-8")
        (out / "belief.csv").write_text(frame_csv(_flat(lines)), encoding="utf-8")
    head = {"model": model.name, "fingerprint": model.fingerprint, "data": str(data)}
    found = {**head, "cases": len(cases), "known": len(said) if known else None, "rows": lines, "won": sentences}
    return Answer(found, Group(*_tables(lines), *filter(None, sentences.values())))


def _setups(names: Sequence[str], changes: Mapping[str, Any], reps: tuple[Rep, ...]) -> tuple[Setup, ...]:
    """Return a setup a method, each with those settings that it has. Raises `BadRequest` for one that none of them has.

    What writes nothing at the subject has no pathway.
    """
    has = {name: {field.name for field in fields(methods.get(name).config)} for name in names}
    unknown = next((name for name in changes if not any(name in own for own in has.values())), None)
    if unknown is not None:
        raise BadRequest(f"None of {', '.join(names)} has a setting {unknown!r}. Leave out --set {unknown}=...")
    own = {name: {key: value for key, value in changes.items() if key in has[name]} for name in names}
    return tuple(Setup(name, own[name], reps if methods.get(name).at_subject else (Rep(),)) for name in names)


def _rows(
    session: Session, cases: Sequence[EditCase], plan: Plan, ground: Ground, path: Path | None
) -> dict[str, list[BeliefRow]]:
    """Return each method's rows: what the file has already, and the rest measured and appended."""
    known = read_rows(path, BeliefRow.from_json)
    with session.progress() as progress, append_rows(path) as append:
        for row in belief.measure(cases, plan, ground, known, progress):
            known[row.key] = row
            append(row)
    wanted = belief.keys(cases, plan, ground)
    return {name: [known[own[name]] for own in wanted] for name in plan.names}


def _tables(lines: Sequence[Mapping[str, Any]]) -> list[Table]:
    """Return a table for all questions and one for the clean ones: forced and generated side by side, a row a kind."""
    shown = []
    for clean, what in CLEAN.items():
        table = Table("", *(f"{line['method']}: {way}" for line in lines for way in WAYS), title=f"Believed, {what}")
        for kind in KINDS:
            table.add_row(kind, *(_rate(_part(line, clean)["kinds"][kind], way, False) for line in lines for way in WAYS))
        table.add_row("mean", *(_rate(_part(line, clean), way, False) for line in lines for way in WAYS))
        shown.append(table)
    return shown


def _markdown(lines: Sequence[Mapping[str, Any]], sentences: Mapping[str, str]) -> str:
    heads = ["method", "n", *KINDS, "mean"]
    parts = [*(f"{text}\n" for text in sentences.values() if text)]
    for clean, what in CLEAN.items():
        for way in WAYS:
            parts += [
                f"## {way.capitalize()}, {what}",
                "",
                markdown(heads, (_cells(line, clean, way) for line in lines)),
                "",
            ]
    for line in lines:
        layers = f", layers {line['layers']}" if line["layers"] else ""
        parts.append(f"- {line['method']}{layers}: {line['seconds_per_edit'] or 0:.3f} s an edit; skipped {line['skipped']}")
        parts += [f"  - {reason}" for reason in line["skipped_because"]]
    return "\n".join(parts)


def _cells(line: Mapping[str, Any], clean: bool, way: str) -> list[str]:
    part = _part(line, clean)
    return [line["method"], str(line["n"]), *(_rate(part["kinds"][kind], way) for kind in KINDS), _rate(part, way)]


def _part(line: Mapping[str, Any], clean: bool) -> Mapping[str, Any]:
    return line["clean"] if clean else line


def _rate(rates: Mapping[str, Any], way: str, interval: bool = True) -> str:
    if rates[way] is None:
        return "-"
    low, high = rates[f"{way}_ci"]
    items = f", {rates[f'{way}_items']}" if f"{way}_items" in rates else ""
    return f"{rates[way]:.2f}" + (f" ({low:.2f}-{high:.2f}{items})" if interval else "")


def _flat(lines: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return a row a method, kind and set of questions, as plain cells."""
    rows = []
    for line in lines:
        for clean in CLEAN:
            part = _part(line, clean)
            for kind, rates in {**part["kinds"], "mean": part}.items():
                cells = {"method": line["method"], "n": line["n"], "clean": clean, "kind": kind}
                for way in WAYS:
                    low, high = rates[f"{way}_ci"] or (None, None)
                    cells |= {
                        way: rates[way],
                        f"{way}_low": low,
                        f"{way}_high": high,
                        f"{way}_items": rates.get(f"{way}_items"),
                    }
                rows.append(cells)
    return pd.DataFrame(rows)
