"""Thought: an instruct model reasons before it answers, and may reason itself back to the old fact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from editlab.patches import Form
from editlab.probes.belief.around import Around
from editlab.probes.belief.kind import Finding, Kind, Question, Script, prefers
from editlab.wording import noop

TOKENS = 200


def questions(around: Around) -> Iterator[Question]:
    """Yield the fact as a question to be thought about; nothing for a model without a chat template.

    What it says behind its thought counts; where that names neither object, its thought does. Forced: behind its thought,
    the new object is likelier than the old one.
    """
    if around.model.chat is None:
        return
    asked = f"{around.question} {around.words.think}"

    def script() -> Script:
        ask = around.dialogue(asked, options=around.both)
        (thought,) = yield (replace(ask, options=(), tokens=TOKENS, whole=True),)
        form = ask.form or Form()
        behind = Form(form.before, f"{form.after}{thought.text}\n\n{around.words.therefore}")
        (said,) = yield (replace(ask, form=behind),)
        verdict = around.verdict(said.text)
        if verdict == "neither":  # it answered while it thought, and then goes on with something else
            verdict = around.verdict(thought.text)
        return Finding(verdict, prefers(said.scores), verdict == "new", f"{thought.text} … {said.text}")

    yield Question(asked, around.new, script)


KIND = Kind(
    "thought", noop("Thought"), noop("Whether the new fact survives when the model reasons before it answers."), questions
)
