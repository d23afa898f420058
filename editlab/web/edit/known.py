"""What the model knows, on the page: marks at the examples, and facts that a visitor can pick."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr

from editlab.errors import Cancelled
from editlab.lab import Example, Job, KnownFact, Lab, Workspace
from editlab.web.core.answers import first_clause
from editlab.web.core.html import pieces, render
from editlab.web.core.language import gettext as _
from editlab.web.core.updates import Update, Updates, buttons, follow
from editlab.web.edit import words


def until_one_is_known(lab: Lab) -> Updates:
    """Ask about the examples until the model knows one, or all are asked; show the progress."""
    job = lab.knowledge.ask_examples()
    if job is None:
        return
    for update in follow(lab.worker, job, lambda found: {}):
        if any(one.known for one in lab.knowledge.examples.values()):
            break
        yield update
    yield {"progress": ""}


def marks(lab: Lab, workspace: Workspace, shown: Example | None) -> Updates:
    """Mark the examples that the model does not know, as soon as all are asked, and say what it says at the one shown."""
    job = lab.knowledge.ask_examples()
    if job is not None:
        yield from follow(lab.worker, job, tell=False)
        _wait(job)
    still_shown = shown is not None and workspace.request == shown.request
    # Of two updates that follow one another at once, the page may keep the last alone: so the buttons are in this one, too.
    yield {
        "preset": gr.update(choices=choices(lab)),
        **({"say": say(lab, shown)} if still_shown else {}),
        **buttons(workspace),
    }


def choices(lab: Lab) -> list[tuple[str, str]]:
    """Return the examples as choices, marked where the model does not know the fact."""
    known = lab.knowledge.examples
    unknown = {name for name, one in known.items() if not one.known}
    return [(words.card(_(one.title), one.name not in unknown), one.name) for one in lab.examples]


def say(lab: Lab, example: Example) -> str:
    """Return what there is to say about an example, and what the model says at it where it does not know the fact."""
    one = lab.knowledge.examples.get(example.name)
    if one is None or one.known:
        return pieces.message(_(example.say), "say")
    true = example.request.target_true or ""
    return pieces.message(f"{words.unknown(first_clause(one.says), true)} {_(example.say)}", "say")


def facts(lab: Lab) -> Updates:
    """Show the facts that the model knows, as they are found."""
    job = lab.knowledge.ask_facts()
    if job is not None:
        yield {"known": offer((), asking=True)}
        yield from follow(lab.worker, job, lambda found: {"known": offer(found, asking=True)}, tell=False)
        _wait(job)
    yield {"known": offer(lab.knowledge.facts)}


def offer(found: Sequence[KnownFact], asking: bool = False) -> str:
    """Return the facts as buttons. `asking`: whether more may come."""
    rows = [(number, fact, fact.request.prompt.partition("{}")) for number, fact in enumerate(found)]
    return render("edit/known.html", rows=rows, said=words.known(len(found), asking))


def picked(fact: KnownFact) -> Update:
    """Return what is said about a fact that was picked; no example is selected any more."""
    return {"preset": None, "say": pieces.message(words.picked(fact.request, fact.p), "say")}


def _wait(job: Job) -> None:
    """Raise what a job failed with; one that was stopped has shown what it found."""
    try:
        job.result()
    except Cancelled:
        return
