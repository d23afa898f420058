"""`edit` and `probe`: write one fact, look at the model before and after; keep nothing, or the edit in a workspace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from getpass import getuser
from typing import Annotated, Any, TypeVar

import pandas as pd
import typer
from rich.console import Group
from rich.table import Table

from editlab import methods
from editlab.answers import ViewName
from editlab.cli.model import setting
from editlab.cli.terminal import MISSED, Answer, Session, command
from editlab.errors import BadRequest
from editlab.facts import EditRequest, FactBase
from editlab.facts.script import bare
from editlab.insight import why
from editlab.lab import OFF, RECIPES, Job, Lab, Workspace
from editlab.lab.ledger.backup import to_read
from editlab.lab.ledger.directory import Directory
from editlab.lab.ledger.ledger import Ledger
from editlab.lab.ledger.names import normalize_name
from editlab.lab.workspaces import edits
from editlab.methods.mask import need
from editlab.model import LanguageModel
from editlab.probes import Passages, ask, battery, case_for, guarded, judged, passages, reversal, scores, summaries
from editlab.work import Progress

app = typer.Typer()

SECONDS_BETWEEN_LOOKS = 0.1
T = TypeVar("T")

Subject = Annotated[str, typer.Option(help="The subject: whom or what the fact is about.")]
Prompt = Annotated[str, typer.Option(help="Sentence up to the object, with {} where the subject stands.")]
Target = Annotated[str, typer.Option(help="The new object.")]
TrueObject = Annotated[str | None, typer.Option("--true", help="The true object, to show its probability as well.")]
Method = Annotated[str, typer.Option(help=f"How to edit: {', '.join(methods.METHODS)}.")]
Rep = Annotated[
    str | None,
    typer.Option(help="Robust edit pathway for other names of the subject: default, published or off."),
]
Kept = Annotated[str | None, typer.Option("--workspace", help="Keep the edit in this workspace, on top of its own.")]
Mask = Annotated[bool, typer.Option("--mask", help="Also answer under the reversal mask: does the old fact return?")]
Guard = Annotated[bool, typer.Option("--guard", help="Edit under the reversal mask: does the edit still work?")]
Change = Annotated[list[str] | None, typer.Option("--set", help="A setting of the method, as steps=10; repeatable.")]


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
    guard: Guard = False,
    workspace: Kept = None,
    change: Change = None,
) -> Answer:
    """Edit one fact and show the model's answers before and after. The model itself is not changed."""
    how = _How(method, read_recipe(rep), mask, guard, workspace, dict(map(setting, change or ())))
    done = _edited(session, EditRequest(prompt, subject, target, true), how, answers=False)
    return Answer(done.object, done.overview(), done.code)


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
    guard: Guard = False,
    workspace: Kept = None,
    change: Change = None,
) -> Answer:
    """Edit one fact and ask every probe around it: other names, wordings, contexts, neighbours, consequences."""
    how = _How(method, read_recipe(rep), mask, guard, workspace, dict(map(setting, change or ())))
    done = _edited(session, EditRequest(prompt, subject, target, true), how, answers=True)
    return Answer({**done.object, "probes": done.probes()}, Group(done.overview(), done.table()), done.code)


def read_recipe(rep: str | None) -> str | None:
    """Return the recipe of `--rep`, None where it is off. Raises `BadRequest`."""
    if rep not in (None, OFF, *RECIPES):
        raise BadRequest(f"--rep {rep!r} is no recipe. Write {OFF} or one of: {', '.join(RECIPES)}.")
    return None if rep == OFF else rep


@dataclass(frozen=True)
class _How:
    """How an edit is made and looked at: a method and its settings, a recipe of REP or None, mask or guard, and where."""

    method: str
    recipe: str | None
    mask: bool
    guard: bool
    workspace: str | None
    config: dict[str, Any]

    def __post_init__(self) -> None:
        methods.get(self.method).check_settings(**self.config)
        edits.check_rep(self.method, self.recipe)
        if self.mask and self.guard:
            raise BadRequest("--mask looks under the mask, --guard stands under it. Give one of them.")


