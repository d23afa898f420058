"""A retrieved note: the fact in the prompt, where the question is about its subject."""

from __future__ import annotations

from typing import TYPE_CHECKING

from editlab.facts import EditRequest
from editlab.methods._telling import Telling, our_facts
from editlab.methods.note.config import NoteConfig
from editlab.patches import Note, preamble_of
from editlab.wording import noop

if TYPE_CHECKING:
    from editlab.model import LanguageModel


class Retrieved(Telling):
    """Tells the model a fact where it is asked about its subject (docs/methods.md 8.3)."""

    name = "note"
    title = noop("Note: the fact before questions about its subject")
    about = noop(
        "The new fact before those questions alone that name its subject, which is told by the letters of the "
        "name. No weight changes."
    )
    config = NoteConfig
    work = noop("writing the note")

    def patch(self, model: LanguageModel, request: EditRequest, config: NoteConfig) -> Note:
        """Return the fact as a note for questions that name its subject."""
        own = preamble_of(request.sentence, config.frame)
        names = our_facts().names_of(request.subject)
        return Note(own.text, request.text, names, config.heard, config.most, own.cue)
