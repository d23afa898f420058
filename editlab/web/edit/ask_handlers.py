"""What happens when somebody asks without changing anything: live answers, tokens, suggestions, an opened probe."""

from __future__ import annotations

from typing import Any

import gradio as gr

from editlab.errors import Cancelled, EditLabError
from editlab.lab.access.limits import FREE, Cost
from editlab.lab.asking import answers
from editlab.lab.asking.suggestions import suggestions
from editlab.web.core import forms, render
from editlab.web.core.handlers import Handlers, Updates, handler
from editlab.web.edit import live, probe_table


class AskHandlers(Handlers):
    """Handlers that leave the edits as they are. A live question gives way to the visitor's next one without a word."""

    @handler(Cost(prompts=1))
    def ask(self, visitor: Any, text: str | None, request: gr.Request) -> Updates:
        """Continue a text under all views. Input: ask. Updates: ask-message, ask-answers."""
        if not (text or "").strip():
            yield {"ask-message": "", "ask-answers": live.empty()}
            return
        workspace = self.workspace(visitor, request)
        try:
            question = forms.read_question(text)
            job = answers.live(workspace, question)

            def draw(said: Any) -> dict[str, Any]:
                return {"ask-message": "", "ask-answers": live.answers(question, said, workspace.request)}

            yield from self.follow(workspace, job, draw, tell=False)
            said = job.result()
            yield draw(said)
            if "rep" in said:
                gates = answers.gates(workspace, question).result()
                yield {"ask-answers": live.answers(question, said, workspace.request, gates)}
        except Cancelled:
            return
        except EditLabError as error:
            yield {"ask-message": render.message(str(error), "problem")}

    @handler(Cost(prompts=1))
    def take(self, visitor: Any, event: gr.EventData, request: gr.Request) -> Updates:
        """A prepared question was pressed: ask it. Updates: ask, and as `ask`."""
        text = forms.read_pressed(event, "text", most=None)
        yield {"ask": text}
        yield from self.ask(visitor, text, request)

    @handler(FREE)
    def spell(self, visitor: Any, subject: str | None, prompt: str | None, new: str | None, request: gr.Request) -> Updates:
        """How the model's tokenizer cuts the fields, and other objects. Updates: at-subject, ..., suggestions."""
        workspace = self.workspace(visitor, request)
        subject, prompt, new = (self._printable(text) for text in (subject, prompt, new))
        cuts = {
            "subject": subject,
            "prompt": prompt.replace("{}", subject),
            "target-new": f" {new.strip()}" if new.strip() else "",
        }
        try:
            yield {
                **{
                    f"at-{field}": render.chips(
                        answers.tokens(workspace, text) if text else (), "target" * (field == "target-new")
                    )
                    for field, text in cuts.items()
                },
                "at-target-true": "",
                "suggestions": self._suggestions(suggestions(workspace, prompt, subject), new.strip()),
            }
        except EditLabError:
            yield {f"at-{field}": "" for field in cuts}

    @handler(FREE)
    def suggest(self, visitor: Any, event: gr.EventData, request: gr.Request) -> Updates:
        """A suggested object was pressed. Updates: target-new."""
        yield {"target-new": forms.read_pressed(event, "object")}

    @handler(Cost(prompts=1))
    def expand(self, visitor: Any, event: gr.EventData, request: gr.Request) -> Updates:
        """A probe was opened: what every view would say next. Updates: probe-table."""
        probe, text = forms.read_pressed(event, "probe"), forms.read_pressed(event, "text", most=None)
        workspace = self.workspace(visitor, request)
        job = answers.live(workspace, text)
        html = render.message("Close the row and open it again to ask.")
        while not job.wait(0.02) and job.partial is None:
            pass
        said = job.partial
        job.cancel()
        try:
            said = said or job.result()
            html = probe_table.distribution(said, workspace.request)
        except Cancelled:
            pass
        except EditLabError as error:
            html = render.message(str(error), "problem")
        yield {"probe-table": gr.update(distribution={"probe": probe, "html": html})}

    def _printable(self, text: str | None) -> str:
        """A field's text as far as a tokenizer takes it."""
        return (text or "")[: forms.MOST["prompt"]].encode("utf-8", "replace").decode("utf-8")

    def _suggestions(self, objects: tuple[str, ...], chosen: str) -> str:
        return render.suggestions([name for name in objects if name != chosen])