@dataclass(frozen=True)
class _Done:
    """An edit and all that was asked around it; `frame` has a row a probe."""

    object: dict[str, Any]
    frame: pd.DataFrame
    views: tuple[str, ...]

    @property
    def code(self) -> int:
        """The exit status: whether the edit took."""
        return 0 if self.object["took"] else MISSED

    def probes(self) -> list[dict[str, Any]]:
        """Return the probes as docs/interfaces.md writes them."""
        fields = ("answer", "p_new", "p_true", "hit")
        return [
            {name: row[name] for name in ("kind", "domain", "text", "expected")}
            | {view: {field: row.get(f"{view}.{field}") for field in fields} for view in self.views}
            for row in self.frame.to_dict("records")
        ]

    def overview(self) -> Table:
        """Return all views side by side: the five likeliest tokens, the objects' probabilities, the text."""
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
        said = [f"Verdict: {self.object['verdict']}"] if "verdict" in self.object else []
        table.caption = "\n".join(said + self.object["notes"]) or None
        return table

    def table(self) -> Table:
        """Return a row a probe."""
        table = Table("kind", "domain", "text", "expected", *self.views)
        for row in self.probes():
            texts = (row["text"] if len(row["text"]) < 100 else f"... {row['text'][-90:]}", str(row["expected"]))
            table.add_row(row["kind"], row["domain"], *texts, *(str(row[view]["answer"]) for view in self.views))
        return table


def _edited(session: Session, request: EditRequest, how: _How, answers: bool) -> _Done:
    """Edit in a workspace, which is forgotten afterwards unless it has a name, and ask everything around the edit."""
    check_workspace(session, how.workspace)
    settings, model = session.settings, session.model()
    methods.config_for(how.method, model, **how.config)
    facts = FactBase.load(settings.presets / "facts")
    if how.mask or how.guard:
        need(model, how.method)
    texts = passages(model, settings.presets / "texts")
    with session.progress() as progress:
        case = case_for(request, facts, settings.seed)
        request = case.request
        found = {"request": request.as_dict(), "method": how.method}
        with open_workspace(session, model, facts, texts, how.workspace) as kept:
            job = edits.apply(kept, request, how.method, how.config, how.recipe)
            record, views = follow(job, progress), kept.views_under(how.mask, how.guard)
            found |= {"layers": list(record.layers), "seconds": record.seconds, "health": dict(record.health)}
            if how.workspace is not None:
                found |= {"workspace": how.workspace, "edits": len(kept.records)}
            if ViewName.REP in views:
                found["rep"] = {"recipe": record.rep, "threshold": kept.threshold}
            if how.mask or how.guard:
                found["mask"] = [vars(mask) for mask in kept.masks(how.method)]
        progress(1.0, "probes: the model is asked")
        probes = battery(model, case, texts, settings.seed)
        frame = ask(model, request, probes, views, answers)
        shown = summaries(model, request, views)
    found["views"] = {name: {**shown[name], "scores": scores(frame, name)} for name in views}
    found["scores"] = found["views"][judged(views)]["scores"]
    found["took"] = bool(found["views"][ViewName.EDITED]["scores"]["success"])
    found["notes"] = [request.note] if request.note else []
    cause = None
    if ViewName.EDITED in views and not how.guard:
        cause = why(model, request, record.patches, views[ViewName.EDITED], probes, frame, record.health)
    found["why"] = None if cause is None else {"reason": cause.reason, "sentence": cause.sentence}
    if not found["took"]:
        text = (
            "The edit did not take: at its own prompt the model does not say {!r}. Try another layer, more steps or clamp."
        )
        found["notes"].append(text.format(bare(request.target_new)))
        session.errors.print(found["notes"][-1], highlight=False)
    if cause is not None:
        found["notes"].append(cause.sentence)
    if how.mask or how.guard:
        found["verdict"] = guarded(shown, request) if how.guard else reversal(shown, request)
    return _Done(found, frame, tuple(views))


def follow(job: Job[T], progress: Progress) -> T:
    """Wait for a job, show its progress, and return its result; Ctrl-C stops the job first."""
    try:
        while not job.wait(SECONDS_BETWEEN_LOOKS):
            progress(job.fraction, job.text)
    except KeyboardInterrupt:
        job.cancel()
        job.wait()
        raise
    return job.result()


def check_workspace(session: Session, name: str | None) -> None:
    """Raise `BadRequest` for a name that is not allowed, unless it is the id of a workspace. Nothing is opened or made."""
    if name is None:
        return
    try:
        normalize_name(name)
    except BadRequest:
        if not Ledger.exists(session.settings.data):
            raise
        with to_read(session.settings.data) as ledger:
            if Directory(ledger).look_up(name) is None:
                raise


@contextmanager
def open_workspace(
    session: Session, model: LanguageModel, facts: FactBase, texts: Passages, name: str | None
) -> Iterator[Workspace]:
    """Open a workspace of the ledger for the length of the block; without a name, one that is forgotten afterwards.

    Raises `BadRequest` for a name that is not allowed.
    """
    kept = name is not None
    lab = Lab(model, facts, texts, seed=session.settings.seed, data=session.settings.data if kept else None)
    try:
        workspace = lab.workspace(lab.directory.adopt(name).id, getuser()) if kept else lab.workspace("")
        if notice := workspace.notice:
            session.errors.print(notice, highlight=False)
        yield workspace
    finally:
        lab.close()
