"""What happens when somebody touches the Edit tab.

Handlers are generators of updates: `{name of a component: its new value}`, only what changes. They compute nothing
themselves: the lab's worker does, and they look at its job a few times a second. A mistake of the visitor becomes a
sentence on the page, and whatever was applied before stays.
"""

from __future__ import annotations

import functools
import logging
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from editlab.errors import BadRequest, Cancelled, EditLabError
from editlab.facts import EditRequest
from editlab.lab import METHODS, Job, Lab, Scenario, Workspace
from editlab.web import render
from editlab.web.forms import read_question, read_request

Update = dict[str, Any]
Updates = Iterator[Update]
Handler = Callable[..., Updates]

LOOKS_SECONDS = 0.15
"""Time between two looks at a job: under eight updates a second."""
LONGEST_VISITOR = 64

log = logging.getLogger(__name__)


def told(handler: Handler) -> Handler:
    """Let an error end a handler as a sentence on the page, with the buttons as the workspace then stands."""

    @functools.wraps(handler)
    def wrapper(self: EditHandlers, visitor: Any, *fields: Any) -> Updates:
        *_, request = fields
        try:
            yield from handler(self, visitor, *fields)
        except Cancelled as stopped:
            yield {"message": render.message(str(stopped)), **self._buttons(self._workspace(visitor, request))}
        except EditLabError as error:
            yield {"message": render.message(str(error), "problem"), **self._buttons(self._workspace(visitor, request))}
        except Exception:
            number = secrets.token_hex(4)
            log.exception("A handler failed unexpectedly (%s)", number)
            text = f"EditLab met an error of its own; your edits are as they were. The server's log names it {number}."
            yield {"message": render.message(text, "problem"), **self._buttons(self._workspace(visitor, request))}

    return wrapper


