"""A retrieved note: the fact in the prompt, where the question is about its subject."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from editlab.facts import EditRequest
from editlab.methods._method import Edited, Method, Stopwatch, check_requests
from editlab.methods._telling import our_facts, told
from editlab.methods.note.config import NoteConfig
from editlab.patches import BASE, Note, View
from editlab.wording import noop
from editlab.work import Cancel, Progress, never, no_progress

if TYPE_CHECKING:
    from editlab.model import LanguageModel


class Retrieved(Method):
    """Tells the model a fact where it is asked about its subject (docs/methods.md 8.3)."""

    name = "note"
    title = noop("Note: the fact before questions about its subject")
    about = noop(
        "The new fact as a sentence before those questions alone that name its subject, which is told by the letters of the "
        "name. No weight changes."
    )
    group = "tell"
    config = NoteConfig
    whitens = at_subject = False

    def edit(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        view: View = BASE,
        config: NoteConfig | None = None,
        progress: Progress = no_progress,
        cancel: Cancel = never,
    ) -> Edited:
        """Return one note a request. Nothing is computed. Raises `BadRequest` for requests that cannot be placed."""
        watch, config = Stopwatch(), self.settle(config, model)
        check_requests(model, requests)
        progress(0.5, "writing the note: asking the model under it")
        patches = [
            Note(request.sentence, request.text, names_of(request.subject), config.heard, config.most)
            for request in requests
        ]
        return told(self.name, model, requests, patches, view, model.form(config.form), watch)


def names_of(subject: str) -> tuple[str, ...]:
    """Return a subject and the other names under which our own facts know it."""
    aliases = our_facts().aliases
    known = next(((name, *others) for name, others in aliases.items() if subject in (name, *others)), ())
    return tuple(dict.fromkeys((subject, *known)))
