"""The handlers that ask without changing anything: live questions, tokens, suggestions, an opened probe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import gradio as gr
from pydantic import Field

from editlab.errors import Cancelled, EditLabError
from editlab.facts.script import Space, bare, with_space
from editlab.lab import Workspace
from editlab.lab.access.limits import FREE, Cost
from editlab.lab.asking import answers
from editlab.lab.asking.suggestions import suggestions
from editlab.probes import Answers
from editlab.web.core import forms
from editlab.web.core.engine import said
from editlab.web.core.forms import Method, Recipe
from editlab.web.core.handlers import Handlers, handler
from editlab.web.core.html import pieces, render
from editlab.web.core.inputs import Inputs, Name, Object, Pressed, Prompt, Question, Subject
from editlab.web.core.language import gettext as _
from editlab.web.core.language import ngettext
from editlab.web.core.names import token_name
from editlab.web.core.updates import POLL_SECONDS, Update, Updates, follow
from editlab.web.core.visit import Visit
from editlab.web.edit import answers as answer_columns
from editlab.web.edit import probe_table, request_line, words

ProbeText = Annotated[str, Field(max_length=20_000)]
"""The text of a probe. A long context makes it longer than a question may be."""


class PressedQuestion(Pressed):
    """A prepared question."""

    press: Literal["ask"]
    text: ProbeText


class PressedObject(Pressed):
    """A suggested object."""

    press: Literal["object"]
    object: Object


class OpenedProbe(Pressed):
    """A row of the probes that was opened."""

    probe: Annotated[str, Field(max_length=10)]
    text: ProbeText


class RequestFields(Inputs):
    """The fields of a request."""

    subject: Subject
    prompt: Prompt
    target_new: Object
    target_true: Object
    space: Space = "script"


class QuestionHandlers(Handlers):
    """The handlers that leave the edits as they are."""

    @handler(cost=Cost(prompts=1))
    def ask(self, visit: Visit, ask: Question) -> Updates:
        """Continue a text under all views."""
        yield from continue_text(visit.workspace, ask)

    @handler(cost=Cost(prompts=1))
    def ask_prepared(self, visit: Visit, pressed: PressedQuestion) -> Updates:
        """Write a prepared question into the field and ask it."""
        yield {"ask": pressed.text}
        yield from continue_text(visit.workspace, pressed.text)

    @handler(cost=FREE)
    def tokenize(self, visit: Visit, fields: RequestFields, method: Method, rep: Recipe, preset: Name | None) -> Updates:
        """Show the fields in one line and how the tokenizer splits them, and suggest other objects.

        Where the fields say something else than the example that is chosen, none is.
        """
        workspace = visit.workspace
        subject, prompt, new, true = map(_printable, (fields.subject, fields.prompt, fields.target_new, fields.target_true))
        asked = prompt.strip().replace("{}", subject)
        update: Update = {"line": request_line.line(subject, prompt, new, true, method, rep)}
        example = next((example for example in self.lab.examples if example.name == preset), None)
        if example is not None and (subject.strip(), prompt.strip()) != (example.request.subject, example.request.prompt):
            update |= {"preset": None, "say": ""}
        try:
            objects = [name for name in suggestions(workspace, prompt, subject) if name != new.strip()]
            yield update | {
                "at-subject": _tokens(answers.tokens(workspace, subject)),
                "at-prompt": _tokens(answers.tokens(workspace, prompt.replace("{}", subject))),
                "at-target-new": _tokens(_of_target(workspace, asked, new, fields.space), counted=True),
                "at-target-true": "",
                "suggestions": render("edit/suggestions.html", objects=objects),
            }
        except EditLabError:
            yield update | {f"at-{field}": "" for field in ("subject", "prompt", "target-new")}

    @handler(cost=Cost(prompts=1))
    def ask_typed(self, visit: Visit, subject: Subject, prompt: Prompt) -> Updates:
        """Say what the unedited model answers to the request that is being typed."""
        if not subject.strip() or "{}" not in prompt or not prompt.partition("{}")[2].strip():
            return
        try:
            job = answers.typed(visit.workspace, forms.read_question(prompt.replace("{}", subject)))
            while not job.wait(POLL_SECONDS) and job.partial is None:
                pass
            first = job.partial
            job.cancel()
            token, p = (first or job.result())["base"]["top"][0]
        except EditLabError:
            return
        yield {"typed": pieces.message(words.typed(token_name(token), p), "hint")}

    @handler(cost=FREE)
    def choose_object(self, visit: Visit, pressed: PressedObject) -> Updates:
        """Write a suggested object into the field."""
        yield {"target-new": pressed.object}

    @handler(cost=Cost(prompts=1))
    def open_probe(self, visit: Visit, pressed: OpenedProbe) -> Updates:
        """Show the likeliest tokens at a probe that was opened, under every view."""
        workspace = visit.workspace
        job = answers.live(workspace, pressed.text)
        while not job.wait(POLL_SECONDS) and job.partial is None:
            pass
        first = job.partial
        job.cancel()
        try:
            html = probe_table.distribution(first or job.result(), workspace.request)
        except Cancelled:
            html = pieces.message(_("Close the row and open it again to ask."))
        except EditLabError as error:
            html = pieces.message(said(error), "problem")
        yield {"probe-table": gr.update(distribution={"probe": pressed.probe, "html": html})}


def continue_text(workspace: Workspace, text: str) -> Updates:
    """Continue a text under all views. The visitor's next question ends it without a message."""
    if not text.strip():
        yield {"ask-message": "", "ask-answers": ""}
        return
    try:
        question = forms.read_question(text)
        job = answers.live(workspace, question)

        def draw(result: Answers) -> Update:
            return {"ask-message": "", "ask-answers": answer_columns.live(question, result, workspace.request)}

        yield from follow(workspace, job, draw, tell=False)
        result = job.result()
        yield draw(result)
        if "rep" in result:
            gates = answers.gates(workspace, question).result()
            yield {"ask-answers": answer_columns.live(question, result, workspace.request, gates)}
    except Cancelled:
        return
    except EditLabError as error:
        yield {"ask-message": pieces.message(said(error), "problem")}


def _tokens(tokens: Sequence[str], counted: bool = False) -> str:
    n = len(tokens)
    said = ngettext("{n} target token", "{n} target tokens", n).format(n=n) if counted and n else ""
    return render("edit/tokens.html", tokens=tokens, said=said)


def _of_target(workspace: Workspace, prompt: str, target: str, space: Space) -> Sequence[str]:
    return answers.target_tokens(workspace, prompt, with_space(target, space)) if bare(target) else ()


def _printable(text: str) -> str:
    """Return a text without the characters that no tokenizer takes."""
    return text.encode("utf-8", "replace").decode("utf-8")