class EditHandlers:
    """The tab's handlers over one lab. Each takes the visitor's id first and Gradio's request last."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    @told
    def open(self, visitor: Any, request: gr.Request) -> Updates:
        """A page was opened. Updates: visitor, all fields, and all that `_show` does.

        The URL's `preset` and `method` count; without a preset, a visitor who comes back finds what they last looked at.
        """
        workspace = self._workspace(visitor, request)
        yield {"visitor": self._visitor(visitor, request), **self._buttons(workspace)}
        wanted, method = request.query_params.get("preset"), request.query_params.get("method")
        if method in METHODS:
            yield {"method": method}
        scenario = next((s for s in self._lab.scenarios if s.name == wanted), None)
        if workspace.editing is not None:
            yield self._running()
            yield from self._follow(workspace, workspace.editing)
        if scenario is None and workspace.request is not None:
            yield self._fields(workspace.request)
            yield from self._show(workspace, workspace.request, "Here is where you left off.")
        elif self._lab.scenarios:
            text = (
                f"There is no preset “{render.shortened(wanted, 40)}”; this is the first one."
                if wanted and not scenario
                else ""
            )
            yield from self._present(workspace, scenario or self._lab.scenarios[0], text)

    @told
    def choose(self, visitor: Any, preset: Any, request: gr.Request) -> Updates:
        """A preset was chosen: fills the fields and shows what the model says. Input: preset. Updates as `open`."""
        scenario = next((s for s in self._lab.scenarios if s.name == preset), None)
        if scenario is None:
            raise BadRequest("There is no such preset. Choose one from the row.")
        yield from self._present(self._workspace(visitor, request), scenario)

    @told
    def apply(
        self,
        visitor: Any,
        method: Any,
        subject: str | None,
        prompt: str | None,
        target_new: str | None,
        target_true: str | None,
        request: gr.Request,
    ) -> Updates:
        """Compute an edit, then show both answers and ask the probes. Updates: message, buttons and all `_show` does."""
        workspace = self._workspace(visitor, request)
        job = workspace.apply(read_request(subject, prompt, target_new, target_true), str(method or "rome"))
        yield self._running()
        yield from self._follow(workspace, job)
        record = job.result()
        yield {**self._buttons(workspace), **self._stack(workspace)}
        yield from self._show(workspace, record.request, f"Edited in {record.seconds:.1f} s.")

    @told
    def stop(self, visitor: Any, request: gr.Request) -> Updates:
        """Stop what runs for this visitor. Updates: message; the stopped handler says the rest."""
        busy = self._workspace(visitor, request).stop()
        yield {"message": render.message("Stopping …" if busy else "Nothing is running.")}

    @told
    def undo(self, visitor: Any, request: gr.Request) -> Updates:
        """Take the latest edit off. Updates as `apply`."""
        workspace = self._workspace(visitor, request)
        record = workspace.undo()
        yield {**self._buttons(workspace), **self._stack(workspace), **self._fields(record.request)}
        yield from self._show(workspace, record.request, "Taken back, without a trace.")

    @told
    def redo(self, visitor: Any, request: gr.Request) -> Updates:
        """Lay it on again. Updates as `apply`."""
        workspace = self._workspace(visitor, request)
        record = workspace.redo()
        yield {**self._buttons(workspace), **self._stack(workspace), **self._fields(record.request)}
        yield from self._show(workspace, record.request, "Laid on again, exactly as it was.")

    @told
    def ask(self, visitor: Any, text: str | None, request: gr.Request) -> Updates:
        """Continue a text under both views. Input: the question. Updates: ask-message, ask-answers."""
        workspace = self._workspace(visitor, request)
        try:
            job = workspace.ask(read_question(text))
            for update in self._follow(workspace, job):
                yield {"ask-message": update["message"]}
            yield {"ask-message": "", "ask-answers": render.asked(read_question(text), job.result())}
        except EditLabError as error:
            yield {"ask-message": render.message(str(error), "problem")}

    # --- parts ------------------------------------------------------------------------------------------------------

    def _present(self, workspace: Workspace, scenario: Scenario, text: str = "") -> Updates:
        yield {**self._fields(scenario.request), "preset": scenario.name, "say": render.say(scenario.say)}
        yield from self._show(workspace, scenario.request, text)

    def _show(self, workspace: Workspace, request: EditRequest, text: str) -> Updates:
        """Both answers as soon as they are there, then the probes, where the question's edit lies over the model.

        Updates: question, answer-base, answer-edited, scores, probe-table, health, edits, message, buttons.
        """
        job = workspace.look(request)
        yield from self._follow(workspace, job)
        said, request = job.result(), workspace.request or request
        edited = any(record.request == request for record in workspace.records)
        text = f"{text} {self._spoken(said)}".strip()
        yield {
            "question": render.question(request),
            **{f"answer-{view}": render.answer(view, request, said.get(view)) for view in render.VIEW_TITLES},
            **self._stack(workspace),
            **self._buttons(workspace),
            **({} if edited else {"scores": "", "probe-table": render.probe_table(None)}),
            "message": render.message(text),
        }
        if edited:
            yield from self._probe(workspace, request, text)

    def _probe(self, workspace: Workspace, request: EditRequest, text: str) -> Updates:
        job = workspace.probe(request)
        yield {"stop": gr.update(interactive=True)}
        yield from self._follow(workspace, job)
        try:
            frame = job.result()
        except EditLabError as error:
            raise type(error)(f"The edit stands, but the probes were not asked: {error}") from error
        yield {
            "scores": render.score_line(frame),
            "probe-table": render.probe_table(frame),
            "message": render.message(text),
            **self._buttons(workspace),
        }

    def _follow(self, workspace: Workspace, job: Job[Any]) -> Updates:
        """How far a job is, until it is done."""
        while not job.wait(LOOKS_SECONDS):
            ahead = workspace.ahead(job)
            text = f"Waiting for the model; {ahead} before you." if ahead else f"{job.text[:1].upper()}{job.text[1:]} …"
            yield {"message": render.message(text, fraction=job.fraction)}

    def _spoken(self, said: dict[str, dict[str, Any]]) -> str:
        """Both answers as a sentence, for whoever hears the page."""
        base = render.headline(said["base"]["text"])
        if "edited" not in said:
            return f"The model says “{base}”. Press “Apply edit” to change that."
        return f"The base model says “{base}”, the edited one “{render.headline(said['edited']['text'])}”."

    def _fields(self, request: EditRequest) -> Update:
        return {
            "subject": request.subject,
            "prompt": request.prompt,
            "target-new": request.target_new,
            "target-true": request.target_true or "",
        }

    def _stack(self, workspace: Workspace) -> Update:
        last = workspace.records[-1] if workspace.records else None
        return {"edits": render.edits(workspace.records), "health": render.health(last)}

    def _running(self) -> Update:
        idle = {name: gr.update(interactive=False) for name in ("apply", "undo", "redo", "preset")}
        return {"message": render.message("Starting …", fraction=0.0), **idle, "stop": gr.update(interactive=True)}

    def _buttons(self, workspace: Workspace) -> Update:
        editing = workspace.editing is not None
        return {
            "apply": gr.update(interactive=not editing),
            "preset": gr.update(interactive=not editing),
            "stop": gr.update(interactive=workspace.busy),
            "undo": gr.update(interactive=bool(workspace.records) and not editing),
            "redo": gr.update(interactive=bool(workspace.undone) and not editing),
        }

    def _workspace(self, visitor: Any, request: gr.Request) -> Workspace:
        return self._lab.workspace(self._visitor(visitor, request))

    def _visitor(self, visitor: Any, request: gr.Request) -> str:
        """The id that the browser keeps; before it has one, the session's, which then becomes it."""
        known = isinstance(visitor, str) and 0 < len(visitor) <= LONGEST_VISITOR
        return visitor if known else str(request.session_hash)
