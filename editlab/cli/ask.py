"""`edit` and `probe`: write one fact, look at the model before and after; keep nothing, or the edit in a workspace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import pandas as pd
import typer
from rich.console import Group
from rich.table import Table

from editlab import methods
from editlab.cli.terminal import Answer, Session, command
from editlab.errors import BadRequest
from editlab.facts import EditRequest, FactBase
from editlab.lab import OFF, RECIPES, Lab, Workspace
from editlab.model import LanguageModel
from editlab.probes import Passages, ask, battery, case_for, passages, scores, summaries

app = typer.Typer()

SECONDS_BETWEEN_LOOKS = 0.1

Subject = Annotated[str, typer.Option(help="Whom or what the fact is about.")]
Prompt = Annotated[str, typer.Option(help="Sentence up to the object, with {} where the subject stands.")]
Target = Annotated[str, typer.Option(help="The new object.")]
TrueObject = Annotated[str | None, typer.Option("--true", help="The true object, if its probability is wanted.")]
Method = Annotated[str, typer.Option(help=f"How to edit: {', '.join(methods.METHODS)}.")]
Rep = Annotated[
    str | None, typer.Option(help="Hold however the subject is said (robust edit pathway): default, published or off.")
]
Kept = Annotated[str | None, typer.Option("--workspace", help="Lay the edit over those of this workspace, and keep it.")]
Mask = Annotated[bool, typer.Option("--mask", help="Lay the reversal mask over the edit. Not available yet.")]


@command(app, "edit")
def edit(
    session: Session,
    subject: Subject,
    prompt: Prompt,
    target: Target,
    true: TrueObject = None,
    method: Method = "rome",
    rep: Rep = None,
    mask: Mask = False,
    workspace: Kept = None,
) -> Answer:
    """Edit one fact and show what the model said before and says now. The model itself is not changed."""
    refuse_what_is_to_come(mask)
    done = _edited(session, EditRequest(prompt, subject, target, true), method, rep, workspace, answers=False)
    return Answer(done.object, done.overview())


@command(app, "probe")
def probe(
    session: Session,
    subject: Subject,
    prompt: Prompt,
    target: Target,
    true: TrueObject = None,
    method: Method = "rome",
    rep: Rep = None,
    mask: Mask = False,
    workspace: Kept = None,
) -> Answer:
    """Edit one fact and ask every probe around it: other names, wordings, contexts, neighbours, consequences."""
    refuse_what_is_to_come(mask)
    done = _edited(session, EditRequest(prompt, subject, target, true), method, rep, workspace, answers=True)
    return Answer({**done.object, "probes": done.probes()}, Group(done.overview(), done.table()))


def read_recipe(rep: str | None) -> str | None:
    """The recipe of `--rep`, None where it is off. Raises `BadRequest`."""
    if rep not in (None, OFF, *RECIPES):
        raise BadRequest(f"--rep {rep!r} is no recipe. Write {OFF} or one of: {', '.join(RECIPES)}.")
    return None if rep == OFF else rep


def refuse_what_is_to_come(mask: bool) -> None:
    """The mask has its option already, so that scripts can be written; its work comes later."""
    if mask:
        raise BadRequest("The reversal mask is not available in this version. Leave --mask away.")


@dataclass(frozen=True)
class _Done:
    """An edit and all that was asked around it; `frame` has a row a probe."""

    object: dict[str, Any]
    frame: pd.DataFrame
    views: tuple[str, ...]

    def probes(self) -> list[dict[str, Any]]:
        """The probes as `interfaces.md` writes them."""
        fields = ("answer", "p_new", "p_true", "hit")
        return [
            {name: row[name] for name in ("kind", "domain", "text", "expected")}
            | {view: {field: row.get(f"{view}.{field}") for field in fields} for view in self.views}
            for row in self.frame.to_dict("records")
        ]

    def overview(self) -> Table:
        """All views side by side: the five likeliest tokens, the objects' probabilities, the text."""
        request = self.object["request"]
        table = Table(title=request["prompt"].replace("{}", request["subject"]), show_lines=False)
        table.add_column("")
        views = self.object["views"]
        for name in views:
            table.add_column(name)
        for place in range(5):
            tops = [view["top"][place] for view in views.values()]
            table.add_row(f"{place + 1}", *(f"{token!r} {p:.3f}" for token, p in tops))
        for name in ("p_new", "p_true"):
            table.add_row(name, *("-" if view[name] is None else f"{view[name]:.4f}" for view in views.values()))
        table.add_row("text", *(view["text"] for view in views.values()))
        for name in sorted(self.object["scores"]):
            rates = (view["scores"].get(name) for view in views.values())
            table.add_row(name, *("-" if rate is None else f"{rate:.2f}" for rate in rates))
        return table

    def table(self) -> Table:
        """A row a probe."""
        table = Table("kind", "domain", "text", "expected", *self.views)
        for row in self.probes():
            texts = (row["text"] if len(row["text"]) < 100 else f"... {row['text'][-90:]}", str(row["expected"]))
            table.add_row(row["kind"], row["domain"], *texts, *(str(row[view]["answer"]) for view in self.views))
        return table


def _edited(
    session: Session, request: EditRequest, method: str, rep: str | None, workspace: str | None, answers: bool
) -> _Done:
    """Edit in a workspace, which is forgotten afterwards unless it has a name, and ask everything around the edit."""
    recipe, settings = read_recipe(rep), session.settings
    methods.get(method)
    facts = FactBase.load(settings.presets / "facts")
    model = session.model()
    texts = passages(model, settings.presets / "texts")
    with session.progress() as progress:
        case = case_for(request, facts, settings.seed)
        request = case.request
        found = {"request": request.as_dict(), "method": method}
        with _workspace(session, model, facts, texts, workspace) as kept:
            job = kept.apply(request, method, rep=recipe)
            while not job.wait(SECONDS_BETWEEN_LOOKS):
                progress(job.fraction, job.text)
            record, views = job.result(), kept.views
            found |= {"layers": list(record.layers), "seconds": record.seconds, "health": dict(record.health)}
            if workspace is not None:
                found |= {"workspace": workspace, "edits": len(kept.records)}
            if "rep" in views:
                found["rep"] = {"recipe": record.rep, "threshold": kept.threshold}
        progress(1.0, "probes: the model is asked")
        frame = ask(model, request, battery(model, case, texts, settings.seed), views, answers)
        shown = summaries(model, request, views)
    found["views"] = {name: {**shown[name], "scores": scores(frame, name)} for name in views}
    found["scores"] = found["views"][list(views)[-1]]["scores"]
    return _Done(found, frame, tuple(views))


@contextmanager
def _workspace(
    session: Session, model: LanguageModel, facts: FactBase, texts: Passages, name: str | None
) -> Iterator[Workspace]:
    """A workspace of the ledger as long as the block lasts; without a name, one that is forgotten with it."""
    lab = Lab(model, facts, texts, seed=session.settings.seed, data=session.settings.data if name else None)
    try:
        workspace = lab.workspace(name or "")
        if notice := workspace.notice:
            session.errors.print(notice, highlight=False)
        yield workspace
    finally:
        lab.close()
